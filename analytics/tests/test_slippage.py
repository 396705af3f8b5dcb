"""API: get slippage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from analytics.serializers import SlippageSerializer
from trading.tests.factories import OrderFactory, TradeFactory

from .shape import assert_shape

PATH = "analytics/slippage/"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def fill(user, expected, filled, quantity="1", minutes=0, **values):
    at = START + timedelta(minutes=minutes)
    prices = {"expected_price": expected, "filled_price": filled, "filled_quantity": quantity}
    prices = {name: None if price is None else Decimal(price) for name, price in prices.items()}
    return OrderFactory(user=user, **{"sent_at": at, "filled_at": at, **prices, **values})


def test_tells_the_slippage_of_orders(viewer, trader):
    bought = fill(trader, "100", "101", "3", symbol="BTC/USDT")  # 100 bps, costs 3
    sold = fill(trader, "200", "202", side="sell")  # -100 bps, costs -2
    even = fill(trader, "50", "50", "2", side="sell", symbol="BTC/USDT")  # 0
    unknown = fill(trader, "100", "104", None, symbol="BTC/USDT")  # 400 bps, cost unknown
    fill(trader, None, "100")
    fill(trader, "100", None, filled_at=None)

    answer = viewer.get(PATH, user=trader.pk, interval="hour").json()

    assert (answer["scope"], answer["unit"]) == ({"user": trader.pk}, "bps")
    assert answer["sign"] == "positive = cost to the trader"
    assert (answer["count"], answer["excluded"]) == (4, {"not_filled": 1, "no_expected_price": 1})
    assert (answer["mean_bps"], answer["weighted_mean_bps"]) == (100.0, 16.666667)
    assert [answer[f"p{q}_bps"] for q in (5, 50, 95, 99)] == [-85.0, 50.0, 355.0, 391.0]
    assert (answer["worst_bps"], answer["best_bps"], answer["total_cost"]) == (400.0, -100.0, "1")
    assert [answer[f"{kind}_share"] for kind in ("adverse", "favourable", "zero")] == [0.5, 0.25, 0.25]
    assert answer["by_side"] == {
        "buy": {"count": 2, "mean_bps": 250.0, "total_cost": "3"},
        "sell": {"count": 2, "mean_bps": -50.0, "total_cost": "-2"},
    }
    assert answer["by_symbol"] == [
        {"symbol": "BTC/USDT", "count": 3, "mean_bps": 166.666667, "total_cost": "3"},
        {"symbol": "EUR/USD", "count": 1, "mean_bps": -100.0, "total_cost": "-2"},
    ]
    assert answer["worst"] == [
        {"order": unknown.pk, "bps": 400.0, "cost": None},
        {"order": bought.pk, "bps": 100.0, "cost": "3"},
        {"order": even.pk, "bps": 0.0, "cost": "0"},
        {"order": sold.pk, "bps": -100.0, "cost": "-2"},
    ]
    assert (answer["delay_bps"], answer["execution_bps"]) == (None, None)
    assert answer["series"] == [
        {
            "start": "2026-03-02T10:00:00Z",
            "count": 4,
            "mean_bps": 100.0,
            "weighted_mean_bps": 16.666667,
            "p50_bps": 50.0,
            "p95_bps": 355.0,
            "total_cost": "1",
        }
    ]
    assert_shape(answer, SlippageSerializer())


def test_delay_and_execution_add_up(viewer, trader):
    fill(trader, "100", "103", arrival_price=Decimal("101"))
    fill(trader, "100", "95")

    answer = viewer.get(PATH, user=trader.pk).json()

    assert (answer["split_count"], answer["delay_bps"], answer["execution_bps"]) == (1, 100.0, 200.0)


def test_real_orders_without_prices_are_excluded_and_counted(viewer, trader, tokyo):
    answer = viewer.get(PATH, user=trader.pk).json()

    assert answer["count"] == tokyo["slippage_bps"]["count"] == 0
    assert answer["excluded"] == {
        "not_filled": tokyo["rows"] - tokyo["filled"],
        "no_expected_price": tokyo["filled"],
    }


def test_a_record_tells_prices_slippage_and_why_there_is_none(viewer, trader):
    trade = TradeFactory(deployment__user=trader, deployment__strategy__user=trader)
    counted = fill(trader, "100", "101.5", "2", arrival_price=Decimal("101"), trade=trade, minutes=1)
    excluded = fill(trader, None, "101.5")

    answer = viewer.get(PATH, user=trader.pk).json()

    assert answer["records"] == [
        {
            "order": counted.pk,
            "trade": trade.pk,
            "symbol": "EUR/USD",
            "side": "buy",
            "bps": 150.0,
            "cost": "3",
            "delay_bps": 100.0,
            "execution_bps": 50.0,
            "expected_price": "100",
            "arrival_price": "101",
            "filled_price": "101.5",
            "filled_quantity": "2",
            "excluded": None,
            "timestamp": "2026-03-02T10:01:00Z",
        },
        {
            "order": excluded.pk,
            "trade": None,
            "symbol": "EUR/USD",
            "side": "buy",
            "bps": None,
            "cost": None,
            "delay_bps": None,
            "execution_bps": None,
            "expected_price": None,
            "arrival_price": None,
            "filled_price": "101.5",
            "filled_quantity": "1",
            "excluded": "no_expected_price",
            "timestamp": "2026-03-02T10:00:00Z",
        },
    ]
    assert_shape(answer, SlippageSerializer())


def test_an_order_without_any_instant_counts_only_without_a_span(viewer, trader):
    fill(trader, "100", "101")
    fill(trader, "100", "103", sent_at=None, filled_at=None)

    everything = viewer.get(PATH, user=trader.pk).json()
    limited = viewer.get(PATH, user=trader.pk, since="2026-03-01T00:00:00Z").json()

    nothing = {"not_filled": 0, "no_expected_price": 0}
    assert (everything["count"], everything["excluded"]) == (2, nothing)
    assert (limited["count"], limited["excluded"]) == (1, {**nothing, "no_instant": 1})


def test_costs_are_exact(viewer, trader):
    digits = "123456789012345678.123456789012"
    order = fill(trader, digits, "0.000000000001", "0.000000000003", side="sell")

    answer = viewer.get(PATH, user=trader.pk).json()

    exact = Decimal(f"{(int(digits.replace('.', '')) - 1) * 3}E-24")
    assert Decimal(answer["total_cost"]) == Decimal(answer["records"][0]["cost"]) == exact
    assert answer["records"][0]["expected_price"] == digits
    assert "E" not in answer["total_cost"]
    assert answer["worst"][0]["order"] == order.pk


def test_a_trader_without_orders(viewer, trader):
    answer = viewer.get(PATH, user=trader.pk, interval="day").json()

    assert (answer["count"], answer["excluded"]) == (0, {"not_filled": 0, "no_expected_price": 0})
    assert (answer["total_cost"], answer["without_quantity"], answer["split_count"]) == ("0", 0, 0)
    assert {value for key, value in answer.items() if key.endswith(("_bps", "_share"))} == {None}
    assert [answer[name] for name in ("by_symbol", "worst", "series", "records")] == [[], [], [], []]
    assert_shape(answer, SlippageSerializer())
