"""A part of the suite counts as reached only if it passed, with enough cases."""

import pytest

from faults import suites
from faults.figures import Measured

PRINTED = "....\n    222 hostile cases: nobody\n   5222 generated cases in all\n62 passed in 86.52s\n"


@pytest.mark.parametrize(
    ("code", "printed", "reached"),
    [
        (suites.PASSED, PRINTED, True),
        (suites.PASSED, PRINTED.replace("5222", "4999"), False),
        (suites.PASSED, "1 passed in 0.1s\n", False),
        (suites.FAILED, PRINTED, False),
        (4, "", False),
    ],
)
def test_it_is_reached_when_it_passed_with_enough_cases(code, printed, reached):
    assert Measured.cases(suites.Outcome(code, printed), 5_000).reached == reached


def test_what_failed_is_said():
    outcome = suites.Outcome(suites.FAILED, PRINTED.replace("62 passed", "1 failed, 61 passed"))

    assert "1 failed, 61 passed" in Measured.cases(outcome, 5_000).said


def test_a_run_is_counted(tmp_path):
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")

    outcome = suites.run("-p", "no:django", "test_one.py", tree=tmp_path, seconds=60)

    assert outcome.code == suites.PASSED
    assert "1 passed" in outcome.last_line
