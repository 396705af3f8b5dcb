"""The three answers: rows read once, everything computed from them, so that count, figures and records agree."""

from . import latency, performance, queries, slippage


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
    trades = queries.closed_trades(scope, span)
    capital = queries.starting_capital(scope)
    return {
        **performance.summary(trades, capital, queries.open_trades(scope)),
        "slippage_cost": queries.slippage_cost(scope, span),
        "series": performance.series(trades, interval, capital) if interval else [],
        "records": performance.records(trades, limit),
        "definitions": performance.DEFINITIONS,
    }
