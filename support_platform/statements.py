"""
SQL that the ORM writes once and many requests run: for what stands on each request's way.

    _BY_EMAIL = Statement(lambda: User.objects.filter(email=Given("email", TextField())), columns_of(User))
    row = _BY_EMAIL.first(email="ann@demo.example")

Lists have theirs by `shapes`.
"""

import re
from contextlib import contextmanager
from functools import cached_property, partial

from django.db import DEFAULT_DB_ALIAS, DatabaseError, NotSupportedError, connections
from django.db.models import Expression, IntegerField
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.transaction import TransactionManagementError

_PLACES = re.compile("%[%s]")


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


class Written:
    """
    The SQL of a query with a place for each Given in it, and how the values of its rows are converted.

    With `is_limited` each run gives a `limit`. `converters` come on top of the query's own: of columns that it has in
    one expression, as the compiler gives them.

    With `is_prepared` PostgreSQL plans it once for each connection, and not anew for the values of each run. That is
    for what one index finds, whatever the values: there planning takes longer than running. (settings.py has
    PostgreSQL keep to that plan. It knows no limit then, and so takes the index that has the rows in their order.) With
    `is_binary` its rows come as the driver reads them best: for numbers, texts and booleans alone, since Django reads
    what else there is as text.
    """

    def __init__(self, query, connection, *, is_limited=False, is_prepared=False, is_binary=False, converters=None):
        self.is_prepared, self.is_binary = is_prepared, is_binary
        compiler = query.get_compiler(connection=connection)
        self.sql, self.params = compiler.as_sql()
        self.locks = query.model if query.select_for_update else None
        if is_limited:
            self.sql, self.params = f"{self.sql} LIMIT %s", (*self.params, Given("limit", IntegerField()))
        found = compiler.get_converters([expression for expression, _, _ in compiler.select])
        self.converters = [*found.items(), *(converters or {}).items()]
        if connection.vendor == "postgresql":
            self._write_constants()
        self._values = [
            (param.name, _preparation(param.output_field, connection)) if type(param) is Given else (None, param)
            for param in self.params
        ]

    def rows(self, connection, given):
        """The rows, each a tuple or a list."""
        if self.locks and connection.features.has_select_for_update and not connection.in_atomic_block:
            raise TransactionManagementError("Rows are locked within a transaction only.")
        how = {"is_prepared": self.is_prepared, "is_binary": self.is_binary}
        rows = _executed(connection, self.sql, self.values(given), **how).fetchall()
        return [self._converted(row, connection) for row in rows] if self.converters else rows

    def values(self, given):
        """What this run sends: of each Given its value as the database takes it."""
        return [
            prepared if name is None else prepared(given[name]) if prepared else given[name]
            for name, prepared in self._values
        ]

    def _converted(self, row, connection):
        row = list(row)
        for position, (converters, expression) in self.converters:
            for convert in converters:
                row[position] = convert(row[position], expression, connection)
        return row

    def _write_constants(self):
        """What is no Given becomes part of the SQL: nobody has to send it each time."""
        from psycopg.sql import quote  # which need not be there for SQLite

        given, left = [], iter(self.params)

        def written(place):
            if place[0] == "%%":
                return "%%"
            param = next(left)
            if type(param) is Given:
                given.append(param)
                return "%s"
            return quote(param).replace("%", "%%")

        self.sql, self.params = _PLACES.sub(written, self.sql), given


def _preparation(field, connection):
    """What a field does to a value before the database gets it; None where that is nothing."""
    while field.is_relation:
        field = field.target_field
    if connection.vendor != "postgresql":
        return lambda value: field.get_db_prep_value(value, connection)
    if isinstance(field, IntegerField):
        # Of the column's own width: else the driver would choose one by each value, and prepare anew for each.
        kind = field.get_internal_type().replace("AutoField", "IntegerField")
        return partial(connection.ops.adapt_integerfield_value, internal_type=kind)
    return None


