"""Blocks of slippage against the orders themselves: all exact but the percentiles, and these within one per cent."""

from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import blocks, slippage, slippage_blocks
from analytics.queries import json_ready
from support_platform.tests.properties.strategies import MANY, decimals

START = datetime(2026, 3, 2, tzinfo=UTC)
PERCENTILES = ("p5_bps", "p50_bps", "p95_bps", "p99_bps")
prices = st.none() | decimals | st.integers(-3, 3).map(Decimal)
orders = st.lists(
    st.builds(
        slippage.OrderPrices,
        st.integers(1, 10**6),
        st.none(),
        st.sampled_from(["EUR/USD", "BTC/USDT", 'odd "one", with \\ and \x1f']),
        st.sampled_from(["buy", "sell"]),
        prices,
        prices,
        prices,
        prices.map(lambda quantity: quantity and abs(quantity)),
        st.just(START),
        st.none() | st.just(START),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda order: order.order,
)


def columns(rows):
    def whole(price):
        return None if price is None else blocks.units(price)

    return slippage_blocks.Columns(
        range(len(rows)),
        [row.order for row in rows],
        [row.symbol for row in rows],
        [row.side for row in rows],
        *([whole(getattr(row, name)) for row in rows] for name in slippage_blocks.Columns._fields[4:8]),
        [row.filled_at is not None for row in rows],
    )


def packed_and_unpacked(found):
    return [slippage_blocks.Block.unpacked(block.first, block.last, block.size, block.packed()) for block in found]


def assert_alike(found, expected):
    found, expected = dict(found), dict(expected)
    assert (found.pop("method"), expected.pop("method")) == ("log-bucket, <= 1 %", "linear")
    for name in PERCENTILES:
        bps, true = found.pop(name), expected.pop(name)
        assert bps == (None if true is None else pytest.approx(true, rel=0.01, abs=0.000001))
    assert json_ready(found) == json_ready(expected)


@MANY
@given(rows=orders, random=st.randoms(), left_out=st.integers(0, 2))
def test_blocks_fold_to_the_figures_of_their_orders(rows, random, left_out, tried):
    tried()
    ends = sorted({random.randrange(1, len(rows) + 1) for _ in range(3)} | {len(rows)})
    found = [slippage_blocks.block(columns(rows), *part) for part in zip([0, *ends], ends, strict=False)]

    found = slippage_blocks.summary(packed_and_unpacked(found), left_out)
    expected = slippage.summary(rows, left_out)

    # Of so few orders of any size one per cent of each is not one per cent of what lies between two of them.
    for name in PERCENTILES:
        assert (found.pop(name) is None) == (expected.pop(name) is None)
    assert json_ready(found | {"method": "linear"}) == json_ready(expected)


def test_percentiles_of_many_orders_are_within_one_per_cent():
    random = Random(7)

    def price(value):
        return Decimal(round(value * 10**6)).scaleb(-6)

    rows = []
    for n in range(5000):
        expected = random.lognormvariate(3, 1)
        arrival = expected * random.normalvariate(1.0001, 0.001)
        filled = arrival * random.normalvariate(1.0002, 0.002)
        shown = (price(expected), price(arrival) if n % 3 else None, price(filled), price(random.random()))
        rows.append(slippage.OrderPrices(n, None, f"S{n % 7}", random.choice(["buy", "sell"]), *shown, START, START))

    found = slippage_blocks.summary(slippage_blocks.cut_tail(columns(rows)))

    assert_alike(found, slippage.summary(rows))
