"""API: update (correct) a trade, and list its corrections."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from support_platform.audit import Actor
from support_platform.exceptions import InvalidChange
from support_platform.instants import format_instant
from trading import operations
from trading.models import Trade
from trading.tests.factories import DeploymentFactory, TradeFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
SYSTEM = Actor("command")


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, capital=Decimal("1000"))


@pytest.fixture
def trade(deployment):
    """Closed, won 100."""
    return TradeFactory(deployment=deployment, taken_at=NOON, closed_at=LATER, result=Decimal("100"))


@pytest.fixture
def open_trade(deployment):
    return TradeFactory(deployment=deployment, taken_at=NOON, closed_at=None, exit_price=None, result=None)


def test_corrects_shows_the_impact_and_is_audited(supervisor, trader, deployment, trade, events):
    TradeFactory(
        deployment=deployment, taken_at=NOON, closed_at=LATER + timedelta(minutes=1), result=Decimal("50"), fees=0
    )
    body = {"taken_at": "2025-06-01T13:30:00+02:00", "strike": "400.5", "result": "-200.25"}

    answer = supervisor.patch(f"trades/{trade.pk}/", body, reason="statement of the broker")

    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"2"'
    shown = answer.json()
    impact = shown.pop("impact")
    assert shown == supervisor.get(f"trades/{trade.pk}/").json()
    assert (shown["taken_at"], shown["strike"], shown["result"]) == ("2025-06-01T11:30:00Z", "400.5", "-200.25")
    assert (shown["outcome"], shown["is_corrected"], shown["version"]) == ("loss", True, 2)
    assert (shown["exit_price"], shown["closed_at"]) == ("1.2", "2025-06-01T13:00:00Z")
    assert (impact["before"]["win_rate"], impact["before"]["pnl"]) == (1.0, "150")
    assert (impact["after"]["win_rate"], impact["after"]["pnl"]) == (0.5, "-150.25")
    assert impact["before"]["max_drawdown"]["absolute"] == "0"
    assert impact["after"]["max_drawdown"]["absolute"] == "200.25"
    assert impact["after"]["max_drawdown"]["percent"] == 20.025
    [event] = events()
    assert (event.action, event.reason, event.user) == ("trade.corrected", "statement of the broker", trader.pk)
    assert (event.subject_type, event.subject_id) == ("trade", trade.pk)
    assert event.changes == {
        "taken_at": ["2025-06-01T12:00:00Z", "2025-06-01T11:30:00Z"],
        "strike": [None, "400.5"],
        "result": ["100", "-200.25"],
    }


def test_closes_an_open_trade_with_its_result(supervisor, open_trade, events):
    answer = supervisor.patch(f"trades/{open_trade.pk}/", {"closed_at": "2025-06-01T13:00:00Z", "result": 0})

    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["status"], shown["outcome"], shown["result"]) == ("closed", "breakeven", "0")
    assert shown["exit_price"] is None
    assert events()[0].changes == {"closed_at": [None, "2025-06-01T13:00:00Z"], "result": [None, "0"]}


@pytest.mark.parametrize("body", [{"closed_at": None}, {"closed_at": None, "result": None}])
def test_reopens_and_clears_the_result(supervisor, trade, events, body):
    answer = supervisor.patch(f"trades/{trade.pk}/", body)

    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["status"], shown["result"], shown["outcome"], shown["exit_price"]) == ("open", None, None, "1.2")
    assert shown["impact"]["before"]["pnl"] == "100"
    assert events()[0].changes == {"closed_at": ["2025-06-01T13:00:00Z", None], "result": ["100", None]}


def test_a_trade_may_close_at_the_instant_it_was_taken(supervisor, trade):
    assert supervisor.patch(f"trades/{trade.pk}/", {"closed_at": "2025-06-01T12:00:00Z"}).status_code == 200


def test_strike_can_be_removed(supervisor, deployment):
    trade = TradeFactory(deployment=deployment, strike=Decimal("5"))

    assert supervisor.patch(f"trades/{trade.pk}/", {"strike": None}).json()["strike"] is None


def test_a_trade_of_a_stopped_deployment_can_be_corrected(supervisor, trade, deployment):
    deployment.status, deployment.stopped_at = "stopped", LATER
    deployment.save()

    assert supervisor.patch(f"trades/{trade.pk}/", {"result": "1"}).status_code == 200


@pytest.mark.parametrize("body", [{"result": "100.0"}, {"taken_at": "2025-06-01T12:00:00Z", "strike": None}])
def test_what_already_holds_changes_nothing(supervisor, trade, events, body):
    answer = supervisor.patch(f"trades/{trade.pk}/", body)

    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["is_corrected"], shown["version"]) == (False, 1)
    assert shown["impact"]["before"] == shown["impact"]["after"]
    assert not events()


@pytest.mark.parametrize("body", [{"closed_at": None}, {"result": None}])
def test_reopening_an_open_trade_changes_nothing(supervisor, open_trade, events, body):
    answer = supervisor.patch(f"trades/{open_trade.pk}/", body)

    assert answer.status_code == 200, answer.content
    assert (answer.json()["is_corrected"], answer.json()["version"]) == (False, 1)
    assert not events()


def test_an_open_trade_takes_no_result_alone(supervisor, open_trade, events):
    answer = supervisor.patch(f"trades/{open_trade.pk}/", {"result": "5"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "result_without_closed_at"
    open_trade.refresh_from_db()
    assert (open_trade.result, open_trade.version) == (None, 1)
    assert not events()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"taken_at": "2025-06-01T13:00:00.000001Z"}, {"taken_at"}),
        ({"closed_at": "2025-06-01T11:59:59Z"}, {"closed_at"}),
        ({"taken_at": "2025-06-02T00:00:00Z", "closed_at": "2025-06-01T00:00:00Z"}, {"taken_at", "closed_at"}),
        ({"taken_at": "2999-01-01T00:00:00Z"}, {"taken_at"}),
        ({"closed_at": "2999-01-01T00:00:00Z", "strike": "1"}, {"closed_at"}),
        ({"result": None}, {"result"}),
        ({"closed_at": "2025-06-01T13:30:00Z", "result": None}, {"result"}),
        ({"closed_at": None, "result": "5"}, {"result"}),
        ({"taken_at": None}, {"taken_at"}),
        ({"taken_at": "2025-06-01T12:00:00"}, {"taken_at"}),
        ({"taken_at": "2025-06-01"}, {"taken_at"}),
        ({"taken_at": 1748779200}, {"taken_at"}),
        ({"closed_at": "99999-01-01T00:00:00Z"}, {"closed_at"}),
        ({"closed_at": ""}, {"closed_at"}),
        ({"strike": "0"}, {"strike"}),
        ({"strike": "-1"}, {"strike"}),
        ({"strike": False}, {"strike"}),
        ({"result": "-0"}, {"result"}),
        ({"result": "1 "}, {"result"}),
        ({"result": "1,5"}, {"result"}),
        ({"result": ""}, {"result"}),
        ({"result": "0." + 30 * "1"}, {"result"}),
        ({"result": 19 * "9"}, {"result"}),
        ({"result": True}, {"result"}),
        ({"exit_price": "1.3"}, {"exit_price"}),
        ({"outcome": "win"}, {"outcome"}),
        ({"version": 2, "user": 1}, {"version", "user"}),
        ({}, {"body"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_refuses_bad_values_by_name(supervisor, trade, refused, events, body, fields):
    assert refused(supervisor.patch(f"trades/{trade.pk}/", body)) == fields
    trade.refresh_from_db()
    assert (trade.version, trade.is_corrected) == (1, False)
    assert not events()


@pytest.mark.parametrize(
    "body", [{"closed_at": "2025-06-01T13:00:00Z"}, {"closed_at": "2025-06-01T13:00:00Z", "result": None}]
)
def test_closing_needs_a_result(supervisor, open_trade, refused, events, body):
    assert refused(supervisor.patch(f"trades/{open_trade.pk}/", body)) == {"result"}
    assert not events()


def test_the_future_begins_after_now(trade):
    trade, _ = operations.correct_trade(trade, by=SYSTEM, now=LATER, taken_at=LATER, closed_at=LATER)
    assert trade.closed_at == LATER

    with pytest.raises(InvalidChange) as refusal:
        operations.correct_trade(trade, by=SYSTEM, now=LATER, closed_at=LATER + timedelta(microseconds=1))
    assert refusal.value.errors["closed_at"][0] == "in_future"


def test_the_clock_is_the_servers(supervisor, trade, refused):
    soon = format_instant(timezone.now() + timedelta(minutes=1))

    assert refused(supervisor.patch(f"trades/{trade.pk}/", {"closed_at": soon})) == {"closed_at"}


def test_another_brokers_trade_does_not_exist(supervisor, foreign_trader, events):
    foreign = TradeFactory(deployment__user=foreign_trader)

    assert supervisor.patch(f"trades/{foreign.pk}/", {"result": "1"}).status_code == 404
    foreign.refresh_from_db()
    assert foreign.version == 1
    assert not events()


def test_an_agent_may_not(agent, trade):
    assert agent.patch(f"trades/{trade.pk}/", {"result": "1"}).status_code == 403


def test_if_match(supervisor, trade, events):
    stale = supervisor.patch(f"trades/{trade.pk}/", {"result": "1"}, if_match=2)

    assert stale.status_code == 412
    assert not events()
    assert supervisor.patch(f"trades/{trade.pk}/", {"result": "1"}, if_match=1).json()["version"] == 2
    assert supervisor.patch(f"trades/{trade.pk}/", {"result": "2"}, if_match=1).status_code == 412
    assert supervisor.patch(f"trades/{trade.pk}/", {"result": "2"}, if_match=2).json()["version"] == 3


def test_dry_run_is_the_preview(supervisor, trade, events):
    body = {"result": "-100"}

    preview = supervisor.patch(f"trades/{trade.pk}/", body, dry_run="true").json()

    stored = Trade.objects.get(pk=trade.pk)
    assert (stored.result, stored.is_corrected, stored.version) == (Decimal("100"), False, 1)
    assert not events()
    assert preview.pop("dry_run") is True
    assert preview["impact"]["after"]["pnl"] == "-100"
    assert preview == supervisor.patch(f"trades/{trade.pk}/", body).json()


def test_corrections_tell_who_when_why_before_and_after(supervisor, viewer, trade, deployment):
    sibling = TradeFactory(deployment=deployment)
    supervisor.patch(f"trades/{sibling.pk}/", {"result": "7"})
    supervisor.patch(f"trades/{trade.pk}/", {"result": "1"}, reason="first")
    second = supervisor.patch(f"trades/{trade.pk}/", {"closed_at": None}, reason="second")

    answer = viewer.get(f"trades/{trade.pk}/corrections/")

    assert answer.status_code == 200, answer.content
    newest, oldest = answer.json()["results"]
    assert oldest["reason"] == "first"
    names = "id at actor actor_id reason request_id source changes before after"
    assert newest.keys() == set(names.split())
    assert (newest["actor"], newest["actor_id"]) == (supervisor.user.email, supervisor.user.pk)
    assert (newest["reason"], newest["source"], newest["request_id"]) == ("second", "api", second["X-Request-ID"])
    assert newest["changes"] == {"closed_at": ["2025-06-01T13:00:00Z", None], "result": ["1", None]}
    assert newest["before"] == {"closed_at": "2025-06-01T13:00:00Z", "result": "1"}
    assert newest["after"] == {"closed_at": None, "result": None}


def test_corrections_are_a_list_like_any_other(supervisor, trade, walk, refused, count_queries):
    path = f"trades/{trade.pk}/corrections/"
    assert supervisor.get(path, include_total="true").json() == {
        "next": None,
        "previous": None,
        "results": [],
        "total": 0,
    }
    supervisor.patch(f"trades/{trade.pk}/", {"result": "0"})
    one = count_queries(supervisor, path)
    for result in range(1, 5):
        supervisor.patch(f"trades/{trade.pk}/", {"result": result})

    forward, backward = walk(supervisor, path, page_size=2)

    assert [len(page) for page in forward] == [2, 2, 1]
    assert sum(forward, []) == sorted(sum(forward, []), reverse=True)
    assert backward == forward
    assert count_queries(supervisor, path) == one
    assert refused(supervisor.get(path, ordering="taken_at")) == {"ordering"}
    assert refused(supervisor.get(path, side="long")) == {"side"}
