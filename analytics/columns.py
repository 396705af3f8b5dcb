"""
Reads of many rows at once, column by column, as the whole numbers that blocks are made of: no object per row.

On PostgreSQL each column comes as one value; on SQLite row by row.
"""

import sys
from array import array
from bisect import bisect_left
from functools import cache

import psycopg
from django.db import connection
from django.db.models import BigIntegerField, F

from support_platform.statements import Given, Written, for_all_threads
from trading.models import Order, Trade

from . import latency_blocks, slippage, slippage_blocks
from .blocks import COST, Columns, instant, microseconds, units

_NOTHING = "x"
# PostgreSQL counts microseconds from the year 2000.
_FROM_2000 = 946_684_800_000_000


def closed_trades(scope, start, end):
    """The trades that closed from `start` until before `end`, microseconds or None, in the order of their closing."""
    rows = Trade.objects.closed().filter(**scope, **within("closed_at", start, end)).order_by("closed_at")
    rows = rows.values_list("closed_at", "taken_at", "result", "fees")
    if connection.vendor != "postgresql":
        columns = list(zip(*rows, strict=True)) or [()] * 4
        return Columns(*(list(map(convert, column)) for convert, column in zip(_CONVERSIONS, columns, strict=True)))
    closed, taken, results, fees = _columns(
        rows, 4, _instants("col1"), _instants("col2"), _amounts("col3"), _amounts("col4")
    )
    return Columns(_read_instants(closed), _read_instants(taken), _read_amounts(results), _read_amounts(fees))


def results(deployment):
    """(closed, result) of each closed trade of a deployment, in the order of their closing."""
    rows = _results().rows(connection, {"deployment": deployment})
    if connection.vendor != "postgresql":
        return [(microseconds(closed), units(result)) for closed, result in rows]
    ((closed, amounts),) = rows
    return list(zip(_read_instants(closed), _read_amounts(amounts), strict=True))


@cache
def _results():
    """Written once: each correction of a trade asks for it."""
    rows = Trade.objects.closed().filter(deployment=Given("deployment", BigIntegerField())).order_by("closed_at")
    with for_all_threads() as writing:
        written = Written(rows.values_list("closed_at", "result").query, writing)
        if writing.vendor == "postgresql":
            written.sql = _in_columns(written.sql, 2, _instants("col1"), _amounts("col2"))
            written.converters = []
    return written


def of_results(results):
    """As `closed_trades`, with nothing where only `blocks.figures` will be asked for."""
    closed = [at for at, _ in results]
    return Columns(closed, closed, [result for _, result in results], [0] * len(closed))


def order_stamps(scope, start, end):
    """The stamps of the orders placed from `start` until before `end`, microseconds or None, as they were placed."""
    rows = Order.objects.filter(**scope, placed_at__isnull=False, **within("placed_at", start, end))
    rows = rows.order_by("placed_at").values_list(*latency_blocks.Columns._fields)
    if connection.vendor != "postgresql":
        columns = list(zip(*rows, strict=True)) or [()] * 5
        return latency_blocks.Columns(*(list(map(_known, column)) for column in columns))
    placed, *stamps = _columns(rows, 5, *(_instants(f"col{number}") for number in range(1, 6)))
    # Only differences are taken of the others, so these stay as PostgreSQL counts them.
    return latency_blocks.Columns(_read_instants(placed), *map(_numbers, stamps))


def _known(instant):
    return latency_blocks.UNKNOWN if instant is None else microseconds(instant)


def order_prices(scope, start, end):
    """What slippage is made of, of the orders placed from `start` until before `end`, as they were placed."""
    placed = within("placed_at", start, end)
    return _order_prices(Order.objects.filter(**scope, placed_at__isnull=False, **placed).order_by("placed_at"))


def order_prices_without_instant(scope):
    return _order_prices(Order.objects.filter(**scope, placed_at__isnull=True).order_by("id"))


