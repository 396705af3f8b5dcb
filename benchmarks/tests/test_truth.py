"""What counts as a difference between an answer and the raw rows."""

from decimal import Decimal
from types import SimpleNamespace

from benchmarks import truth

TOLD = {"trades": 3, "wins": 2, "losses": 1, "pnl": "-1.5", "max_drawdown": {"absolute": "4"}}


def rows(*values):
    return SimpleNamespace(rows=lambda statement, *given: [values])


def test_an_answer_that_is_what_the_rows_say_has_no_differences():
    due = rows(3, 2, 1, Decimal("-1.500000000000"), Decimal("4.0"))

    assert truth.performance_differences(due, "user", 7, TOLD) == {}


def test_each_member_that_differs_is_told_with_what_is_due():
    due = rows(3, 1, 1, Decimal("-1.500000000001"), Decimal(4))

    found = truth.performance_differences(due, "user", 7, TOLD)

    assert found == {"wins": (2, "1"), "pnl": ("-1.5", "-1.500000000001")}


def test_without_closed_trades_null_figures_are_due():
    nothing = {"trades": 0, "wins": 0, "losses": 0, "pnl": None, "max_drawdown": {"absolute": None}}

    assert truth.performance_differences(rows(0, 0, 0, 0, 0), "user", 7, nothing) == {}


def test_a_wrong_count_is_off_by_all_even_with_the_right_percentiles():
    told = {"count": 9, "p5_bps": 1.0, "p50_bps": 2.0, "p95_bps": 3.0, "p99_bps": 4.04}

    errors = list(truth.slippage_errors(rows(10, [1, 2, 3, 4]), 7, told))

    assert [round(error, 6) for error in errors] == [1.0, 0, 0, 0, 0.01]
