"""
Reads of many rows at once, column by column, as the whole numbers that blocks are made of: no object per row.

On PostgreSQL each column comes as one value; on SQLite row by row.
"""

from bisect import bisect_left
from functools import cache

import psycopg
from django.db import connection
from django.db.models import BigIntegerField, F

from support_platform.statements import Given, Written, for_all_threads
from trading.models import Order, Trade

from . import arrays, latency_blocks, slippage, slippage_blocks
from .blocks import COST, Columns, instant, microseconds, units

_TRADES = *map(arrays.instants, ("col1", "col2")), *map(arrays.amounts, ("col3", "col4"))
_RESULTS = arrays.instants("col1"), arrays.amounts("col2")
# Of all but the first only differences are taken.
_STAMPS = arrays.instants("col1"), *(arrays.stamps(f"col{number}") for number in range(2, 6))
_PRICES = (
    arrays.instants("col1"),
    arrays.whole("col2"),
    *map(arrays.objects, ("col3", "col4")),
    *(arrays.amounts(f"col{number}") for number in range(5, 9)),
    arrays.objects("col9 IS NOT NULL"),
)


def closed_trades(scope, start, end):
    """The trades that closed from `start` until before `end`, microseconds or None, in the order of their closing."""
    rows = Trade.objects.closed().filter(**scope, **within("closed_at", start, end)).order_by("closed_at")
    rows = rows.values_list("closed_at", "taken_at", "result", "fees")
    if connection.vendor != "postgresql":
        columns = list(zip(*rows, strict=True)) or [()] * 4
        return Columns(*(list(map(convert, column)) for convert, column in zip(_CONVERSIONS, columns, strict=True)))
    return Columns(*_columns(rows, _TRADES, 4))


def results(deployment):
    """(closed, result) of each closed trade of a deployment, in the order of their closing."""
    rows = _results().rows(connection, {"deployment": deployment})
    if connection.vendor != "postgresql":
        return [(microseconds(closed), units(result)) for closed, result in rows]
    return list(zip(*arrays.read(_RESULTS, rows[0]), strict=True))


@cache
def _results():
    """Written once: each correction of a trade asks for it."""
    rows = Trade.objects.closed().filter(deployment=Given("deployment", BigIntegerField())).order_by("closed_at")
    with for_all_threads() as writing:
        written = Written(rows.values_list("closed_at", "result").query, writing, is_prepared=True)
        if writing.vendor == "postgresql":
            written.sql = arrays.select(_RESULTS, written.sql, 2)
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
    return latency_blocks.Columns(*_columns(rows, _STAMPS, 5))


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
        placed, ids, symbols, sides, *prices, filled = _columns(rows, _PRICES, 9)
        placed = [None if at == latency_blocks.UNKNOWN else at for at in placed]
    return slippage_blocks.Columns(placed, ids, symbols, sides, *prices, filled)


def add_costs(blocks, scope, start, end):
    """To each block the slippage cost of the orders of its trades; the blocks hold all trades of this stretch."""
    if not blocks:
        return
    for position, cost in _costs(blocks, scope, start, end):
        blocks[position].cost += cost


def packed(rows):
    """Rows with long binary values. The driver's own cursor takes these as they are; Django's has them spelled out."""
    return _found(*rows.query.sql_with_params()) if connection.vendor == "postgresql" else list(rows)


def _costs(blocks, scope, start, end):
    """(position of the block, cost), often more than once."""
    lookups = {**scope, **within("closed_at", start, end), "closed_at__isnull": False}
    orders = Order.objects.filter(**{f"trade__{lookup}": value for lookup, value in lookups.items()})
    orders = orders.filter(expected_price__isnull=False, filled_price__isnull=False, filled_quantity__isnull=False)
    orders = orders.order_by().annotate(closed_at=F("trade__closed_at"))
    rows = orders.values_list("closed_at", "side", "expected_price", "filled_price", "filled_quantity")
    if connection.vendor != "postgresql":
        lasts = [block.last for block in blocks]
        for closed, *order in rows.exclude(expected_price=0):
            yield bisect_left(lasts, microseconds(closed)), units(slippage.cost_of(*order), COST)
        return
    sql, params = rows.exclude(expected_price=0).exclude(expected_price=F("filled_price")).query.sql_with_params()
    firsts = [instant(block.first) for block in blocks[1:]]
    for position, cost in _found(_COSTS.format(sql), (firsts, *params)):
        yield position, units(cost, COST)


_COSTS = """
SELECT width_bucket(col1, %s::timestamptz[]), sum(CASE col2 WHEN 'buy' THEN col4 - col3 ELSE col3 - col4 END * col5)
FROM ({}) AS found (col1, col2, col3, col4, col5) GROUP BY 1
"""
_CONVERSIONS = (microseconds, microseconds, units, units)


def within(column, start, end):
    bounds = {f"{column}__gte": start, f"{column}__lt": end}
    return {lookup: instant(bound) for lookup, bound in bounds.items() if bound is not None}


def _columns(rows, columns, count):
    """The rows' `count` columns, as these are read."""
    sql, params = rows.query.sql_with_params()
    [row] = _found(arrays.select(columns, sql, count), params)
    return arrays.read(columns, row)


def _found(sql, params):
    """The rows of a SELECT, long values of which PostgreSQL sends as they are: not spelled out, as for Django."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # The values are written into it, for its best plan depends on whose rows they are; and what binds values in the
        # server is planned for whatever they may be (settings.py).
        written = psycopg.ClientCursor(connection.connection).mogrify(sql, params)
        return cursor.execute(written, prepare=False, binary=True).fetchall()
