"""What judges the figures of kills and outages must be able to say no: each kind of contradiction is found."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from faults.client import Answer
from faults.figures import failpoints
from faults.ledger import Ledger, same
from faults.stand import Event
from faults.writers import Attempt, Entry, Write, contradictions

TRADE, RUN = ("trade", 5), ("deployment", 7)
ROWS = {
    TRADE: {"version": 1, "taken_at": datetime(2026, 1, 5, tzinfo=UTC), "closed_at": None, "strike": Decimal("12.5"),
            "result": None, "is_corrected": False},
    RUN: {"version": 3, "status": "active", "quantity": Decimal("1.500000000000"), "stop_loss_pct": None,
          "take_profit_pct": None, "max_open_trades": 1, "order_type": "market", "capital": None},
}  # fmt: skip


def event(number, changes, subject=TRADE, request_id="w.0"):
    action = "trade.corrected" if subject == TRADE else "user.deactivated"
    return Event(number, action, *subject, 1, changes, request_id)


def played(*events):
    ledger = Ledger(ROWS)
    ledger.play(events)
    return ledger


def rows_after(**columns):
    return {**ROWS, TRADE: {**ROWS[TRADE], **columns}}


CORRECTED = event(1, {"strike": ["12.5", "13.25"]})
STRIKE = {"version": 2, "strike": Decimal("13.250000000000"), "is_corrected": True}


def test_a_change_and_its_event_agree():
    assert played(CORRECTED).differences(rows_after(**STRIKE)) == []


def test_deployments_moved_along_with_an_account_count_as_changes_of_theirs():
    moved = event(1, {"status": ["active", "inactive"], "deployments": [{"7": "active"}, {"7": "paused"}]}, ("user", 1))

    assert played(moved).differences({**ROWS, RUN: {**ROWS[RUN], "version": 4, "status": "paused"}}) == []


@pytest.mark.parametrize(
    ("events", "rows"),
    [
        ([], rows_after(**STRIKE)),
        ([CORRECTED], ROWS),
        ([CORRECTED], rows_after(**{**STRIKE, "strike": Decimal("13.250000000001")})),
        ([CORRECTED], rows_after(**{**STRIKE, "version": 3})),
        ([CORRECTED, CORRECTED._replace(id=2)], rows_after(**{**STRIKE, "version": 3})),
        ([CORRECTED], {TRADE: rows_after(**STRIKE)[TRADE]}),
        ([], {**ROWS, ("trade", 6): ROWS[TRADE]}),
    ],
    ids=["no event", "no change", "another amount", "a version too many", "told twice", "a row gone", "a row too many"],
)
def test_what_does_not_agree_is_found(events, rows):
    assert played(*events).differences(rows) != []


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (Decimal("1.500"), "1.5", True),
        (Decimal("1.5"), "1.500000000001", False),
        (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00Z", True),
        (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00.000001Z", False),
        (None, "", False),
        (True, 1, True),
        ("active", "inactive", False),
    ],
)
def test_values_are_compared_by_what_they_mean(one, other, are_same):
    assert same(one, other) is are_same
    assert same(other, one) is are_same


def answer(status=200, version=2, strike="13.25", is_replay=False):
    headers = {"etag": f'"{version}"', **({"idempotent-replayed": "true"} if is_replay else {})}
    return Answer(status, headers, b'{"strike": "%s"}' % strike.encode())


def entry(*answers):
    made = Entry("w", Write("strike", "PATCH", "/api/v1/trades/5/", {"strike": "13.25"}, True))
    made.attempts = [Attempt(f"w.{place}", 0, answer=given) for place, given in enumerate(answers)]
    return made


@pytest.mark.parametrize(
    ("answers", "done_by"),
    [
        ([answer()], ["w.0"]),
        ([None, answer()], ["w.1"]),
        ([None, answer(is_replay=True)], ["w.0"]),
        ([answer(status=503), answer(is_replay=True)], ["w.0"]),
        ([answer(status=409)], []),
    ],
    ids=["at once", "lost, then done", "kept, then told", "kept behind a 503, then told", "refused"],
)
def test_answers_that_tell_the_truth(answers, done_by):
    events = [CORRECTED._replace(request_id=request_id) for request_id in done_by]

    assert contradictions([entry(*answers)], played(*events), events) == []


@pytest.mark.parametrize(
    ("answers", "done_by"),
    [
        ([answer()], []),
        ([None, answer()], ["w.0", "w.1"]),
        ([None, answer()], ["w.0"]),
        ([None, answer(is_replay=True)], ["w.1"]),
        ([answer(status=409)], ["w.0"]),
        ([answer(status=500)], []),
        ([None, None], []),
        ([answer(version=3)], ["w.0"]),
        ([answer(strike="13.250000000001")], ["w.0"]),
    ],
    ids=[
        "acknowledged and lost",
        "done twice",
        "kept, told as new",
        "new, told as kept",
        "refused and done",
        "server error",
        "stuck",
        "another version",
        "another amount",
    ],
)
def test_answers_that_do_not(answers, done_by):
    events = [CORRECTED._replace(id=place, request_id=request_id) for place, request_id in enumerate(done_by)]
    ledger = played(*events[:1])

    assert contradictions([entry(*answers)], ledger, events) != []


def test_a_write_without_a_case_is_named():
    paths = {case.call.partition(" ")[2]: {} for case in failpoints.CASES if case.call}
    for case in failpoints.CASES:
        if case.call:
            method, _, path = case.call.partition(" ")
            paths[path][method.lower()] = {}
    paths["/api/v1/trades/{id}/"]["put"] = {}
    paths["/api/v1/trades/"] = {"get": {}}

    assert failpoints.uncovered({"paths": paths}) == ["PUT /api/v1/trades/{id}/"]


def test_the_four_points_are_before_and_after_the_write_before_the_commit_and_right_after_it():
    steps = ["INSERT support_platform_idempotencyrecord", "UPDATE trading_trade", "INSERT x", "COMMIT", "ANSWER"]

    assert [steps[place] for place in failpoints.four(steps)] == [steps[0], "INSERT x", "COMMIT", "ANSWER"]
