"""
The ground of the analytics' arithmetic; `latency`, `slippage` and `performance` stand on it.

All four are pure: no Django, no clock, no I/O. Instants are aware datetimes; money is Decimal and added up
exactly; ratios, percentages, basis points and milliseconds are floats rounded to 6 decimals. No figure
depends on the order of the rows. What each figure means stands in the three modules' `DEFINITIONS`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context
from heapq import nlargest

# Products of a 31-digit difference with a 30-digit quantity, and sums of many of them, stay exact.
EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
INTERVALS = ("minute", "hour", "day")
# A series has no more than this.
MAX_INTERVALS = 5000
MICROSECOND = timedelta(microseconds=1)


class TooManyIntervals(Exception):
    """More than MAX_INTERVALS: nothing was made of them."""


def percentile(sorted_values, q: int):
    """The q-th percentile (0..100) by linear interpolation: Hyndman-Fan type 7, numpy's default."""
    if not sorted_values:
        return None
    index, rest = divmod((len(sorted_values) - 1) * q, 100)
    lower = sorted_values[index]
    return lower + (sorted_values[index + 1] - lower) * rest / 100 if rest else lower


def number(value) -> float | None:
    """A float of 6 decimals, never the negative zero; None stays None."""
    return None if value is None else float(round(value, 6)) + 0.0


def mean(values):
    return sum(values) / len(values) if values else None


def newest(rows: Iterable, instant: Callable, limit: int) -> list:
    """The rows of the latest instants, those without one last; among equals the larger id, their first value."""
    return nlargest(limit, rows, key=lambda row: (instant(row) is not None, instant(row), row[0]))


def check_intervals(count: int) -> None:
    """:raises TooManyIntervals: for more than a series has"""
    if count > MAX_INTERVALS:
        raise TooManyIntervals


def by_interval(rows: Iterable, instant: Callable, interval: str) -> list[tuple[datetime, list]]:
    """The rows by UTC minute, hour or day of their instant, ascending; without an instant in none."""
    if interval not in INTERVALS:
        raise ValueError(f"interval {interval!r} is unknown, use one of: {', '.join(INTERVALS)}")
    zeroed = {"minute": {}, "hour": {"minute": 0}, "day": {"minute": 0, "hour": 0}}[interval]
    buckets = defaultdict(list)
    for row in rows:
        if at := instant(row):
            buckets[at.astimezone(UTC).replace(second=0, microsecond=0, **zeroed)].append(row)
    return sorted(buckets.items())
