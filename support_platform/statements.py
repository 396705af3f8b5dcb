"""
SQL that the ORM writes once and every request runs: for the few statements that stand on each request's way.

PostgreSQL plans them once for each connection too (planning takes ten times as long as running them). Lists are not
for this room: their best plan depends on whose rows they are.

    _BY_EMAIL = Statement(lambda: User.objects.filter(email=Given("email", TextField())), columns_of(User))
    row = _BY_EMAIL.first(email="ann@demo.example")
"""

from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, DatabaseError, NotSupportedError, connections
from django.db.models import Expression


class Given(Expression):
    """Stands in a queryset for the value that each run gives by this name."""

    def __init__(self, name, output_field):
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler, connection):
        return "%s", [self]


def columns_of(model, prefix=""):
    """Every column of a model, as `from_db` takes them."""
    return tuple(f"{prefix}{field.attname}" for field in model._meta.concrete_fields)


class Statement:
    """The columns of the first row of a queryset, which holds a Given for whatever differs from run to run."""

    def __init__(self, build, columns):
        self._build, self._columns = build, columns
        self._compiled = WeakKeyDictionary()  # connection (each thread has its own) -> (compiler, sql, params)

    def first(self, **given):
        """The row as a tuple, or None."""
        connection = connections[DEFAULT_DB_ALIAS]
        if not _is_to_be_asked(connection):
            return self._first(connection, given)
        connection.health_check_done = True
        try:
            return self._first(connection, given)
        except DatabaseError as error:
            # "cached plan must not change result type": a migration has changed a column since it was planned.
            if connection.is_usable() and not isinstance(error, NotSupportedError):
                raise
            connection.close()
        return self._first(connection, given)

    def _first(self, connection, given):
        if connection not in self._compiled:
            compiler = self._build().values_list(*self._columns)[:1].query.get_compiler(connection=connection)
            self._compiled[connection] = (compiler, *compiler.as_sql())
        compiler, sql, params = self._compiled[connection]
        values = [
            param.output_field.get_db_prep_value(given[param.name], connection) if isinstance(param, Given) else param
            for param in params
        ]
        with _preparing_cursor(connection) as cursor:
            cursor.execute(sql, values)
            rows = cursor.fetchmany(1)
        return next(compiler.results_iter([rows], tuple_expected=True), None)


def _is_to_be_asked(connection):
    """
    Whether Django would ask this connection now, once per request, if it still lives. The statement asks that itself:
    it only reads, so it can be sent again on a new connection.
    """
    return (
        connection.connection is not None
        and connection.health_check_enabled
        and not connection.health_check_done
        and not connection.in_atomic_block
    )


def _preparing_cursor(connection):
    """
    On PostgreSQL one that binds in the server, which prepares what it runs; settings.py has the threshold. Not while
    Django logs statements: of a prepared one it would show nothing.
    """
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    from django.db.backends.postgresql.base import ServerBindingCursor  # psycopg need not be there for SQLite

    connection.close_if_health_check_failed()
    connection.ensure_connection()
    return connection._prepare_cursor(ServerBindingCursor(connection.connection))
