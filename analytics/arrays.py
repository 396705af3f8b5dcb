"""
Columns of many rows as PostgreSQL sends them: each as one value, which is read here without an object of the driver for
each row.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

# Of an instant. It is how an infinite past is sent.
UNKNOWN = -(2**63)
_NOTHING = "x"
# PostgreSQL counts microseconds from the year 2000.
_FROM_2000 = 946_684_800_000_000


class Column(NamedTuple):
    """The aggregate that a column is asked for by, and what makes its values of that."""

    sql: str
    read: Callable[..., Sequence]


def instants(column: str) -> Column:
    """Microseconds since 1970."""
    return Column(_sent_instants(column), _read_instants)


def stamps(column: str) -> Column:
    """As instants, from another year on: good for differences."""
    return Column(_sent_instants(column), _read_numbers)


def whole(column: str) -> Column:
    return Column(f"string_agg(int8send({column}), '')", _read_numbers)


def amounts(column: str) -> Column:
    """In units of 10^-12; None where it is null."""
    return Column(f"array_to_string(array_agg({column}), ',', '{_NOTHING}')", _read_amounts)


def objects(column: str) -> Column:
    return Column(f"COALESCE(array_agg({column}), '{{}}')", list)


def select(columns: Iterable[Column], rows: str, count: int) -> str:
    """One row with all values of these columns of `rows`, whose own are called col1, col2 ... up to `count` here."""
    names = ", ".join(f"col{number}" for number in range(1, count + 1))
    asked = ", ".join(column.sql for column in columns)
    return f"SELECT {asked} FROM ({rows}) AS found ({names})"  # noqa: S608


def read(columns: Iterable[Column], row: Iterable) -> list[Sequence]:
    return [column.read(value) for column, value in zip(columns, row, strict=True)]


def _sent_instants(column: str) -> str:
    return f"string_agg(timestamptz_send(COALESCE({column}, '-infinity')), '')"


def _read_numbers(sent: bytes | None) -> array:
    """Of eight bytes each."""
    numbers = array("q", bytes(sent or b""))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _read_instants(sent: bytes | None) -> list[int]:
    return [number + _FROM_2000 if number != UNKNOWN else number for number in _read_numbers(sent)]


def _read_amounts(text: str | None) -> list[int | None]:
    # The column's type fixes how many decimals its text has, so without the point it is the whole number.
    numbers = text.replace(".", "").split(",") if text else []
    if text and _NOTHING in text:
        return [None if number == _NOTHING else int(number) for number in numbers]
    return list(map(int, numbers))
