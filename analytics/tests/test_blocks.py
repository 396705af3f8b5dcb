"""Blocks of closed trades against the trades themselves: the same figures, however they are cut."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import blocks, performance
from analytics.queries import json_ready
from support_platform.tests.properties.strategies import MANY, decimals

START = datetime(2026, 3, 2, tzinfo=UTC)
# Few instants over a few days, so that many trades close at the same one.
moments = st.integers(0, 40).map(lambda hours: START + timedelta(hours=3 * hours))
amounts = st.integers(-3, 3).map(Decimal) | decimals
capitals = st.none() | amounts.filter(lambda amount: amount > 0)
trades = st.lists(
    st.builds(
        lambda closed_at, held, result, fees: performance.ClosedTrade(
            0, closed_at - timedelta(microseconds=held), closed_at, result, abs(fees)
        ),
        moments,
        st.integers(0, 10**9),
        amounts,
        amounts,
    ),
    max_size=30,
)


def columns(rows):
    rows = sorted(rows, key=lambda row: row.closed_at)
    return blocks.Columns(
        [blocks.microseconds(row.closed_at) for row in rows],
        [blocks.microseconds(row.taken_at) for row in rows],
        [blocks.units(row.result) for row in rows],
        [blocks.units(row.fees) for row in rows],
    )


def cut_anywhere(rows, random):
    """Blocks between any two instants."""
    rows = sorted(rows, key=lambda row: row.closed_at)
    parts = [[]]
    for _, tied in groupby(rows, key=lambda row: row.closed_at):
        if parts[-1] and random.random() < 0.4:
            parts.append([])
        parts[-1].extend(tied)
    return [blocks.block(columns(part)) for part in parts if part]


def packed_and_unpacked(rows):
    return [blocks.Block.unpacked(*row.packed()) for row in rows]


@MANY
@given(trades=trades, capital=capitals, random=st.randoms())
def test_blocks_fold_to_the_figures_of_their_trades(trades, capital, random, tried):
    tried()
    found = packed_and_unpacked(cut_anywhere(trades, random))

    assert json_ready(blocks.summary(found, capital, 3)) == json_ready(performance.summary(trades, capital, 3))
    assert blocks.figures(found, capital) == performance.figures(trades, capital)
    assert blocks.series(found, capital) == performance.series(trades, "day", capital)


@pytest.mark.parametrize("steps", [1000, 1001, 5000])
def test_a_long_curve_is_thinned_to_the_same_points(steps, random_trades):
    rows = random_trades(steps)
    found = blocks.cut_tail(columns(rows))

    assert [row.trades for row in found] == [blocks.BLOCK] * (steps // blocks.BLOCK) + [steps % blocks.BLOCK]
    for capital in (None, Decimal(10)):
        assert json_ready(blocks.summary(found, capital)) == json_ready(performance.summary(rows, capital))
        assert blocks.series(found, capital) == performance.series(rows, "day", capital)


def test_blocks_are_cut_evenly_and_never_within_an_instant(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 4)
    hours = [1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 8]
    rows = [performance.ClosedTrade(0, START, START + timedelta(hours=h), Decimal(h), Decimal(0)) for h in hours]

    assert [row.trades for row in blocks.cut(columns(rows))] == [6, 1, 4]
    assert [row.trades for row in blocks.cut_tail(columns(rows))] == [6, 4, 1]
    assert blocks.cut(columns([])) == blocks.cut_tail(columns([])) == []


def test_amounts_beyond_eight_bytes_are_kept():
    hours = range(5)
    rows = [
        performance.ClosedTrade(
            0, START, START + timedelta(hours=h), Decimal("999999999999999999.123456789012"), Decimal(1)
        )
        for h in hours
    ]
    block = blocks.block(columns(rows))

    assert blocks.Block.unpacked(*block.packed()) == block
    assert json_ready(blocks.summary([block])) == json_ready(performance.summary(rows))


@pytest.fixture
def random_trades():
    from random import Random

    def make(count):
        random = Random(count)
        return [
            performance.ClosedTrade(
                0,
                START + timedelta(minutes=17 * n),
                START + timedelta(minutes=17 * n, microseconds=random.randrange(10**9)),
                Decimal(random.randrange(-1000, 1010)) / 100,
                Decimal(random.randrange(100)) / 100,
            )
            for n in range(count)
        ]

    return make
