"""How long orders take, from the signal to the fill. Pure arithmetic on the shared ground of `metrics`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from .metrics import MICROSECOND, by_interval, check_intervals, mean, newest, number, percentile

STAGES = {
    "decision": ("signal_at", "sent_at"),
    "acknowledgement": ("sent_at", "acknowledged_at"),
    "fill": ("acknowledged_at", "filled_at"),
    "execution": ("sent_at", "filled_at"),
    "total": ("signal_at", "filled_at"),
}
LATENCY_PRECEDENCE = ("total", "execution", "acknowledgement", "decision")
HISTOGRAM_BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
BOUNDS = [bound * 1000 for bound in HISTOGRAM_BOUNDS_MS]


class OrderTimes(NamedTuple):
    order: Any
    trade: Any
    signal_at: datetime | None
    sent_at: datetime | None
    acknowledged_at: datetime | None
    filled_at: datetime | None

    @property
    def at(self) -> datetime | None:
        return self.signal_at or self.sent_at or self.acknowledged_at or self.filled_at


def summary(orders: Iterable[OrderTimes], without_instant: int = 0) -> dict:
    """`without_instant` orders are known of and left out, because no span of time holds them."""
    orders = list(orders)
    return summary_of_gaps([_gaps(orders, stage) for stage in STAGES], len(orders), without_instant)


def summary_of_gaps(stages: Iterable[list[int]], count: int, without_instant: int = 0) -> dict:
    """As `summary` of so many orders; `stages` are the gaps of each, in microseconds and ascending."""
    return {
        "count": count,
        "excluded": {"no_instant": without_instant} if without_instant else {},
        "unit": "ms",
        "method": "linear",
        "stages": {stage: _stage_figures(gaps, count) for stage, gaps in zip(STAGES, stages, strict=True)},
    }


def records(orders: Iterable[OrderTimes], limit: int) -> list[dict]:
    return [record(order) for order in newest(orders, lambda order: order.at, limit)]


def record(order: OrderTimes) -> dict:
    gaps = {stage: _milliseconds(_gap(order, stage)) for stage in STAGES}
    return {
        "order": order.order,
        "trade": order.trade,
        "latency_ms": next((gaps[stage] for stage in LATENCY_PRECEDENCE if gaps[stage] is not None), None),
        **{f"{stage}_ms": gap for stage, gap in gaps.items()},
        "timestamp": order.at,
    }


def series(orders: Iterable[OrderTimes], interval: str) -> list[dict]:
    groups = by_interval(orders, lambda order: order.at, interval)
    check_intervals(len(groups))
    return [series_row(start, len(group), [_gaps(group, stage) for stage in STAGES]) for start, group in groups]


def series_row(start: datetime, count: int, stages: Iterable[list[int]]) -> dict:
    """Of one interval; `stages` are the gaps of each, in microseconds and ascending."""
    row = {"start": start, "count": count}
    for stage, gaps in zip(STAGES, stages, strict=True):
        figures = {f"p{q}": _milliseconds(percentile(gaps, q)) for q in (50, 95, 99)}
        row[stage] = {"count": len(gaps), **figures}
    return row


def _gap(order: OrderTimes, stage: str) -> int | None:
    """Whole microseconds, so that the raw gaps are exact until the last division."""
    start, end = (getattr(order, stamp) for stamp in STAGES[stage])
    return None if start is None or end is None else (end - start) // MICROSECOND


def _gaps(orders: list[OrderTimes], stage: str) -> list[int]:
    return sorted(gap for order in orders if (gap := _gap(order, stage)) is not None)


def _milliseconds(microseconds) -> float | None:
    return None if microseconds is None else number(microseconds / 1000)


def _stage_figures(gaps: list[int], orders: int) -> dict:
    reached = [0, *(bisect_right(gaps, bound) for bound in BOUNDS), len(gaps)]
    bounds = [after - before for before, after in pairwise(reached)]
    negative = sum(gap < 0 for gap in gaps)
    return stage_answer(len(gaps), orders, negative, mean(gaps), lambda q: percentile(gaps, q), bounds)


def stage_answer(
    count: int, orders: int, negative: int, mean: float | None, percentile: Callable, bounds: list[int]
) -> dict:
    """One stage's figures from microseconds; `bounds` counts the gaps up to each of BOUNDS, and those above."""
    return {
        "count": count,
        "missing": orders - count,
        "clock_skew": negative,
        "min": _milliseconds(percentile(0)),
        "mean": _milliseconds(mean),
        **{f"p{q}": _milliseconds(percentile(q)) for q in (50, 90, 95, 99)},
        "max": _milliseconds(percentile(100)),
        "histogram": [
            {"le": le, "count": number} for le, number in zip((*HISTOGRAM_BOUNDS_MS, None), bounds, strict=True)
        ],
    }


DEFINITIONS = {
    "since": "Orders whose timestamp is this instant or later; null: from the first one.",
    "until": "Orders whose timestamp is before this instant; null: to the last one.",
    "window": "The trailing time asked for: since = as_of - window.",
    "count": (
        "Orders in scope and span; without since, until and window also those without any time stamp. Within a "
        "stage: orders with both of its stamps."
    ),
    "excluded": (
        "Orders in scope that are in no figure, by reason: no_instant (a span is asked for and the order has no time "
        "stamp). A stage counts by itself what it misses."
    ),
    "unit": "Gaps are in milliseconds, exact to the microsecond.",
    "method": (
        "linear: percentiles interpolate linearly between closest ranks (Hyndman-Fan type 7) over the raw gaps. "
        "log-bucket, <= 1 %: from 50,000 orders on, the same over gaps that are each taken for the middle of a bucket, "
        "less than 1 % away; every other figure is exact."
    ),
    "stages": "Per stage the figures over all orders that carry both of its time stamps.",
    "decision": "sent_at - signal_at: from the strategy's signal to the order leaving.",
    "acknowledgement": "acknowledged_at - sent_at: from the order leaving to the broker's confirmation.",
    "fill": "filled_at - acknowledged_at: from the broker's confirmation to the fill.",
    "execution": "filled_at - sent_at: from the order leaving to the fill.",
    "total": "filled_at - signal_at: from the strategy's signal to the fill.",
    "min": "Smallest gap of the stage.",
    "mean": "Arithmetic mean of the stage's gaps.",
    "p50": "Median gap of the stage.",
    "p90": "90th percentile of the stage's gaps.",
    "p95": "95th percentile of the stage's gaps.",
    "p99": "99th percentile of the stage's gaps.",
    "max": "Largest gap of the stage.",
    "missing": "Orders left out of the stage because one or both of its time stamps are unknown.",
    "clock_skew": ("Negative gaps (the later stamp is the earlier instant); they stay in every figure, unclipped."),
    "histogram": ("Gaps in (previous le, le] ms, not cumulative; le null is open above; negatives are in the first."),
    "latency_ms": ("Of one order: total, else execution, else acknowledgement, else decision; null without any."),
    "timestamp": "Of one order: the first known of signal_at, sent_at, acknowledged_at, filled_at.",
    "records": "The newest orders by timestamp, those without one last.",
    "series": (
        "Per UTC interval of the orders' timestamp; orders without one and empty intervals are left out. Its "
        "percentiles are linear and exact, whatever method says of the stages."
    ),
}
