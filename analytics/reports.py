"""
The three answers: all that one tells is read at one moment, so that count, figures and records agree. Large scopes are
folded from kept blocks, small ones from rows read as columns. `..._of_rows` answers the same from rows as objects, by
the arithmetic that knows neither: what the answers are held to.
"""

from . import (
    blocks,
    columns,
    latency,
    latency_blocks,
    performance,
    queries,
    readings,
    rollups,
    slippage,
    slippage_blocks,
)


def latency_report(scope, span, interval, limit):
    """Of many orders from their blocks, and the series part by part from the rows."""
    with readings.latency_of(scope, span) as reading:
        found = reading and reading.blocks(span)
        unplaced = queries.orders_without_instant(scope)
        if found is None:
            stamps = columns.order_stamps(scope, *rollups.bounds(span))
            summary = latency_blocks.exact_summary(stamps, unplaced, span.is_limited)
            series = latency_blocks.series([stamps], blocks.INTERVALS[interval]) if interval else []
        else:
            summary = latency_blocks.summary(found, unplaced, span.is_limited)
            series = reading.series(span, interval) if interval else []
        return {
            **summary,
            "series": series,
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
            prices = columns.order_prices(scope, *rollups.bounds(span))
            unplaced = [] if span.is_limited else [columns.order_prices_without_instant(scope)]
            summary = slippage_blocks.exact_summary([prices, *unplaced], _left_out(scope, span))
            series = slippage_blocks.series([prices], blocks.INTERVALS[interval]) if interval else []
        else:
            summary = slippage_blocks.summary(found, _left_out(scope, span))
            series = reading.series(span, interval) if interval else []
        return {
            **summary,
            "series": series,
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
            since, until = rollups.bounds(span)
            trades = columns.closed_trades(scope, since, until)
            found = blocks.cut_tail(trades)
            columns.add_costs(found, scope, since, until)
            folded = blocks.fold(found, capital)
            series = readings.series_of_trades([trades], capital, interval) if interval else []
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
