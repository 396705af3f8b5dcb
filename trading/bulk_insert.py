"""How many rows get into a table at once: COPY on PostgreSQL, one INSERT run for all of them on SQLite."""

import re
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from types import NoneType

from django.db import DataError, IntegrityError, connection, models
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


def bulk_insert(model, columns):
    """
    Insert rows, given as a dict from attribute name to the values of all rows, or to the one value of each of them;
    what is not named gets its field's default. A number or an instant may be given as text, plain or in UTC with its Z.

    Constraints and triggers of the table hold, but no field looks at a value: the caller has checked them. To be
    called in a transaction, which is lost when it fails.

    :raises RowRefused: if the table refuses a row, and the database says which
    """
    fields = {field.attname: field for field in model._meta.concrete_fields if not field.generated}
    if not columns.keys() <= fields.keys():
        raise TypeError(f"There are no columns {', '.join(columns.keys() - fields.keys())}.")
    defaults = {name: field.get_default() for name, field in fields.items() if not field.primary_key}
    given = {name: values for name, values in (defaults | columns).items() if not _is_empty(values)}
    count = max((len(values) for values in given.values() if isinstance(values, list)), default=0)
    quote = connection.ops.quote_name
    insert = _copy if connection.vendor == "postgresql" else _execute_many
    if count:
        target = f"{quote(model._meta.db_table)} ({', '.join(quote(fields[name].column) for name in given)})"
        insert(target, [(fields[name], values) for name, values in given.items()], count)


def _is_empty(values):
    """Whether it is null in every row, as what no row names is in the database."""
    return values is None or (isinstance(values, list) and values.count(None) == len(values) > 0)


def _copy(target, columns, count):
    texts = [_texts(values) if isinstance(values, list) else repeat(*_texts([values]), count) for _, values in columns]
    data = "\n".join(map("\t".join, zip(*texts, strict=True)))
    try:
        with connection.wrap_database_errors, connection.cursor() as cursor:
            # Foreign keys are checked with each COPY, so that what waits for its check does not grow with the file.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                copy.write(data)
    except (DataError, IntegrityError) as error:
        line = _COPY_LINE.match(error.__cause__.diag.context or "")
        if line is None:
            raise
        raise RowRefused(int(line[1]) - 1, error) from error


def _texts(values):
    """The values as COPY reads them."""
    kinds = set(map(type, values))
    if kinds == {str}:
        text = "".join(values)
        return values if text.isprintable() and "\\" not in text else [value.translate(_ESCAPES) for value in values]
    if len(kinds) == 1:
        return list(map(_TEXTS[kinds.pop()], values))
    return [_TEXTS[type(value)](value) for value in values]


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_TEXTS = {
    str: lambda text: text.translate(_ESCAPES),
    bytes: lambda value: rf"\\x{value.hex()}",
    bool: {False: "f", True: "t"}.get,
    NoneType: lambda none: r"\N",
    **dict.fromkeys((int, Decimal, datetime), str),
}


def _execute_many(target, columns, count):
    position = -1

    def rows():
        nonlocal position
        for row in zip(*cells, strict=True):
            position += 1
            yield row

    cells = [
        _kept(field, values) if isinstance(values, list) else repeat(*_kept(field, [values]), count)
        for field, values in columns
    ]
    places = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {target} VALUES ({places})"  # noqa: S608  the names of our own table
    try:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows())
    except IntegrityError as error:
        raise RowRefused(position, error) from error


def _kept(field, values):
    """The values as SQLite keeps them, see support_platform.decimals."""
    if isinstance(field, models.DecimalField):
        return [None if value is None else format_decimal(Decimal(value)) for value in values]
    if isinstance(field, models.DateTimeField):
        instants = (datetime.fromisoformat(value) if isinstance(value, str) else value for value in values)
        return list(map(connection.ops.adapt_datetimefield_value, instants))
    return values
