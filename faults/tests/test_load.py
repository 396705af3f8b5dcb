"""The load generator: everybody starts at once, and what goes wrong in a process is heard of."""

import os
from functools import partial

import pytest

from faults.client import Answer
from faults.load import JobFailed, UnexpectedAnswer, at_once, expect, in_rounds

# The harness has no threads when it forks; pytest may have some.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_jobs_run_in_processes_of_their_own_and_answer_in_order():
    def job(number, gate):
        gate()
        return number, os.getpid()

    answers = at_once([partial(job, number) for number in range(4)])

    assert [number for number, _ in answers] == [0, 1, 2, 3]
    assert len({process for _, process in answers} | {os.getpid()}) == 5


def test_threads_share_a_process():
    def job(gate):
        gate()
        return os.getpid()

    assert len(set(at_once([job] * 4, threads=2))) == 2


def test_nobody_passes_the_gate_before_all_are_there(tmp_path):
    def job(number, gate):
        (tmp_path / str(number)).touch()
        gate()
        return len(list(tmp_path.iterdir()))

    assert at_once([partial(job, number) for number in range(4)]) == [4, 4, 4, 4]


def test_rounds_are_told_side_by_side():
    assert in_rounds([[lambda: "a1", lambda: "a2"], [lambda: "b1", lambda: "b2"]]) == [("a1", "b1"), ("a2", "b2")]


def test_a_job_that_fails_is_told_with_its_cause():
    def fails(gate):
        raise ValueError("no such row")

    def waits(gate):
        gate()

    with pytest.raises(JobFailed) as failure:
        at_once([waits, fails])

    assert failure.value.cause == "ValueError: no such row"


def test_a_process_that_dies_is_heard_of():
    with pytest.raises(JobFailed, match="without a word"):
        at_once([lambda gate: os._exit(1)])


def test_an_answer_that_is_not_due_is_told_with_its_body():
    assert expect(Answer(200, {}), 200, 409).status == 200

    with pytest.raises(UnexpectedAnswer, match="500 where 200 is due: b'broken'"):
        expect(Answer(500, {}, b"broken"), 200)
