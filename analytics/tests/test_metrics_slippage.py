"""Slippage: its sign, its exclusions and its exactness, in cases small enough to check by hand."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from analytics import slippage

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def amount(text):
    return D(text) if text else None


def order_prices(expected, filled, side="buy", quantity="1", arrival=None, order=1, symbol="BTC/USDT", at=START):
    return slippage.OrderPrices(
        order, 9, symbol, side, amount(expected), amount(arrival), amount(filled), amount(quantity), at, at
    )


@pytest.mark.parametrize(
    ("side", "filled", "bps", "cost"),
    [
        ("buy", "101", 100, "2"),
        ("buy", "99", -100, "-2"),
        ("sell", "99", 100, "2"),
        ("sell", "101", -100, "-2"),
    ],
)
def test_slippage_is_positive_when_it_costs_the_trader(side, filled, bps, cost):
    record = slippage.record(order_prices("100", filled, side=side, quantity="2"))
    assert (record["bps"], record["cost"]) == (bps, D(cost))


def test_slippage_of_a_negative_price_keeps_its_sign():
    assert slippage.record(order_prices("-10", "-9"))["bps"] == 1000


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_slippage_of_nothing_is_a_plain_zero(side):
    record = slippage.record(order_prices("100", "100", side=side, arrival="100"))
    assert [str(record[name]) for name in ("bps", "delay_bps", "execution_bps", "cost")] == ["0.0"] * 3 + ["0"]


def test_slippage_summary_by_hand(shuffled):
    orders = [
        order_prices("100", "101", quantity="3", order=1),  # 100 bps, costs 3
        order_prices("200", "202", side="sell", quantity="1", order=2, symbol="ETH/USDT"),  # -100 bps, -2
        order_prices("50", "50", side="sell", quantity="2", order=3),  # 0
        order_prices("100", "104", quantity=None, order=4),  # 400 bps, cost unknown
    ]

    summary = slippage.summary(shuffled(orders))

    assert summary["count"] == 4
    assert summary["without_quantity"] == 1
    assert summary["mean_bps"] == 100
    assert summary["weighted_mean_bps"] == pytest.approx(1 / 600 * 10_000, abs=1e-6)
    assert (summary["p5_bps"], summary["p50_bps"], summary["p95_bps"]) == (-85, 50, 355)
    assert (summary["best_bps"], summary["worst_bps"]) == (-100, 400)
    assert summary["total_cost"] == 1
    assert [summary[f"{kind}_share"] for kind in ("adverse", "favourable", "zero")] == [0.5, 0.25, 0.25]
    assert summary["by_side"] == {
        "buy": {"count": 2, "mean_bps": 250.0, "total_cost": D(3)},
        "sell": {"count": 2, "mean_bps": -50.0, "total_cost": D(-2)},
    }
    assert [(row["symbol"], row["count"]) for row in summary["by_symbol"]] == [
        ("BTC/USDT", 3),
        ("ETH/USDT", 1),
    ]
    assert [row["order"] for row in summary["worst"]] == [4, 1, 3, 2]
    assert (summary["delay_bps"], summary["execution_bps"], summary["split_count"]) == (None, None, 0)


def test_slippage_counts_exclusions_by_reason():
    orders = [
        order_prices(None, None)._replace(filled_at=None),
        order_prices("100", None)._replace(filled_at=None),
        order_prices(None, "100"),
        order_prices("0", "100"),
        order_prices("100", None),
        order_prices("100", "100"),
    ]

    summary = slippage.summary(orders)

    reasons = [
        "not_filled",
        "not_filled",
        "no_expected_price",
        "zero_expected_price",
        "no_filled_price",
        None,
    ]
    assert summary["excluded"] == {reason: reasons.count(reason) for reason in reasons if reason}
    assert summary["count"] == 1
    assert [slippage.record(order)["excluded"] for order in orders] == reasons


def test_slippage_of_nothing_has_null_figures():
    summary = slippage.summary([])

    assert summary["excluded"] == {"not_filled": 0, "no_expected_price": 0}
    assert (summary["count"], summary["total_cost"], summary["worst"]) == (0, D(0), [])
    assert {value for key, value in summary.items() if key.endswith(("_bps", "_share"))} == {None}
    assert summary["by_side"]["sell"] == {"count": 0, "mean_bps": None, "total_cost": D(0)}


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_slippage_split_adds_up(side):
    prices = random.Random(3)
    orders = [
        order_prices(
            *(str(prices.randint(900, 1100)) for _ in range(2)),
            arrival=str(prices.randint(900, 1100)) if number % 3 else None,
            side=side,
        )
        for number in range(200)
    ]

    split = [order for order in orders if order.arrival_price]
    summary, only_split = slippage.summary(orders), slippage.summary(split)

    assert summary["split_count"] == len(split)
    assert summary["delay_bps"] + summary["execution_bps"] == pytest.approx(only_split["mean_bps"], abs=1e-9)
    for record in map(slippage.record, split):
        assert record["delay_bps"] + record["execution_bps"] == pytest.approx(record["bps"], abs=1e-9)


def test_slippage_cost_is_exact_at_30_digits():
    order = order_prices("123456789012345678.123456789012", "987654321098765432.210987654321")
    order = order._replace(filled_quantity=D("111111111111111111.111111111111"))

    total = slippage.summary([order] * 3)["total_cost"]

    whole = (987654321098765432210987654321 - 123456789012345678123456789012) * 111111111111111111111111111111
    assert total == D(f"{whole * 3}E-24")


def test_slippage_worst_lists_ten_and_settles_ties(shuffled):
    orders = [order_prices("100", "101", quantity=str(number % 2), order=number) for number in range(12)]

    worst = slippage.summary(shuffled(orders))["worst"]

    assert [row["order"] for row in worst] == [1, 3, 5, 7, 9, 11, 0, 2, 4, 6]


def test_slippage_series_by_hand():
    later = START + timedelta(hours=2, minutes=5)
    orders = [
        order_prices("100", "102", at=later),
        order_prices("100", "101"),
        order_prices("100", "103", quantity="3"),
        order_prices(None, "100", at=later + timedelta(hours=1)),
    ]

    first, second = slippage.series(orders, "hour")

    assert first == {
        "start": START,
        "count": 2,
        "mean_bps": 200.0,
        "weighted_mean_bps": 250.0,
        "p50_bps": 200.0,
        "p95_bps": 290.0,
        "total_cost": D(10),
    }
    assert (second["start"], second["count"]) == (START + timedelta(hours=2), 1)


def test_slippage_by_hour_of_the_day_by_hand():
    later = START + timedelta(days=3, hours=4)
    orders = [
        order_prices("100", "101"),
        order_prices("100", "103", at=START + timedelta(days=1)),
        order_prices("100", "99", at=later),
        order_prices("100", "", at=later + timedelta(hours=1)),
        order_prices("100", "150", at=None),
    ]

    hours = slippage.by_hour(orders)

    assert [hour["hour"] for hour in hours] == list(range(24))
    assert hours[10] == {"hour": 10, "count": 2, "mean_bps": 200}
    assert hours[14] == {"hour": 14, "count": 1, "mean_bps": -100}
    assert sum(hour["count"] for hour in hours) == 3
    assert hours[15]["mean_bps"] is None