@contextmanager
def for_all_threads():
    """A connection to write with what outlives the thread that asks for it: not that thread's own."""
    connection = connections[DEFAULT_DB_ALIAS].copy()
    connection.get_autocommit = lambda: False  # nothing is run by it; whoever locks rows is asked when that runs
    try:
        yield connection
    finally:
        connection.close()


class Statement:
    """The columns of a queryset's rows; it holds a Given for whatever differs from run to run."""

    def __init__(self, build, columns):
        self._build, self._columns = build, columns

    @cached_property
    def _first(self):
        return self._written(lambda queryset: queryset[:1])

    @cached_property
    def _all(self):
        return self._written(lambda queryset: queryset)

    @cached_property
    def _some(self):
        return self._written(lambda queryset: queryset, is_limited=True)

    def first(self, **given):
        """The first row, or None."""
        rows = self._run(self._first, given)
        return rows[0] if rows else None

    def rows(self, **given):
        """All rows; of those so many as a `limit` says, if that is among what is given."""
        return self._run(self._some if "limit" in given else self._all, given)

    def _written(self, part, **how):
        with for_all_threads() as connection:
            return Written(part(self._build().values_list(*self._columns)).query, connection, is_prepared=True, **how)

    def _run(self, written, given):
        connection = connections[DEFAULT_DB_ALIAS]
        if not _is_to_be_asked(connection):
            return written.rows(connection, given)
        connection.health_check_done = True
        try:
            return written.rows(connection, given)
        except DatabaseError as error:
            # "cached plan must not change result type": a migration has changed a column since it was planned.
            if connection.is_usable() and not isinstance(error, NotSupportedError):
                raise
            connection.close()
        return written.rows(connection, given)


class Update:
    """Writes these columns of one row, which is found by its id."""

    def __init__(self, model, names):
        self._fields = [model._meta.get_field(name) for name in names]
        query = model._base_manager.filter(pk=Given("pk", model._meta.pk)).query.chain(UpdateQuery)
        query.add_update_values({field.name: Given(field.attname, field) for field in self._fields})
        with for_all_threads() as connection:
            self._sql, _ = query.get_compiler(connection=connection).as_sql()

    def write(self, row):
        """:raises DatabaseError: if the row is not there"""
        connection = connections[DEFAULT_DB_ALIAS]
        pk = row._meta.pk.get_db_prep_value(row.pk, connection)
        if _executed(connection, self._sql, [*_saved(self._fields, row, connection), pk]).rowcount != 1:
            raise DatabaseError(f"{row._meta.label} {row.pk} is not there to be changed.")


class Insert:
    """Writes a new row, whose id the database gives."""

    def __init__(self, model):
        self._fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        query, stand_in = InsertQuery(model), model()
        for field in self._fields:
            setattr(stand_in, field.attname, Given(field.attname, field))
        query.insert_values(self._fields, [stand_in], raw=True)
        with for_all_threads() as connection:
            compiler = query.get_compiler(connection=connection)
            compiler.returning_fields = [model._meta.pk]
            ((self._sql, _),) = compiler.as_sql()

    def write(self, row):
        connection = connections[DEFAULT_DB_ALIAS]
        (row.pk,) = _executed(connection, self._sql, _saved(self._fields, row, connection)).fetchone()


def _saved(fields, row, connection):
    """The values of a row's fields as `save` would write them."""
    return [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]


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


def _executed(connection, sql, values, *, is_prepared=True, is_binary=False):
    """
    A cursor that has run it. On PostgreSQL what is prepared runs on the driver's own, which binds the values in the
    server; not while somebody watches Django's cursors (tests count what they run), or has put something in their way.
    """
    is_watched = connection.queries_logged or connection.execute_wrappers
    if connection.vendor != "postgresql" or is_watched or not is_prepared:
        cursor = connection.cursor()
        cursor.execute(sql, values)
        return cursor
    from psycopg import Cursor

    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        return Cursor(connection.connection).execute(sql, values, prepare=True, binary=is_binary)
