"""
The three answers: rows read once, everything computed from them, so that count, figures and records agree. Large
scopes are folded from blocks, read at the same moment as the rest.
"""

from contextlib import nullcontext

from . import blocks, latency, latency_blocks, performance, queries, readings, slippage, slippage_blocks


def latency_report(scope, span, interval, limit):
    """Of many orders from their blocks, unless a series is asked for."""
    with nullcontext() if interval else readings.latency_of(scope, span) as reading:
        found = reading and reading.blocks(span)
        if found is None:
            orders = queries.order_times(scope, span)
            return {
                **latency.summary(orders, _left_out(scope, span)),
                "series": latency.series(orders, interval) if interval else [],
                "records": latency.records(orders, limit),
                "definitions": latency.DEFINITIONS,
            }
        return {
            **latency_blocks.summary(found, queries.orders_without_instant(scope), span.is_limited),
            "series": [],
            "records": latency.records(queries.newest_orders(scope, span, limit), limit),
            "definitions": latency.DEFINITIONS,
        }


def slippage_report(scope, span, interval, limit):
    """As latency_report."""
    with nullcontext() if interval else readings.slippage_of(scope, span) as reading:
        found = reading and reading.blocks(span)
        if found is None:
            orders = queries.order_prices(scope, span)
            return {
                **slippage.summary(orders, _left_out(scope, span)),
                "series": slippage.series(orders, interval) if interval else [],
                "records": slippage.records(orders, limit),
                "definitions": slippage.DEFINITIONS,
            }
        return {
            **slippage_blocks.summary(found, _left_out(scope, span)),
            "series": [],
            "records": slippage.records(queries.newest_prices(scope, span, limit), limit),
            "definitions": slippage.DEFINITIONS,
        }


def performance_report(scope, span, interval, limit):
    """Of many trades from their blocks, unless shorter intervals than days are asked for."""
    with readings.performance_of(scope) if interval in (None, "day") else nullcontext() as reading:
        capital = queries.starting_capital(scope)
        days = reading.blocks(span) if reading and interval else ()
        folded = None if reading is None or days is None else reading.fold(span, capital)
        if folded is None:
            trades = queries.closed_trades(scope, span)
            return {
                **performance.summary(trades, capital, queries.open_trades(scope)),
                "slippage_cost": queries.slippage_cost(scope, span),
                "series": performance.series(trades, interval, capital) if interval else [],
                "records": performance.records(trades, limit),
                "definitions": performance.DEFINITIONS,
            }
        return {
            **blocks.told(folded, capital, queries.open_trades(scope)),
            "slippage_cost": blocks.amount(folded.cost, blocks.COST),
            "series": blocks.daily_series(days, capital) if interval else [],
            "records": performance.records(queries.newest_trades(scope, span, limit), limit),
            "definitions": performance.DEFINITIONS,
        }


def _left_out(scope, span):
    return queries.orders_without_instant(scope) if span.is_limited else 0