def _order_prices(orders):
    rows = orders.values_list("placed_at", "id", *slippage_blocks.Columns._fields[2:8], "filled_at")
    if connection.vendor != "postgresql":
        placed, ids, symbols, sides, *prices, filled = list(zip(*rows, strict=True)) or [()] * 9
        placed = [at and microseconds(at) for at in placed]
        prices = [[None if price is None else units(price) for price in column] for column in prices]
        filled = [at is not None for at in filled]
    else:
        lists = [f"COALESCE(array_agg({column}), '{{}}')" for column in ("col2", "col3", "col4", "col9 IS NOT NULL")]
        amounts = (_amounts(f"COALESCE(col{number}::text, '{_NOTHING}')") for number in range(5, 9))
        placed, ids, symbols, sides, filled, *prices = _columns(rows, 9, _instants("col1"), *lists, *amounts)
        placed = [None if at == latency_blocks.UNKNOWN else at for at in _read_instants(placed)]
        prices = [_read_some_amounts(column) for column in prices]
    return slippage_blocks.Columns(placed, ids, symbols, sides, *prices, filled)


def add_costs(blocks, scope, start, end):
    """To each block the slippage cost of the orders of its trades; the blocks hold all trades of this stretch."""
    if not blocks:
        return
    lasts = [block.last for block in blocks]
    for closed, cost in _costs(scope, start, end):
        blocks[bisect_left(lasts, closed)].cost += cost


def packed(rows):
    """Rows with long binary values. The driver's own cursor takes these as they are; Django's has them spelled out."""
    if connection.vendor != "postgresql":
        return list(rows)
    sql, params = rows.query.sql_with_params()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, params, binary=True).fetchall()


def _costs(scope, start, end):
    lookups = {**scope, **within("closed_at", start, end), "closed_at__isnull": False}
    orders = Order.objects.filter(**{f"trade__{lookup}": value for lookup, value in lookups.items()})
    orders = orders.filter(expected_price__isnull=False, filled_price__isnull=False, filled_quantity__isnull=False)
    orders = orders.order_by().annotate(closed_at=F("trade__closed_at"))
    rows = orders.values_list("closed_at", "side", "expected_price", "filled_price", "filled_quantity")
    if connection.vendor != "postgresql":
        return [
            (microseconds(row[0]), units(slippage.cost_of(*row[1:]), COST)) for row in rows.exclude(expected_price=0)
        ]
    sided = "CASE col2 WHEN 'buy' THEN col4 - col3 ELSE col3 - col4 END"
    rows = rows.exclude(expected_price=0).exclude(expected_price=F("filled_price"))
    closed, costs = _columns(rows, 5, _instants("col1"), _amounts(f"{sided} * col5"))
    return zip(_read_instants(closed), _read_amounts(costs), strict=True)


_CONVERSIONS = (microseconds, microseconds, units, units)


def within(column, start, end):
    bounds = {f"{column}__gte": start, f"{column}__lt": end}
    return {lookup: instant(bound) for lookup, bound in bounds.items() if bound is not None}


def _columns(rows, count, *aggregates):
    """One value for each aggregate of the rows' columns, which are called col1, col2 ... here."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_in_columns(sql, count, *aggregates), params)
        return cursor.fetchone()


def _in_columns(sql, count, *aggregates):
    names = ", ".join(f"col{number}" for number in range(1, count + 1))
    return f"SELECT {', '.join(aggregates)} FROM ({sql}) AS found ({names})"  # noqa: S608


def _instants(column):
    # The unknown one is the least number of eight bytes, as latency_blocks.UNKNOWN.
    return f"string_agg(COALESCE(timestamptz_send({column}), decode('8000000000000000', 'hex')), '')"


def _amounts(column):
    # The column's type fixes how many decimals its text has, so without the point it is the whole number.
    return f"string_agg(replace(({column})::text, '.', ''), ',')"


def _read_instants(value):
    return [number + _FROM_2000 if number != latency_blocks.UNKNOWN else number for number in _numbers(value)]


def _numbers(value):
    numbers = array("q", bytes(value or b""))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _read_amounts(value):
    return list(map(int, value.split(","))) if value else []


def _read_some_amounts(value):
    return [None if text == _NOTHING else int(text) for text in value.split(",")] if value else []
