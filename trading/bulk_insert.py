"""How many rows get into a table at once: COPY on PostgreSQL, one INSERT run for all of them on SQLite."""

import re
from datetime import datetime
from decimal import Decimal

from django.db import DataError, IntegrityError, connection
from django.db.models.lookups import In

from support_platform.decimals import format_decimal

_COPY_LINE = re.compile(r"COPY \w+, line ([0-9]+)", re.ASCII)


class RowRefused(Exception):
    """The table refuses the row at this `position`, and with it all of them."""

    def __init__(self, position, error):
        super().__init__(str(error).partition("\n")[0])
        self.position = position


class Among(In):
    """`IN`, on PostgreSQL with the values as one array: thousands of parameters take longer to write than to find."""

    def as_postgresql(self, compiler, connection):
        sql, params = self.process_lhs(compiler, connection)
        return f"{sql} = ANY(%s)", (*params, list(self.rhs))


def bulk_insert(model, rows):
    """
    Insert rows, each a dict from attribute name to value; what a row does not name gets its field's default.

    Constraints and triggers of the table hold, but no field looks at a value: the caller has checked them. To be
    called in a transaction, which is lost when it fails.

    :raises RowRefused: if the table refuses a row, and the database says which
    """
    fields = [field for field in model._meta.concrete_fields if not field.primary_key and not field.generated]
    defaults = {field.attname: field.get_default() for field in fields}
    quote = connection.ops.quote_name
    target = f"{quote(model._meta.db_table)} ({', '.join(quote(field.column) for field in fields)})"
    insert = _copy if connection.vendor == "postgresql" else _execute_many
    insert(target, (_cells(row, defaults) for row in rows))


def _cells(row, defaults):
    if not row.keys() <= defaults.keys():
        raise TypeError(f"There are no columns {', '.join(row.keys() - defaults.keys())}.")
    return list((defaults | row).values())


def _copy(target, rows):
    try:
        with connection.wrap_database_errors, connection.cursor() as cursor:
            # Foreign keys are checked with each COPY, so that what waits for its check does not grow with the file.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    except (DataError, IntegrityError) as error:
        line = _COPY_LINE.match(error.__cause__.diag.context or "")
        if line is None:
            raise
        raise RowRefused(int(line[1]) - 1, error) from error


def _execute_many(target, rows):
    position = -1

    def adapted():
        nonlocal position
        for row in rows:
            position += 1
            yield [adapt[type(value)](value) if type(value) in adapt else value for value in row]

    # As the fields keep them, see support_platform.decimals.
    adapt = {Decimal: format_decimal, datetime: connection.ops.adapt_datetimefield_value}
    places = ", ".join(["%s"] * (target.count(",") + 1))
    statement = f"INSERT INTO {target} VALUES ({places})"  # noqa: S608  the names of our own table
    try:
        with connection.cursor() as cursor:
            cursor.executemany(statement, adapted())
    except IntegrityError as error:
        raise RowRefused(position, error) from error
