"""
The three answers: rows read once, everything computed from them, so that count, figures and records agree. Large
scopes are folded from blocks, read at the same moment as the rest; `..._of_rows` answers the same without.
"""

from . import blocks, latency, latency_blocks, performance, queries, readings, slippage, slippage_blocks


def latency_report(scope, span, interval, limit):
    """Of many orders from their blocks, and the series part by part from the rows."""
    with readings.latency_of(scope, span) as reading:
        found = reading and reading.blocks(span)
        if found is None:
            return latency_of_rows(scope, span, interval, limit)
        return {
            **latency_blocks.summary(found, queries.orders_without_instant(scope), span.is_limited),
            "series": reading.series(span, interval) if interval else [],
            "records": latency.records(queries.newest_orders(scope, span, limit), limit),
            "definitions": latency.DEFINITIONS,
        }


def latency_of_rows(scope, span, interval, limit):
    orders = queries.order_times(scope, span)
    return {
        **latency.summary(orders, _left_out(scope, span)),
        "series": latency.series(orders, interval) if interval else [],
        "records": latency.records(orders, limit),
        "definitions": latency.DEFINITIONS,
    }


def slippage_report(scope, span, interval, limit):
    """As latency_report."""
    with readings.slippage_of(scope, span) as reading:
        found = reading and reading.blocks(span)
        if found is None:
            return slippage_of_rows(scope, span, interval, limit)
        return {
            **slippage_blocks.summary(found, _left_out(scope, span)),
            "series": reading.series(span, interval) if interval else [],
            "records": slippage.records(queries.newest_prices(scope, span, limit), limit),
            "definitions": slippage.DEFINITIONS,
        }


def slippage_of_rows(scope, span, interval, limit):
    orders = queries.order_prices(scope, span)
    return {
        **slippage.summary(orders, _left_out(scope, span)),
        "series": slippage.series(orders, interval) if interval else [],
        "records": slippage.records(orders, limit),
        "definitions": slippage.DEFINITIONS,
    }


def performance_report(scope, span, interval, limit):
    """Of many trades from their blocks; a series by hour or minute part by part from the rows."""
    with readings.performance_of(scope) as reading:
        capital = queries.starting_capital(scope)
        folded = reading and reading.fold(span, capital)
        series = reading.series(span, interval, capital) if folded and interval else []
        if folded is None or series is None:
            return performance_of_rows(scope, span, interval, limit)
        return {
            **blocks.told(folded, capital, queries.open_trades(scope)),
            "slippage_cost": blocks.amount(folded.cost, blocks.COST),
            "series": series,
            "records": performance.records(queries.newest_trades(scope, span, limit), limit),
            "definitions": performance.DEFINITIONS,
        }


def performance_of_rows(scope, span, interval, limit):
    trades = queries.closed_trades(scope, span)
    capital = queries.starting_capital(scope)
    return {
        **performance.summary(trades, capital, queries.open_trades(scope)),
        "slippage_cost": queries.slippage_cost(scope, span),
        "series": performance.series(trades, interval, capital) if interval else [],
        "records": performance.records(trades, limit),
        "definitions": performance.DEFINITIONS,
    }


def _left_out(scope, span):
    return queries.orders_without_instant(scope) if span.is_limited else 0
