"""What the fills cost against the expected prices. Pure arithmetic on the shared ground of `metrics`."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from heapq import nsmallest
from typing import Any, NamedTuple

from .metrics import EXACT, by_interval, check_intervals, mean, newest, number, percentile

WORST_ORDERS = 10


class OrderPrices(NamedTuple):
    order: Any
    trade: Any
    symbol: str
    side: str  # buy | sell
    expected_price: Decimal | None
    arrival_price: Decimal | None
    filled_price: Decimal | None
    filled_quantity: Decimal | None
    at: datetime | None
    filled_at: datetime | None


class _Slipped(NamedTuple):
    """The unrounded slippage of one order that counts."""

    order: OrderPrices
    bps: Decimal
    delay: Decimal | None  # bps of the arrival price, None without one
    cost: Decimal | None  # this and notional are None without a quantity
    notional: Decimal | None


def summary(orders: Iterable[OrderPrices], without_instant: int = 0) -> dict:
    """`without_instant` orders are known of and left out, because no span of time holds them."""
    with localcontext(EXACT):
        excluded = Counter({"not_filled": 0, "no_expected_price": 0})
        if without_instant:
            excluded["no_instant"] = without_instant
        slipped, sides, symbols = [], {"buy": [], "sell": []}, defaultdict(list)
        for order in orders:
            if reason := _exclusion(order):
                excluded[reason] += 1
                continue
            row = _slip(order)
            slipped.append(row)
            sides[order.side].append(row)
            symbols[order.symbol].append(row)
        bps = sorted(row.bps for row in slipped)
        split = [row for row in slipped if row.delay is not None]
        delay, execution = delay_and_execution(mean([row.delay for row in split]), mean([row.bps for row in split]))
        return {
            "count": len(slipped),
            "excluded": dict(excluded),
            "without_quantity": sum(row.cost is None for row in slipped),
            "unit": "bps",
            "sign": "positive = cost to the trader",
            "method": "linear",
            "mean_bps": number(mean(bps)),
            "weighted_mean_bps": _weighted_mean(slipped),
            **{f"p{q}_bps": number(percentile(bps, q)) for q in (5, 50, 95, 99)},
            "worst_bps": number(percentile(bps, 100)),
            "best_bps": number(percentile(bps, 0)),
            "total_cost": _total_cost(slipped),
            "adverse_share": number(mean([value > 0 for value in bps])),
            "favourable_share": number(mean([value < 0 for value in bps])),
            "zero_share": number(mean([value == 0 for value in bps])),
            "split_count": len(split),
            "delay_bps": delay,
            "execution_bps": execution,
            "by_side": {side: _brief(rows) for side, rows in sides.items()},
            "by_symbol": [
                {"symbol": symbol, **_brief(rows)}
                for symbol, rows in sorted(symbols.items(), key=lambda item: (-len(item[1]), item[0]))
            ],
            "worst": [
                {"order": row.order.order, "bps": number(row.bps), "cost": row.cost}
                for row in nsmallest(WORST_ORDERS, slipped, key=_costliest_first)
            ],
        }


def total_cost(orders: Iterable[OrderPrices]) -> Decimal:
    """The `total_cost` of the summary, alone."""
    with localcontext(EXACT):
        return _total_cost([_slip(order) for order in orders if not _exclusion(order)])


def bps_of(order: OrderPrices) -> Decimal | None:
    """Unrounded; None if it is excluded."""
    with localcontext(EXACT):
        return None if _exclusion(order) else _slip(order).bps


def records(orders: Iterable[OrderPrices], limit: int) -> list[dict]:
    return [record(order) for order in newest(orders, lambda order: order.at, limit)]


def record(order: OrderPrices) -> dict:
    """One order with its slippage; `excluded` names why an order has none, else it is None."""
    with localcontext(EXACT):
        reason = _exclusion(order)
        row = None if reason else _slip(order)
        delay, execution = delay_and_execution(row.delay, row.bps) if row else (None, None)
        return {
            "order": order.order,
            "trade": order.trade,
            "symbol": order.symbol,
            "side": order.side,
            "bps": number(row.bps) if row else None,
            "cost": row.cost if row else None,
            "delay_bps": delay,
            "execution_bps": execution,
            "expected_price": order.expected_price,
            "arrival_price": order.arrival_price,
            "filled_price": order.filled_price,
            "filled_quantity": order.filled_quantity,
            "excluded": reason,
            "timestamp": order.at,
        }


def series(orders: Iterable[OrderPrices], interval: str) -> list[dict]:
    with localcontext(EXACT):
        rows = []
        counted = (order for order in orders if not _exclusion(order))
        groups = by_interval(counted, lambda order: order.at, interval)
        check_intervals(len(groups))
        for start, group in groups:
            slipped = [_slip(order) for order in group]
            bps = sorted(row.bps for row in slipped)
            rows.append(series_row(start, bps, _weighted_mean(slipped), _total_cost(slipped)))
        return rows


def series_row(start: datetime, bps: list[Decimal], weighted_mean: float | None, total_cost: Decimal) -> dict:
    """Of one interval; `bps` of each order, ascending."""
    return {
        "start": start,
        "count": len(bps),
        "mean_bps": number(mean(bps)),
        "weighted_mean_bps": weighted_mean,
        "p50_bps": number(percentile(bps, 50)),
        "p95_bps": number(percentile(bps, 95)),
        "total_cost": total_cost,
    }


def by_hour(orders: Iterable[OrderPrices]) -> list[dict]:
    """The mean bps of each hour of the day in UTC, 0 to 23, None where no order counts; without an instant in none."""
    with localcontext(EXACT):
        hours = [[] for _ in range(24)]
        for order in orders:
            if order.at is not None and not _exclusion(order):
                hours[order.at.astimezone(UTC).hour].append(_slip(order).bps)
        return [{"hour": hour, "count": len(bps), "mean_bps": number(mean(bps))} for hour, bps in enumerate(hours)]


def _exclusion(order: OrderPrices) -> str | None:
    return exclusion(order.filled_at is not None, order.expected_price, order.filled_price)


def exclusion(is_filled: bool, expected_price, filled_price) -> str | None:
    """Why an order counts for no slippage; it is filled if there is an instant of it, or a price."""
    if not is_filled and filled_price is None:
        return "not_filled"
    if expected_price is None:
        return "no_expected_price"
    if expected_price == 0:
        return "zero_expected_price"
    return "no_filled_price" if filled_price is None else None


def cost_of(side: str, expected: Decimal, filled: Decimal, quantity: Decimal) -> Decimal:
    with localcontext(EXACT):
        return _worse(side, expected, filled) * quantity


def _worse(side: str, expected: Decimal, price: Decimal) -> Decimal:
    # Subtracting in the side's direction, since -1 * 0 would be a negative zero in Decimal.
    return price - expected if side == "buy" else expected - price


def _slip(order: OrderPrices) -> _Slipped:
    # A negative price (spreads, futures) must not turn the sign: positive stays a cost to the trader.
    expected, base = order.expected_price, abs(order.expected_price)

    def worse(price):
        return _worse(order.side, expected, price)

    quantity = order.filled_quantity
    return _Slipped(
        order,
        bps=worse(order.filled_price) * 10000 / base,
        delay=None if order.arrival_price is None else worse(order.arrival_price) * 10000 / base,
        cost=None if quantity is None else worse(order.filled_price) * quantity,
        notional=None if quantity is None else base * quantity,
    )


def delay_and_execution(delay: Decimal | None, bps: Decimal | None) -> tuple[float | None, float | None]:
    """Delay and execution. Execution is the rest of the rounded whole, so that the printed figures add up."""
    if delay is None:
        return None, None
    return number(delay), number(round(bps, 6) - round(delay, 6))


def _total_cost(rows: list[_Slipped]) -> Decimal:
    return sum((row.cost for row in rows if row.cost is not None), Decimal(0))


def _weighted_mean(rows: list[_Slipped]) -> float | None:
    notional = sum(row.notional for row in rows if row.notional is not None)
    return number(_total_cost(rows) * 10000 / notional) if notional else None


def _brief(rows: list[_Slipped]) -> dict:
    return {
        "count": len(rows),
        "mean_bps": number(mean([row.bps for row in rows])),
        "total_cost": _total_cost(rows),
    }


def _costliest_first(row: _Slipped) -> tuple:
    return -row.bps, -(row.cost or 0), row.order.order


DEFINITIONS = {
    "since": "Orders whose timestamp is this instant or later; null: from the first one.",
    "until": "Orders whose timestamp is before this instant; null: to the last one.",
    "window": "The trailing time asked for: since = as_of - window.",
    "count": "Filled orders with a non-zero expected price and a filled price; all figures are over these.",
    "excluded": (
        "Orders left out by the first reason that holds: not_filled (neither filled_at nor filled_price), "
        "no_expected_price, zero_expected_price (bps undefined), no_filled_price. Also no_instant: a span is asked for "
        "and the order has no time stamp."
    ),
    "without_quantity": ("Counted orders without filled_quantity: in the bps figures, not in costs and weights."),
    "unit": "Basis points of the expected price: 1 bps = 0.01 %.",
    "sign": "Positive = cost to the trader: a buy above or a sell below the expected price.",
    "method": (
        "linear: percentiles interpolate linearly between closest ranks (Hyndman-Fan type 7). log-bucket, <= 1 %: from "
        "50,000 orders on, the same over bps that are each taken for the middle of a bucket, less than 1 % away; every "
        "other figure is exact."
    ),
    "bps": "side * (filled_price - expected_price) / |expected_price| * 10000, side +1 for buy, -1 for sell.",
    "cost": ("side * (filled_price - expected_price) * filled_quantity in quote currency; null without quantity."),
    "mean_bps": "Arithmetic mean of bps, every order counting the same.",
    "weighted_mean_bps": (
        "Sum of cost / sum of |expected_price| * filled_quantity * 10000, over orders with a quantity; "
        "null when that notional is 0."
    ),
    "p5_bps": "5th percentile of bps (the favourable end).",
    "p50_bps": "Median of bps.",
    "p95_bps": "95th percentile of bps.",
    "p99_bps": "99th percentile of bps (the costly end).",
    "worst_bps": "Largest bps, the costliest order.",
    "best_bps": "Smallest bps, the most favourable order.",
    "total_cost": "Exact sum of cost; symbols of different quote currencies are added as plain numbers.",
    "adverse_share": "Orders with bps > 0 / count.",
    "favourable_share": "Orders with bps < 0 / count.",
    "zero_share": "Orders with bps = 0 / count.",
    "split_count": "Counted orders with an arrival_price, over which delay_bps and execution_bps are means.",
    "delay_bps": ("side * (arrival_price - expected_price) / |expected_price| * 10000; null without arrival_price."),
    "execution_bps": (
        "side * (filled_price - arrival_price) / |expected_price| * 10000; with delay_bps it adds up to "
        "the bps of the same orders."
    ),
    "by_side": "Count, mean_bps and total_cost of the buys and of the sells.",
    "by_symbol": "Count, mean_bps and total_cost per symbol, most orders first, then by symbol.",
    "worst": "The at most 10 orders of the largest bps; ties by larger cost, then by order id.",
    "timestamp": "Of one order: the first known of signal_at, sent_at, acknowledged_at, filled_at.",
    "records": "The newest orders by timestamp, those without one last; excluded tells why one has no bps.",
    "series": (
        "Per UTC interval of the orders' timestamp; orders without one and empty intervals are left out. Its "
        "percentiles are linear and exact, whatever method says of the others."
    ),
}
