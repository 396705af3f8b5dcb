"""The arithmetic against definitions spelled out the slow way, over any trades and orders."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from analytics import latency, performance, slippage
from analytics.metrics import EXACT, percentile
from support_platform.tests.properties.strategies import MANY, decimals

START = datetime(2026, 3, 2, tzinfo=UTC)
# Few instants, so that many trades close at the same one.
moments = st.integers(0, 6).map(lambda hours: START + timedelta(hours=hours))
stamps = st.none() | st.integers(-(10**7), 10**7).map(lambda micros: START + timedelta(microseconds=micros))
amounts = decimals | st.integers(-3, 3).map(Decimal)
prices = st.none() | amounts
capitals = st.none() | amounts.filter(lambda amount: amount > 0)
trades = st.lists(
    st.builds(
        lambda closed_at, result, fees: performance.ClosedTrade(
            f"{closed_at} {result} {fees}", closed_at - timedelta(hours=1), closed_at, result, abs(fees)
        ),
        moments,
        amounts,
        amounts,
    ),
    max_size=12,
)
orders_with_times = st.lists(
    st.builds(latency.OrderTimes, st.integers(1, 10**6), st.none(), *[stamps] * 4), max_size=12
)
orders_with_prices = st.lists(
    st.builds(
        slippage.OrderPrices,
        st.integers(1, 10**6),
        st.none(),
        st.sampled_from(["EUR/USD", "BTC/USDT"]),
        st.sampled_from(["buy", "sell"]),
        prices,
        prices,
        prices,
        prices.map(lambda quantity: quantity and abs(quantity)),
        st.just(START),
        st.none() | st.just(START),
    ),
    max_size=12,
)


@MANY
@given(values=st.lists(st.integers(-(10**15), 10**15), min_size=1), q=st.integers(0, 100))
def test_a_percentile_lies_on_the_line_between_its_neighbours(values, q, tried):
    tried()
    values.sort()
    place = Fraction((len(values) - 1) * q, 100)
    lower, upper = values[floor(place)], values[min(floor(place) + 1, len(values) - 1)]

    found = percentile([Fraction(value) for value in values], q)

    assert found == lower + (upper - lower) * (place - floor(place))
    assert values[0] <= found <= values[-1]


@MANY
@given(trades=trades, capital=capitals)
def test_the_deepest_fall_is_the_largest_of_all_falls(trades, capital, tried):
    tried()
    at = sorted({trade.closed_at for trade in trades})
    balances = [capital or Decimal(0)]
    for instant in at:
        balances.append(EXACT.add(balances[-1], exact_sum(t.result for t in trades if t.closed_at == instant)))
    falls = [EXACT.subtract(high, low) for index, high in enumerate(balances) for low in balances[index:]]

    fall = performance.summary(trades, capital)["max_drawdown"]

    assert fall["absolute"] == (max(falls) if trades else None)
    if trades and max(falls):
        trough = balances[1 + at.index(fall["trough_at"])]
        peak = balances[0] if fall["peak_at"] is None else balances[1 + at.index(fall["peak_at"])]
        assert EXACT.subtract(peak, trough) == max(falls)
        assert fall["peak_at"] is None or fall["peak_at"] < fall["trough_at"]
        if fall["recovered_at"] is not None:
            assert fall["recovered_at"] > fall["trough_at"]
            assert balances[1 + at.index(fall["recovered_at"])] >= peak


@MANY
@given(trades=trades, capital=capitals, random=st.randoms())
def test_no_figure_of_performance_depends_on_the_order_of_rows(trades, capital, random, tried):
    tried()
    mixed = list(trades)
    random.shuffle(mixed)

    assert performance.summary(mixed, capital) == performance.summary(trades, capital)
    assert performance.series(mixed, "hour", capital) == performance.series(trades, "hour", capital)


@MANY
@given(trades=trades, capital=capitals)
def test_the_figures_of_performance_add_up(trades, capital, tried):
    tried()
    found = performance.summary(trades, capital)

    assert found["wins"] + found["losses"] + found["breakevens"] == found["trades"] == len(trades)
    if trades:
        assert found["pnl"] == exact_sum(trade.result for trade in trades)
        assert found["gross_pnl"] == EXACT.add(found["pnl"], found["fees"])
        assert found["equity_curve"][-1]["equity"] == EXACT.add(capital or Decimal(0), found["pnl"])
        assert found["worst"] <= found["best"]
        assert exact_sum(row["pnl"] for row in performance.series(trades, "day", capital)) == found["pnl"]


@MANY
@given(orders=orders_with_times, random=st.randoms())
def test_each_order_is_in_a_stage_or_missing_from_it(orders, random, tried):
    tried()
    mixed = list(orders)
    random.shuffle(mixed)

    found = latency.summary(orders)

    assert latency.summary(mixed) == found
    for stage in found["stages"].values():
        assert stage["count"] + stage["missing"] == len(orders)
        assert sum(bucket["count"] for bucket in stage["histogram"]) == stage["count"] >= stage["clock_skew"]
        if stage["count"]:
            figures = [stage[name] for name in ("min", "p50", "p90", "p95", "p99", "max")]
            assert figures == sorted(figures)
            assert stage["min"] <= stage["mean"] <= stage["max"]


@MANY
@given(orders=orders_with_prices, random=st.randoms())
def test_each_order_slips_or_is_excluded_and_costs_add_up(orders, random, tried):
    tried()
    mixed = list(orders)
    random.shuffle(mixed)

    found = slippage.summary(orders)

    assert found["count"] + sum(found["excluded"].values()) == len(orders)
    assert slippage.summary(mixed) | {"worst": None} == found | {"worst": None}
    costs = [record["cost"] for record in slippage.records(orders, len(orders)) if record["cost"] is not None]
    assert exact_sum(costs) == (found["total_cost"] or 0)
    assert sum(side["count"] for side in found["by_side"].values()) == found["count"]
    assert sum(symbol["count"] for symbol in found["by_symbol"]) == found["count"]
    if found["count"]:
        figures = [found[f"{name}_bps"] for name in ("best", "p5", "p50", "p95", "p99", "worst")]
        assert figures == sorted(figures)


def exact_sum(amounts):
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
