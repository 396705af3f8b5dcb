"""API: get strategy performance."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from analytics import queries
from analytics.serializers import PerformanceSerializer
from trading.models import Deployment
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory, TradeFactory

from .shape import assert_shape

PATH = "analytics/performance/"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
REAL_STRATEGIES = ["long-call", "long-put", "long-stock", "short-call", "short-put", "short-stock"]


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader, capital=Decimal(100))


def close(deployment, hours, result, fees="0", **values):
    """A trade that closes so many hours after START, an hour after it was taken."""
    at = START + timedelta(hours=hours)
    when = {"taken_at": at - timedelta(hours=1), "closed_at": at}
    amounts = {"result": Decimal(result), "fees": Decimal(fees)}
    return TradeFactory(deployment=deployment, **{**when, **amounts, **values})


def open_trade(deployment):
    return TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)


def assert_real_figures(answer, expected):
    assert answer["count"] == answer["trades"] == expected["closed_trades"]
    assert answer["open_trades"] == answer["excluded"]["open"] == expected["open_trades"]
    assert (answer["wins"], answer["losses"]) == (expected["wins"], expected["losses"])
    assert answer["breakevens"] == expected["breakeven"]
    assert answer["win_rate"] == round(expected["win_rate"], 6)
    assert answer["win_rate_decided"] == round(expected["win_rate_excluding_breakeven"], 6)
    assert Decimal(answer["pnl"]) == Decimal(expected["total_pnl_exact"])
    assert Decimal(answer["fees"]) == Decimal(str(expected["total_fees"]))
    assert answer["profit_factor"] == round(expected["profit_factor"], 6)
    for name, theirs in {"expectancy": "expectancy_per_trade", "average_win": "average_win"}.items():
        assert float(answer[name] or "nan") == pytest.approx(expected[theirs] or float("nan"), abs=1e-8, nan_ok=True)
    assert float(answer["average_loss"]) == pytest.approx(expected["average_loss"], abs=1e-8)
    assert float(answer["worst"]) == expected["largest_loss"]
    assert answer["average_holding_seconds"] == pytest.approx(expected["holding_seconds_mean"], abs=1e-6)
    fall = answer["max_drawdown"]
    assert float(fall["absolute"]) == expected["max_drawdown_abs"]
    assert fall["peak_at"] == expected["max_drawdown_peak_at"]
    assert fall["trough_at"] == expected["max_drawdown_trough_at"]


def test_tells_the_performance_of_real_trades(viewer, trader, tastyworks):
    expected, _ = tastyworks

    answer = viewer.get(PATH, user_email=trader.email, interval="day").json()

    assert_real_figures(answer, expected["canonical"])
    assert answer["gross_pnl"] == "180.580001"  # the log rounds results and fees row by row
    assert [answer[name] for name in ("starting_capital", "return_pct", "sharpe_ratio")] == [None] * 3
    assert answer["sharpe_ratio_reason"] == "no_starting_capital"
    assert (answer["slippage_cost"], len(answer["records"])) == ("0", 30)
    assert sum(Decimal(row["pnl"]) for row in answer["series"]) == Decimal(answer["pnl"])
    assert answer["equity_curve"][-1]["equity"] == answer["series"][-1]["equity"] == answer["pnl"]
    assert_shape(answer, PerformanceSerializer())


@pytest.mark.parametrize("name", REAL_STRATEGIES)
def test_tells_the_performance_of_each_real_strategy(viewer, tastyworks, name):
    expected, strategies = tastyworks

    answer = viewer.get(PATH, strategy=strategies[name].pk).json()

    assert answer["scope"] == {"strategy": strategies[name].pk}
    assert_real_figures(answer, expected["by_strategy"][name])
    assert answer["profit_factor_reason"] is None


def test_tells_the_performance_of_real_trades_on_a_starting_capital(viewer, trader, tastyworks):
    expected = tastyworks[0]["recomputed"]["equity with ASSUMED base 25000.0 USD"]
    Deployment.objects.filter(pk=Deployment.objects.first().pk).update(capital=25000)

    answer = viewer.get(PATH, user=trader.pk).json()

    assert answer["starting_capital"] == "25000"
    assert answer["sharpe_ratio"] == round(expected["empyrical.sharpe_ratio daily(365)"], 6)
    assert answer["max_drawdown"]["percent"] == round(-100 * expected["empyrical.max_drawdown per trade close"], 6)
    assert answer["return_pct"] == round(100 * expected["empyrical.cum_returns_final"], 6)
    assert float(answer["equity_curve"][-1]["equity"]) == expected["final_balance"]


def test_the_curve_starts_at_the_capital_and_ties_are_one_step(viewer, deployment):
    close(deployment, 1, "-50")
    close(deployment, 1, "20")
    close(deployment, 2, "50", fees="1.5")

    answer = viewer.get(PATH, deployment=deployment.pk).json()

    assert answer["equity_curve"] == [
        {"at": "2026-03-02T11:00:00Z", "equity": "70", "drawdown": "30"},
        {"at": "2026-03-02T12:00:00Z", "equity": "120", "drawdown": "0"},
    ]
    assert answer["max_drawdown"] == {
        "absolute": "30",
        "percent": 30.0,
        "peak_at": None,
        "trough_at": "2026-03-02T11:00:00Z",
        "recovered_at": "2026-03-02T12:00:00Z",
    }
    assert (answer["pnl"], answer["fees"], answer["gross_pnl"], answer["return_pct"]) == ("20", "1.5", "21.5", 20.0)


def test_a_span_selects_by_close_and_open_trades_are_those_of_now(viewer, deployment):
    close(deployment, 0, "5")
    close(deployment, 24, "7", taken_at=START)
    open_trade(deployment)

    answer = viewer.get(
        PATH, deployment=deployment.pk, since="2026-03-03T00:00:00Z", until="2026-03-04T00:00:00Z"
    ).json()

    assert (answer["trades"], answer["pnl"], answer["open_trades"]) == (1, "7", 1)
    assert answer["equity_curve"] == [{"at": "2026-03-03T10:00:00Z", "equity": "107", "drawdown": "0"}]


def test_starting_capital_is_the_sum_of_the_deployments_in_scope(viewer, trader, deployment):
    DeploymentFactory(user=trader, strategy=deployment.strategy, capital=Decimal("999999999999999000"))
    DeploymentFactory(user=trader, strategy=deployment.strategy, capital=None)
    DeploymentFactory(user=trader, strategy=StrategyFactory(user=trader), capital=Decimal("0.000000000001"))
    DeploymentFactory(capital=Decimal(7))

    def capital(**scope):
        return viewer.get(PATH, **scope).json()["starting_capital"]

    assert capital(deployment=deployment.pk) == "100"
    assert capital(strategy=deployment.strategy_id) == "999999999999999100"
    assert capital(user=trader.pk) == "999999999999999100.000000000001"


def test_slippage_cost_is_that_of_the_same_trades(viewer, trader, deployment):
    def order(trade, filled, **values):
        prices = {"expected_price": Decimal(100), "filled_price": Decimal(filled), "filled_quantity": Decimal(2)}
        OrderFactory(user=trader, trade=trade, **{**prices, **values})

    early, late, still_open = close(deployment, 0, "5"), close(deployment, 24, "5"), open_trade(deployment)
    order(early, "101")
    order(late, "103")
    order(late, "99", side="sell")
    order(late, "99", expected_price=None)
    order(still_open, "200")
    order(None, "200", deployment=deployment)

    def cost(**span):
        return viewer.get(PATH, deployment=deployment.pk, **span).json()["slippage_cost"]

    assert cost() == "10"
    assert cost(since="2026-03-03T00:00:00Z") == "8"
    assert cost(until="2026-03-02T00:00:00Z") == "0"


def test_a_record_tells_a_closed_trade(viewer, deployment):
    older, newer = close(deployment, 1, "0"), close(deployment, 2, "-12.5", fees="0.5", side="short")
    open_trade(deployment)

    answer = viewer.get(PATH, deployment=deployment.pk).json()

    assert answer["records"][0] == {
        "trade": newer.pk,
        "strategy": deployment.strategy_id,
        "deployment": deployment.pk,
        "symbol": "EUR/USD",
        "side": "short",
        "result": "-12.5",
        "fees": "0.5",
        "taken_at": "2026-03-02T11:00:00Z",
        "closed_at": "2026-03-02T12:00:00Z",
        "outcome": "loss",
    }
    assert [(row["trade"], row["outcome"]) for row in answer["records"]] == [
        (newer.pk, "loss"),
        (older.pk, "breakeven"),
    ]
    assert_shape(answer, PerformanceSerializer())


def test_money_is_exact_beyond_the_digits_of_one_row(viewer, deployment):
    close(deployment, 1, "999999999999999000")
    close(deployment, 2, "0.000000000001")

    answer = viewer.get(PATH, deployment=deployment.pk).json()

    assert answer["pnl"] == "999999999999999000.000000000001"
    assert answer["equity_curve"][-1]["equity"] == "999999999999999100.000000000001"


def test_without_losses_the_profit_factor_is_null_with_a_reason(viewer, deployment):
    close(deployment, 1, "5")

    answer = viewer.get(PATH, deployment=deployment.pk).json()

    assert (answer["profit_factor"], answer["profit_factor_reason"]) == (None, "no_losses")


def test_a_trader_without_trades(viewer, trader):
    answer = viewer.get(PATH, user=trader.pk, interval="day").json()

    counts = ("count", "trades", "open_trades", "wins", "losses", "breakevens")
    assert [answer[name] for name in counts] == [0] * 6
    figures = {name for name, field in PerformanceSerializer().fields.items() if field.allow_null}
    told = {"since", "until", "window", "profit_factor_reason", "sharpe_ratio_reason"}
    assert len(figures - told) == 15
    assert {answer[name] for name in figures - told} == {None}
    assert set(answer["max_drawdown"].values()) == {None}
    assert (answer["profit_factor_reason"], answer["sharpe_ratio_reason"]) == ("no_trades", "no_trades")
    assert (answer["equity_curve"], answer["series"], answer["records"]) == ([], [], [])
    assert answer["slippage_cost"] == "0"
    assert_shape(answer, PerformanceSerializer())


def test_the_figures_of_a_deployment_are_those_of_the_api(viewer, deployment):
    close(deployment, 1, "20")
    close(deployment, 2, "-50.5")
    open_trade(deployment)
    close(DeploymentFactory(user=deployment.user, strategy=deployment.strategy), 3, "1000")

    figures = queries.deployment_figures(deployment)

    answer = viewer.get(PATH, deployment=deployment.pk).json()
    assert figures == {name: answer[name] for name in ("win_rate", "pnl", "max_drawdown")}
    assert figures["pnl"] == "-30.5"
    assert figures["max_drawdown"]["trough_at"] == "2026-03-02T12:00:00Z"
    assert json.loads(json.dumps(figures)) == figures


def test_the_figures_of_a_deployment_without_trades_are_null(deployment):
    figures = queries.deployment_figures(deployment)

    assert (figures["win_rate"], figures["pnl"]) == (None, None)
    assert set(figures["max_drawdown"].values()) == {None}
