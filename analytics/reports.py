"""
The three answers: rows read once, everything computed from them, so that count, figures and records agree. Large
scopes are folded from blocks, read at the same moment as the rest.
"""

from contextlib import nullcontext

from . import blocks, latency, performance, queries, rollups, slippage


def latency_report(scope, span, interval, limit):
    orders = queries.order_times(scope, span)
    return {
        **latency.summary(orders, queries.orders_without_instant(scope, span)),
        "series": latency.series(orders, interval) if interval else [],
        "records": latency.records(orders, limit),
        "definitions": latency.DEFINITIONS,
    }


def slippage_report(scope, span, interval, limit):
    orders = queries.order_prices(scope, span)
    return {
        **slippage.summary(orders, queries.orders_without_instant(scope, span)),
        "series": slippage.series(orders, interval) if interval else [],
        "records": slippage.records(orders, limit),
        "definitions": slippage.DEFINITIONS,
    }


def performance_report(scope, span, interval, limit):
    """Of many trades from their blocks, unless shorter intervals than days are asked for."""
    with rollups.performance_of(scope) if interval in (None, "day") else nullcontext() as reading:
        found = reading and reading.blocks(span)
        if found is None:
            trades = queries.closed_trades(scope, span)
            capital = queries.starting_capital(scope)
            return {
                **performance.summary(trades, capital, queries.open_trades(scope)),
                "slippage_cost": queries.slippage_cost(scope, span),
                "series": performance.series(trades, interval, capital) if interval else [],
                "records": performance.records(trades, limit),
                "definitions": performance.DEFINITIONS,
            }
        capital = queries.starting_capital(scope)
        return {
            **blocks.summary(found, capital, queries.open_trades(scope)),
            "slippage_cost": blocks.total_cost(found),
            "series": blocks.daily_series(found, capital) if interval else [],
            "records": performance.records(queries.newest_trades(scope, span, limit), limit),
            "definitions": performance.DEFINITIONS,
        }
