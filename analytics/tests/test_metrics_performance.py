"""Performance against the figures of a real trade log, and cases small enough to check by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise

import pytest

from analytics import performance

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def instant(text):
    return datetime.fromisoformat(text) if text else None


@pytest.fixture(scope="session")
def logged_trades(read_log):
    rows, expected = read_log("tastyworks-options", "trades.csv")
    strategies = {"canonical": ([], 0)}
    for number, row in enumerate(rows):
        for key in ("canonical", row["strategy"]):
            closed, still_open = strategies.setdefault(key, ([], 0))
            if row["closed_at"]:
                times = instant(row["taken_at"]), instant(row["closed_at"])
                closed.append(performance.ClosedTrade(number, *times, D(row["result"]), D(row["fees"])))
            else:
                strategies[key] = closed, still_open + 1
    return strategies, expected["trades.csv"]


def closed_trades(*steps, fees="0"):
    """One trade per (hours after START, result), each taken an hour before it closes."""
    return [
        performance.ClosedTrade(
            number, START + timedelta(hours=hour - 1), START + timedelta(hours=hour), D(result), D(fees)
        )
        for number, (hour, result) in enumerate(steps)
    ]


@pytest.mark.parametrize(
    "strategy",
    ["canonical", "long-call", "long-put", "long-stock", "short-call", "short-put", "short-stock"],
)
def test_performance_of_real_trades(logged_trades, strategy):
    strategies, everything = logged_trades
    expected = everything["canonical"] if strategy == "canonical" else everything["by_strategy"][strategy]
    closed, still_open = strategies[strategy]

    summary = performance.summary(closed, open_trades=still_open)

    for key, theirs in {
        "trades": "closed_trades",
        "breakevens": "breakeven",
        "open_trades": "open_trades",
    }.items():
        assert summary[key] == expected[theirs], key
    assert (summary["wins"], summary["losses"]) == (expected["wins"], expected["losses"])
    assert summary["win_rate"] == round(expected["win_rate"], 6)
    assert summary["win_rate_decided"] == round(expected["win_rate_excluding_breakeven"], 6)
    assert summary["pnl"] == D(expected["total_pnl_exact"])
    assert summary["fees"] == D(str(expected["total_fees"]))
    assert summary["profit_factor"] == round(expected["profit_factor"], 6)
    for key, theirs in {
        "expectancy": "expectancy_per_trade",
        "average_win": "average_win",
        "average_loss": "average_loss",
    }.items():
        wanted = expected[theirs]
        assert summary[key] is None if wanted is None else float(summary[key]) == pytest.approx(wanted, abs=1e-8)
    assert float(summary["worst"]) == expected["largest_loss"]
    if expected["wins"]:
        assert float(summary["best"]) == expected["largest_win"]
    assert summary["average_holding_seconds"] == pytest.approx(expected["holding_seconds_mean"], abs=1e-6)
    fall = summary["max_drawdown"]
    assert float(fall["absolute"]) == expected["max_drawdown_abs"]
    assert fall["peak_at"] == instant(expected["max_drawdown_peak_at"])
    assert fall["trough_at"] == instant(expected["max_drawdown_trough_at"])


def test_performance_of_real_trades_before_fees(logged_trades):
    strategies, expected = logged_trades
    closed, _ = strategies["canonical"]

    gross = performance.summary(closed)["gross_pnl"]

    # The log rounds result and fees to 6 decimals row by row, the expected gross has no such rounding.
    assert gross == D("180.580001")
    assert abs(gross - D(expected["canonical_gross_of_fees"]["total_pnl_exact"])) <= D("0.000001")


def test_performance_of_real_trades_on_a_starting_capital(logged_trades):
    strategies, expected = logged_trades
    base = expected["recomputed"]["equity with ASSUMED base 25000.0 USD"]
    closed, _ = strategies["canonical"]

    summary = performance.summary(closed, D(25000))

    assert summary["sharpe_ratio"] == round(base["empyrical.sharpe_ratio daily(365)"], 6)
    assert summary["sharpe_ratio_reason"] is None
    assert summary["max_drawdown"]["percent"] == round(-100 * base["empyrical.max_drawdown per trade close"], 6)
    assert summary["return_pct"] == round(100 * base["empyrical.cum_returns_final"], 6)
    assert float(summary["equity_curve"][-1]["equity"]) == base["final_balance"]


def test_performance_does_not_depend_on_row_order(logged_trades, shuffled):
    strategies, _ = logged_trades
    closed, _ = strategies["canonical"]

    assert performance.summary(shuffled(closed), D(25000)) == performance.summary(closed, D(25000))
    assert performance.series(shuffled(closed), "day", D(25000)) == performance.series(closed, "day", D(25000))


def test_trades_that_close_at_the_same_instant_are_one_step():
    trades = closed_trades((1, "-50"), (1, "80"), (2, "-10"))

    summary = performance.summary(trades, D(100))

    assert [(point["equity"], point["drawdown"]) for point in summary["equity_curve"]] == [
        (130, 0),
        (120, 10),
    ]
    assert summary["max_drawdown"]["absolute"] == 10
    assert summary == performance.summary(trades[::-1], D(100))


def test_drawdown_peak_starts_at_the_starting_capital():
    summary = performance.summary(closed_trades((1, "-30"), (2, "10"), (3, "20")), D(100))

    assert summary["max_drawdown"] == {
        "absolute": D(30),
        "percent": 30.0,
        "peak_at": None,
        "trough_at": START + timedelta(hours=1),
        "recovered_at": START + timedelta(hours=3),
    }


def test_drawdown_is_the_deepest_absolute_fall_in_percent_of_its_own_peak():
    steps = (1, "-50"), (2, "950"), (3, "-100"), (4, "99"), (5, "-1")

    fall = performance.summary(closed_trades(*steps), D(100))["max_drawdown"]

    assert fall["absolute"] == 100
    assert fall["percent"] == 10.0
    assert fall["peak_at"] == START + timedelta(hours=2)
    assert fall["trough_at"] == START + timedelta(hours=3)
    assert fall["recovered_at"] is None


def test_drawdown_peak_is_where_it_was_first_reached():
    steps = (1, "10"), (2, "-5"), (3, "5"), (4, "-20")

    fall = performance.summary(closed_trades(*steps))["max_drawdown"]

    assert (fall["absolute"], fall["peak_at"]) == (20, START + timedelta(hours=1))


@pytest.mark.parametrize(("capital", "percent"), [(None, None), (D(100), 0.0)])
def test_drawdown_without_a_fall_is_zero(capital, percent):
    fall = performance.summary(closed_trades((1, "5"), (2, "0")), capital)["max_drawdown"]

    assert fall == {
        "absolute": D(0),
        "percent": percent,
        "peak_at": None,
        "trough_at": None,
        "recovered_at": None,
    }


def test_profit_factor_without_losses_is_null_with_a_reason():
    summary = performance.summary(closed_trades((1, "5"), (2, "0")))

    assert (summary["profit_factor"], summary["profit_factor_reason"]) == (None, "no_losses")
    assert (summary["win_rate"], summary["win_rate_decided"], summary["breakevens"]) == (0.5, 1.0, 1)
    assert summary["average_loss"] is None


def test_win_rate_decided_is_null_when_nothing_is_decided():
    summary = performance.summary(closed_trades((1, "0")))
    assert (summary["win_rate"], summary["win_rate_decided"]) == (0.0, None)


def test_performance_without_closed_trades():
    summary = performance.summary([], D(100), open_trades=2)

    counts = {"count": 0, "trades": 0, "open_trades": 2, "wins": 0, "losses": 0, "breakevens": 0}
    assert {key: summary.pop(key) for key in counts} == counts
    assert summary.pop("max_drawdown") == dict.fromkeys(("absolute", "percent", "peak_at", "trough_at", "recovered_at"))
    assert summary.pop("equity_curve") == []
    assert summary.pop("starting_capital") == 100
    assert summary.pop("excluded") == {"open": 2}
    assert (summary.pop("profit_factor_reason"), summary.pop("sharpe_ratio_reason")) == (
        "no_trades",
        "no_trades",
    )
    summary.pop("method")
    assert set(summary.values()) == {None}


def test_money_is_exact_at_30_digits():
    trades = closed_trades((1, "123456789012345678.000000000001"), (2, "-0.000000000002"), fees="0.000000000001")

    summary = performance.summary(trades, D("987654321098765432.1"))

    assert str(summary["pnl"]) == "123456789012345677.999999999999"
    assert str(summary["gross_pnl"]) == "123456789012345678.000000000001"
    assert str(summary["equity_curve"][-1]["equity"]) == "1111111110111111110.099999999999"
    assert str(summary["expectancy"]) == "61728394506172839.00000000"


def test_expectancy_rounds_half_even_to_8_decimals():
    summary = performance.summary(closed_trades((1, "0.00000001"), (2, "0.00000002")))
    assert summary["expectancy"] == D("0.00000002")


def test_rounding_leaves_no_negative_zero():
    summary = performance.summary(closed_trades((1, "-0.000000000001"), (2, "0")), D(100))
    assert (f"{summary['expectancy']:f}", str(summary["return_pct"])) == ("0.00000000", "0.0")


@pytest.mark.parametrize(
    ("steps", "capital", "reason"),
    [
        ([(1, "5"), (25, "-5")], None, "no_starting_capital"),
        ([(1, "5"), (2, "-5")], "100", "fewer_than_two_days"),
        ([(1, "10"), (25, "11")], "100", "zero_deviation"),
        ([(1, "0"), (50, "0")], "100", "zero_deviation"),
        ([(1, "-100"), (25, "5")], "100", "equity_not_positive"),
    ],
)
def test_sharpe_ratio_is_null_with_a_reason(steps, capital, reason):
    summary = performance.summary(closed_trades(*steps), capital and D(capital))
    assert (summary["sharpe_ratio"], summary["sharpe_ratio_reason"]) == (None, reason)


def test_sharpe_ratio_counts_days_without_closes():
    summary = performance.summary(closed_trades((1, "10"), (49, "-11")), D(100))
    # Returns 0.1, 0, -0.1: the mean is 0.
    assert summary["sharpe_ratio"] == 0.0

    summary = performance.summary(closed_trades((1, "10"), (49, "22")), D(100))
    # Returns 0.1, 0, 0.2: mean 0.1, deviation 0.1.
    assert summary["sharpe_ratio"] == round(365**0.5, 6)


def test_equity_curve_is_thinned_around_its_peak_and_trough():
    steps = [(hour, "1") for hour in range(3001)]
    steps[1234], steps[1235] = (1234, "500"), (1235, "-700")

    summary = performance.summary(closed_trades(*steps), D(100))

    curve, fall = summary["equity_curve"], summary["max_drawdown"]
    instants = [point["at"] for point in curve]
    assert 990 <= len(curve) <= 1000
    assert instants == sorted(set(instants))
    assert (instants[0], instants[-1]) == (START, START + timedelta(hours=3000))
    assert fall["peak_at"] == START + timedelta(hours=1234) and fall["peak_at"] in instants
    assert fall["trough_at"] == START + timedelta(hours=1235) and fall["trough_at"] in instants
    assert max(point["drawdown"] for point in curve) == fall["absolute"] == 700
    assert max(b - a for a, b in pairwise(instants)) <= timedelta(hours=4)


@pytest.mark.parametrize("count", [1000, 1001])
def test_equity_curve_is_thinned_only_beyond_1000_points(count):
    summary = performance.summary(closed_trades(*((hour, "1") for hour in range(count))))
    assert len(summary["equity_curve"]) == (1000 if count == 1000 else 998)


def test_performance_series_tells_the_state_at_the_end_of_each_bucket(shuffled):
    trades = closed_trades((1, "20"), (2, "-50"), (3, "10"), (30, "0"), fees="1")

    first, second = performance.series(shuffled(trades), "day", D(100))

    assert first == {
        "start": START.replace(hour=0),
        "trades": 3,
        "wins": 2,
        "losses": 1,
        "pnl": D(-20),
        "fees": D(3),
        "win_rate": 0.666667,
        "equity": D(80),
        "drawdown": D(40),
    }
    assert (second["trades"], second["equity"], second["drawdown"]) == (1, D(80), D(40))


def test_figures_are_the_same_as_the_summary():
    trades = closed_trades((1, "20"), (2, "-50"))

    summary = performance.summary(trades, D(100))

    assert performance.figures(trades, D(100)) == {name: summary[name] for name in ("win_rate", "pnl", "max_drawdown")}
