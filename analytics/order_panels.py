"""
Panels that explain orders: how long each step from the signal to the fill took, as a bar, and what the fill cost.

The figures are those of the API's `records`, of one order.
"""

from bisect import bisect_left
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from support_platform.console.base import shown
from support_platform.console.panels import Panel
from trading.models import Order

from . import latency, metrics, queries, slippage
from .panels import REASONS, STAGES, digits

STAMPS = {"signal": "signal_at", "sent": "sent_at", "acknowledged": "acknowledged_at", "filled": "filled_at"}
HAPPENED = {
    "signal": "the strategy gave its signal",
    "sent": "it was sent",
    "acknowledged": "the broker acknowledged it",
    "filled": "it was filled",
}
WIDTH = 1000  # of the bar, in its own units
LEAST = 4  # what a step needs to be seen
MAX_ORDERS = 20
COMPARED = 1000
FEW = 5


class Step(NamedTuple):
    """From one known stamp to the next known one. `x` and `width` are its place in the bar."""

    name: str
    text: str
    kind: str
    x: float
    width: float


class Life(NamedTuple):
    """What is told of one order."""

    order: Order
    role: str
    stamps: list  # (name, instant in words)
    steps: list
    whole: str
    notes: list
    slip: dict
    cost: str | None
    split: list  # (name, from price, to price, bps)
    why: str  # in words, why there is no slippage


class TradeOrdersPanel(Panel):
    title = "How it went"
    template = "admin/rows/trade_orders.html"
    right = "trading.view_order"
    is_wide = True

    def show(self, request, row):
        orders = list(Order.objects.filter(trade=row.pk).order_by("placed_at", "id")[: MAX_ORDERS + 1])
        entry = "buy" if row.side == "long" else "sell"
        lives = [life(order, "Entry" if order.side == entry else "Exit") for order in orders[:MAX_ORDERS]]
        costs = [one.slip["cost"] for one in lives if one.slip["cost"] is not None]
        return {
            "lives": lives,
            "has_more": len(orders) > MAX_ORDERS,
            "cost": queries.json_ready(sum(costs)) if len(costs) > 1 else None,
        }


class OrderLifePanel(Panel):
    title = "How it went"
    template = "admin/rows/order.html"
    right = "trading.view_order"
    is_wide = True

    def show(self, request, row):
        return {"life": life(row, "Order")}


class ComparisonPanel(Panel):
    """How long the order took beside the trader's newest others, by the longest stage that is known of it."""

    title = "Compared with others"
    template = "admin/rows/comparison.html"
    right = "trading.view_order"

    def show(self, request, row):
        own = latency.record(times_of(row))
        stage = next((name for name in latency.LATENCY_PRECEDENCE if own[f"{name}_ms"] is not None), None)
        if stage is None:
            return {"stage": None}
        rows = queries.newest_placed_times({"user": row.user_id}, COMPARED)
        others = [latency.record(order)[f"{stage}_ms"] for order in rows if order.order != row.pk]
        others = sorted(gap for gap in others if gap is not None)
        context = {"stage": stage, "steps": STAGES[stage], "own": digits(own[f"{stage}_ms"]), "count": len(others)}
        if len(others) < FEW:
            return context
        return {
            **context,
            "slower": round(100 * bisect_left(others, own[f"{stage}_ms"]) / len(others)),
            **{f"p{q}": digits(metrics.number(metrics.percentile(others, q))) for q in (50, 95)},
        }


def life(order, role):
    times = times_of(order)
    known = [(name, getattr(order, stamp)) for name, stamp in STAMPS.items() if getattr(order, stamp)]
    record, slip = latency.record(times), slippage.record(prices_of(order))
    stage = next((name for name in ("total", "execution") if record[f"{name}_ms"] is not None), None)
    return Life(
        order=order,
        role=role,
        stamps=[(name, shown(getattr(order, stamp), "milliseconds")) for name, stamp in STAMPS.items()],
        steps=steps_of(known),
        whole=f"{STAGES[stage]} {digits(record[f'{stage}_ms'])} ms in all" if stage else "",
        notes=list(notes_of(order, known)),
        slip=slip,
        cost=queries.json_ready(slip["cost"]),
        split=_split(order, slip),
        why=REASONS[slip["excluded"]] if slip["excluded"] else "",
    )


def times_of(order):
    return latency.OrderTimes(order.pk, order.trade_id, *(getattr(order, stamp) for stamp in STAMPS.values()))


def prices_of(order):
    columns = ("symbol", "side", "expected_price", "arrival_price", "filled_price", "filled_quantity", "placed_at")
    return slippage.OrderPrices(
        order.pk, order.trade_id, *(getattr(order, name) for name in columns), filled_at=order.filled_at
    )


def steps_of(known: list[tuple[str, datetime]]) -> list[Step]:
    """Each as wide as it took long; one that goes back in time, and one of no time, only wide enough to be seen."""
    gaps = [(after - before) // metrics.MICROSECOND for (_, before), (_, after) in pairwise(known)]
    whole = sum(gap for gap in gaps if gap > 0)
    room = WIDTH - LEAST * len(gaps)
    steps, x = [], 0.0
    for ((before, _), (after, _)), gap in zip(pairwise(known), gaps, strict=True):
        width = round(LEAST + (room * max(gap, 0) / whole if whole else room / len(gaps)), 2)
        names = list(STAMPS)
        is_whole_stage = names.index(after) == names.index(before) + 1
        kind = "skewed" if gap < 0 else before if is_whole_stage else "unsure"
        steps.append(Step(f"{before} → {after}", f"{digits(metrics.number(gap / 1000))} ms", kind, round(x, 2), width))
        x += width
    return steps


def notes_of(order, known):
    """What the bar cannot show: stamps that are missing, and gaps that go back in time."""
    names = [name for name, _ in known]
    is_filled = order.filled_at is not None or order.filled_price is not None
    if not is_filled:
        yield "It was not filled."
    missing = [name for name in STAMPS if name not in names and (is_filled or name != "filled")]
    if missing:
        told = [f"when {HAPPENED[name]}" for name in missing]
        yield f"Unknown: {' and '.join([', '.join(told[:-1]), told[-1]] if told[1:] else told)}."
    for (before, earlier), (after, later) in pairwise(known):
        if later < earlier:
            gap = digits(metrics.number((earlier - later) // metrics.MICROSECOND / 1000))
            yield (
                f"By its stamps {HAPPENED[after]} {gap} ms before {HAPPENED[before]}: the clocks that stamped these "
                "differ. The figures keep the negative gap and count it as clock skew."
            )


def _split(order, slip):
    if slip["excluded"]:
        return []
    expected, arrival, filled = (
        shown(price) for price in (order.expected_price, order.arrival_price, order.filled_price)
    )
    whole = ("Slippage", expected, filled, digits(slip["bps"]))
    if slip["delay_bps"] is None:
        return [whole]
    return [
        ("Delay", expected, arrival, digits(slip["delay_bps"])),
        ("Execution", arrival, filled, digits(slip["execution_bps"])),
        whole,
    ]
