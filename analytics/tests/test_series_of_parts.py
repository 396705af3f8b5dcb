"""Series made part by part from columns: as from the rows, wherever the parts are cut, and never too long."""

from datetime import timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import blocks, latency, latency_blocks, metrics, performance, slippage, slippage_blocks, stretches
from support_platform.tests.properties.strategies import MANY

from .test_blocks import START, capitals, columns, trades
from .test_slippage_blocks import prices

intervals = st.sampled_from(metrics.INTERVALS)
# Few instants, so that several orders share one, and that an interval holds several instants.
instants = st.integers(0, 60).map(lambda number: START + timedelta(minutes=number // 3, hours=7 * (number % 5)))
stamps = st.none() | st.integers(-(10**6), 10**9).map(timedelta.resolution.__mul__)
times = st.lists(st.tuples(instants, stamps, stamps, stamps), max_size=30)
fills = st.lists(
    st.tuples(instants, st.sampled_from(["buy", "sell"]), prices, prices, prices, st.booleans()), max_size=30
)


def parts_of(rows, instant, random):
    """The rows in the order of time, cut anywhere between two instants."""
    parts = [[]]
    for _, tied in groupby(sorted(rows, key=instant), key=instant):
        if random.random() < 0.4:
            parts.append([])
        parts[-1] += tied
    return parts


def microseconds(at):
    return latency_blocks.UNKNOWN if at is None else blocks.microseconds(at)


def column(rows, *names):
    return [[getattr(row, name) for row in rows] for name in names]


@MANY
@given(rows=trades, capital=capitals, interval=intervals, random=st.randoms())
def test_performance(rows, capital, interval, random, tried):
    tried()
    length = blocks.INTERVALS[interval]
    parts = [part for part in parts_of(rows, lambda trade: trade.closed_at, random) if part]
    found = [blocks.block(columns(part), length) for part in parts]

    assert blocks.series(found, capital, length) == performance.series(rows, interval, capital)


@MANY
@given(rows=times, interval=intervals, random=st.randoms())
def test_latency(rows, interval, random, tried):
    tried()
    orders = [
        latency.OrderTimes(number, None, at, *(gap if gap is None else at + gap for gap in gaps))
        for number, (at, *gaps) in enumerate(rows)
    ]
    names = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
    found = [
        latency_blocks.Columns(*([*map(microseconds, values)] for values in column(part, "at", *names)))
        for part in parts_of(orders, lambda order: order.at, random)
    ]

    assert latency_blocks.series(found, blocks.INTERVALS[interval]) == latency.series(orders, interval)


@MANY
@given(rows=fills, interval=intervals, random=st.randoms())
def test_slippage(rows, interval, random, tried):
    tried()
    orders = [
        slippage.OrderPrices(
            number, None, "EUR/USD", side, expected, None, filled, quantity and abs(quantity), at, at if known else None
        )
        for number, (at, side, expected, filled, quantity, known) in enumerate(rows)
    ]

    def whole(values):
        return [None if value is None else blocks.units(value) for value in values]

    found = []
    for part in parts_of(orders, lambda order: order.at, random):
        ids, symbols, sides = column(part, "order", "symbol", "side")
        amounts = map(whole, column(part, *slippage_blocks.Columns._fields[4:8]))
        placed, filled = [*map(microseconds, column(part, "at")[0])], [order.filled_at is not None for order in part]
        found.append(slippage_blocks.Columns(placed, ids, symbols, sides, *amounts, filled))

    assert slippage_blocks.series(found, blocks.INTERVALS[interval]) == slippage.series(orders, interval)


def test_no_more_is_read_than_a_series_may_have(monkeypatch):
    monkeypatch.setattr(metrics, "MAX_INTERVALS", 2)
    read = []

    def parts():
        for day in range(9):
            read.append(day)
            yield latency_blocks.Columns(*([day * blocks.DAY] for _ in range(5)))

    with pytest.raises(metrics.TooManyIntervals):
        list(stretches.by_interval(parts(), blocks.DAY))
    assert read == [0, 1, 2]
