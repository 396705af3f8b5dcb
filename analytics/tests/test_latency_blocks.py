"""Blocks of gaps against the gaps themselves: all exact but the percentiles, and these within one per cent."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import buckets, latency, latency_blocks
from support_platform.tests.properties.strategies import MANY

START = datetime(2026, 3, 2, tzinfo=UTC)
PERCENTILES = ("p50", "p90", "p95", "p99")
stamps = st.none() | st.integers(-(10**7), 10**12)
gaps = st.integers(-(10**15), 10**15) | st.integers(-300, 300)


def columns(rows):
    """Rows of four stamps in microseconds, None where unknown; placed one after the other."""
    stamps = [[latency_blocks.UNKNOWN if stamp is None else stamp for stamp in row] for row in rows]
    return latency_blocks.Columns(range(len(rows)), *(map(list, zip(*stamps, strict=True)) if rows else [[]] * 4))


def orders(rows):
    return [
        latency.OrderTimes(
            n, None, *(stamp if stamp is None else START + timedelta(microseconds=stamp) for stamp in row)
        )
        for n, row in enumerate(rows)
    ]


def packed_and_unpacked(blocks):
    return [latency_blocks.Block.unpacked(block.first, block.last, block.size, block.packed()) for block in blocks]


def assert_within_one_per_cent(found, expected):
    assert found["count"] == expected["count"]
    for stage, figures in expected["stages"].items():
        for name, value in figures.items():
            if name in PERCENTILES and value is not None:
                assert found["stages"][stage][name] == pytest.approx(value, rel=0.01, abs=0.000001), (stage, name)
            else:
                assert found["stages"][stage][name] == value, (stage, name)


@MANY
@given(gaps=st.lists(gaps | st.integers(-(2**70), 2**70), max_size=9))
def test_numbers_are_counted_in_their_buckets(gaps, tried):
    tried()
    assert buckets.counted(gaps) == buckets.as_counts(Counter(map(buckets.bucket, gaps)))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_edges_of_buckets_are_where_they_are(sign):
    powers = range(60)
    numbers = {sign * ((front << power) + step) for front in range(64, 129) for power in powers for step in (-1, 0, 1)}
    for number in numbers:
        assert list(buckets.counted([number]).buckets) == [buckets.bucket(number)]


@MANY
@given(gap=gaps, other=gaps)
def test_the_middle_of_a_bucket_is_within_one_per_cent_of_its_gaps(gap, other, tried):
    tried()
    bucket = buckets.bucket(gap)
    middle = buckets.middle(bucket)

    assert abs(middle - gap) <= abs(gap) * 0.008
    assert buckets.bucket(round(middle)) == bucket
    assert (gap < other) <= (bucket <= buckets.bucket(other))


def test_neighbouring_gaps_lie_in_the_same_bucket_or_in_the_next():
    found = [buckets.bucket(gap) for gap in range(-5000, 5000)]
    assert {b - a for a, b in pairwise(found)} == {0, 1}


@MANY
@given(rows=st.lists(st.tuples(stamps, stamps, stamps, stamps), min_size=1, max_size=30), random=st.randoms())
def test_blocks_fold_to_the_figures_of_their_orders(rows, random, tried):
    tried()
    all_of_them = columns(rows)
    ends = sorted({random.randrange(1, len(rows) + 1) for _ in range(3)} | {len(rows)})
    blocks = [latency_blocks.block(all_of_them, start, end) for start, end in zip([0, *ends], ends, strict=False)]

    found = latency_blocks.summary(packed_and_unpacked(blocks), 0, is_limited=False)

    expected = latency.summary(orders(rows))
    for stage, figures in found["stages"].items():
        for name, value in figures.items():
            if name not in PERCENTILES:
                assert value == expected["stages"][stage][name], (stage, name)


def test_percentiles_of_many_orders_are_within_one_per_cent():
    random = Random(7)
    rows = []
    for n in range(5000):
        sent = n * 1000 + int(random.lognormvariate(9, 1))
        acknowledged = None if random.random() < 0.01 else sent + int(random.lognormvariate(11, 0.7)) - 20_000
        rows.append((n * 1000, sent, acknowledged, sent + int(random.lognormvariate(12, 1.5))))

    found = latency_blocks.summary(latency_blocks.cut_tail(columns(rows)), 3, is_limited=False)

    assert found["method"] == "log-bucket, <= 1 %"
    expected = latency.summary([*orders(rows), *orders([(None,) * 4] * 3)])
    assert expected["stages"]["acknowledgement"]["clock_skew"] > 10
    assert_within_one_per_cent(found, expected)


def test_blocks_are_cut_evenly_and_never_within_an_instant(monkeypatch):
    monkeypatch.setattr(latency_blocks, "BLOCK", 4)
    placed = [1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 8]
    found = latency_blocks.Columns(placed, placed, placed, placed, placed)

    assert [block.size for block in latency_blocks.cut(found)] == [6, 1, 4]
    assert [block.size for block in latency_blocks.cut_tail(found)] == [6, 4, 1]
