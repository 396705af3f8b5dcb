"""API: update a deployment."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.operations import set_status
from accounts.tests.factories import StaffFactory
from conftest import Api
from support_platform.audit import Actor
from trading import operations
from trading.models import Deployment
from trading.tests.factories import DeploymentFactory

THEN = datetime(2025, 6, 1, 12, tzinfo=UTC)
SYSTEM = Actor("command")


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, stop_loss_pct=Decimal("2"))


def in_status(trader, status):
    return DeploymentFactory(user=trader, status=status, stopped_at=THEN if status == "stopped" else None)


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ("active", "paused", "deployment.paused"),
        ("paused", "active", "deployment.resumed"),
        ("active", "stopped", "deployment.stopped"),
        ("paused", "stopped", "deployment.stopped"),
    ],
)
def test_changes_the_status_and_is_audited(agent, trader, events, before, after, action):
    deployment = in_status(trader, before)
    started = timezone.now()

    answer = agent.patch(f"deployments/{deployment.pk}/", {"status": after}, reason="by phone")

    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"2"'
    assert (answer.json()["status"], answer.json()["version"]) == (after, 2)
    deployment.refresh_from_db()
    assert deployment.status == after
    if after == "stopped":
        assert started <= deployment.stopped_at <= timezone.now()
    else:
        assert deployment.stopped_at is None
    [event] = events()
    assert (event.action, event.reason, event.user) == (action, "by phone", trader.pk)
    assert (event.subject_type, event.subject_id) == ("deployment", deployment.pk)
    assert event.changes == {"status": [before, after]}


@pytest.mark.parametrize(
    ("right", "allowed", "forbidden"),
    [
        ("control_deployment", {"status": "paused"}, {"quantity": "3"}),
        ("change_deployment", {"quantity": "3"}, {"status": "paused"}),
    ],
)
def test_the_status_and_the_parameters_take_a_right_each(broker, deployment, events, right, allowed, forbidden):
    person = StaffFactory(broker=broker, role="Viewer")
    person.user_permissions.add(Permission.objects.get(codename=right))
    api = Api(person)

    for body in (forbidden, allowed | forbidden):
        assert api.patch(f"deployments/{deployment.pk}/", body).status_code == 403
    assert events(subject_type="deployment") == []
    assert api.patch(f"deployments/{deployment.pk}/", allowed).status_code == 200


def test_changes_the_parameters_and_is_audited(supervisor, deployment, events):
    body = {
        "quantity": "0.000000000001",
        "stop_loss_pct": None,
        "take_profit_pct": 12.345678,
        "max_open_trades": 1000,
        "order_type": "limit",
        "capital": 25000,
    }

    answer = supervisor.patch(f"deployments/{deployment.pk}/", body)

    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert {name: shown[name] for name in body} == {**body, "capital": "25000"}
    deployment.refresh_from_db()
    assert deployment.quantity == Decimal("0.000000000001")
    assert deployment.take_profit_pct == Decimal("12.345678")
    [event] = events()
    assert event.action == "deployment.updated"
    assert event.changes == {
        "quantity": ["1.5", "0.000000000001"],
        "stop_loss_pct": ["2", None],
        "take_profit_pct": [None, "12.345678"],
        "max_open_trades": [1, 1000],
        "order_type": ["market", "limit"],
        "capital": ["10000", "25000"],
    }


def test_status_and_parameters_together_are_one_event(supervisor, deployment, events):
    answer = supervisor.patch(f"deployments/{deployment.pk}/", {"status": "stopped", "quantity": "2"})

    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], answer.json()["quantity"], answer.json()["version"]) == ("stopped", "2", 2)
    assert answer.json()["stopped_at"] is not None
    [event] = events()
    assert event.action == "deployment.updated"
    assert event.changes == {"status": ["active", "stopped"], "quantity": ["1.5", "2"]}


@pytest.mark.parametrize(
    "body", [{"status": "active"}, {"quantity": "1.500"}, {"stop_loss_pct": 2.0, "status": "active", "capital": 10000}]
)
def test_what_already_holds_changes_nothing(supervisor, deployment, events, body):
    answer = supervisor.patch(f"deployments/{deployment.pk}/", body)

    assert answer.status_code == 200, answer.content
    assert answer.json()["version"] == 1
    assert not events()


@pytest.mark.parametrize(
    "body", [{"status": "active"}, {"status": "paused"}, {"quantity": "2"}, {"status": "stopped", "capital": "1"}]
)
def test_stopped_is_final(supervisor, trader, events, body):
    deployment = in_status(trader, "stopped")

    answer = supervisor.patch(f"deployments/{deployment.pk}/", body)

    assert answer.status_code == 409
    assert answer.json()["code"] == "deployment_stopped"
    deployment.refresh_from_db()
    assert (deployment.status, deployment.stopped_at, deployment.version) == ("stopped", THEN, 1)
    assert not events()


def test_stopping_a_stopped_one_changes_nothing(supervisor, trader, events):
    deployment = in_status(trader, "stopped")

    answer = supervisor.patch(f"deployments/{deployment.pk}/", {"status": "stopped", "quantity": "1.5"})

    assert answer.status_code == 200
    assert (answer.json()["stopped_at"], answer.json()["version"]) == ("2025-06-01T12:00:00Z", 1)
    assert not events()


def test_resuming_needs_an_active_owner(agent, trader, events):
    deployment = in_status(trader, "paused")
    trader.is_active = False
    trader.save()

    answer = agent.patch(f"deployments/{deployment.pk}/", {"status": "active"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "owner_inactive"
    assert not events()
    assert agent.patch(f"deployments/{deployment.pk}/", {"status": "stopped"}).status_code == 200


def test_resuming_needs_a_kept_strategy(agent, trader, events):
    deployment = in_status(trader, "paused")
    deployment.strategy.deleted_at = THEN
    deployment.strategy.save()

    answer = agent.patch(f"deployments/{deployment.pk}/", {"status": "active"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "strategy_deleted"
    deployment.refresh_from_db()
    assert (deployment.status, deployment.version) == ("paused", 1)
    assert not events()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "running"),
        ("status", None),
        ("status", ["paused"]),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", -0.0),
        ("quantity", "-0"),
        ("quantity", None),
        ("quantity", True),
        ("quantity", "1 "),
        ("quantity", "1e3"),
        ("quantity", "NaN"),
        ("quantity", "0." + 29 * "0" + "1"),
        ("quantity", 10**18),
        ("capital", 0),
        ("capital", None),
        ("capital", ["1"]),
        ("stop_loss_pct", 0),
        ("stop_loss_pct", 100.000001),
        ("stop_loss_pct", "5"),
        ("stop_loss_pct", 0.0000001),
        ("take_profit_pct", -1),
        ("take_profit_pct", 101),
        ("take_profit_pct", True),
        ("max_open_trades", 0),
        ("max_open_trades", 1001),
        ("max_open_trades", 1.0),
        ("max_open_trades", "5"),
        ("max_open_trades", True),
        ("order_type", "stop"),
        ("order_type", ""),
        ("id", 1),
        ("version", 5),
        ("stopped_at", "2025-06-01T12:00:00Z"),
        ("mode", "paper"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_refuses_bad_values_by_name(supervisor, deployment, refused, events, name, value):
    assert refused(supervisor.patch(f"deployments/{deployment.pk}/", {name: value})) == {name}
    deployment.refresh_from_db()
    assert deployment.version == 1
    assert not events()


def test_refuses_every_bad_value_at_once(supervisor, deployment, refused):
    answer = supervisor.patch(f"deployments/{deployment.pk}/", {"quantity": 0, "capital": "x", "status": "paused"})

    assert refused(answer) == {"quantity", "capital"}


def test_refuses_an_empty_body(supervisor, deployment, refused):
    assert refused(supervisor.patch(f"deployments/{deployment.pk}/", {})) == {"body"}


def test_another_brokers_deployment_does_not_exist(supervisor, foreign_trader, events):
    foreign = DeploymentFactory(user=foreign_trader)

    assert supervisor.patch(f"deployments/{foreign.pk}/", {"status": "paused"}).status_code == 404
    foreign.refresh_from_db()
    assert foreign.status == "active"
    assert not events()


def test_an_agent_controls_the_status_and_not_the_parameters(viewer, agent, deployment):
    path = f"deployments/{deployment.pk}/"

    assert viewer.patch(path, {"status": "paused"}).status_code == 403
    assert agent.patch(path, {"quantity": "2"}).status_code == 403
    assert agent.patch(path, {"status": "paused", "quantity": "2"}).status_code == 403
    assert agent.patch(path, {"status": "paused"}).status_code == 200


def test_if_match(agent, deployment, events):
    stale = agent.patch(f"deployments/{deployment.pk}/", {"status": "paused"}, if_match=2)

    assert stale.status_code == 412
    assert not events()
    assert agent.patch(f"deployments/{deployment.pk}/", {"status": "paused"}, if_match=1).json()["version"] == 2
    assert agent.patch(f"deployments/{deployment.pk}/", {"status": "active"}, if_match=1).status_code == 412
    assert agent.patch(f"deployments/{deployment.pk}/", {"status": "active"}, if_match=2).json()["version"] == 3


def test_dry_run_answers_the_same_and_keeps_nothing(supervisor, deployment, events):
    answer = supervisor.patch(f"deployments/{deployment.pk}/", {"status": "paused", "quantity": "3"}, dry_run="true")

    body = answer.json()
    assert (body["dry_run"], body["status"], body["quantity"], body["version"]) == (True, "paused", "3", 2)
    deployment.refresh_from_db()
    assert (deployment.status, deployment.quantity, deployment.version) == ("active", Decimal("1.5"), 1)
    assert not events()


def test_stop_deployments_stops_all_of_one_trader_in_one_event(trader, events):
    active, paused, stopped = [in_status(trader, status) for status in ("active", "paused", "stopped")]
    unrelated = DeploymentFactory()

    rows = operations.stop_deployments(trader, by=SYSTEM)

    assert [(row.pk, row.status, row.version) for row in rows] == [(active.pk, "stopped", 2), (paused.pk, "stopped", 2)]
    assert all(row.stopped_at is not None for row in rows)
    stopped.refresh_from_db()
    unrelated.refresh_from_db()
    assert (stopped.stopped_at, stopped.version, unrelated.status) == (THEN, 1, "active")
    [event] = events()
    assert (event.action, event.subject_type, event.subject_id) == ("user.deployments_stopped", "user", trader.pk)
    assert event.changes == {
        "deployments": [
            {str(active.pk): "active", str(paused.pk): "paused"},
            {str(active.pk): "stopped", str(paused.pk): "stopped"},
        ]
    }


def test_stop_deployments_with_none_running_leaves_no_event(trader, events):
    in_status(trader, "stopped")

    assert operations.stop_deployments(trader, by=SYSTEM) == []
    assert not events()


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ("leave", ["active", "paused", "stopped"]),
        ("pause", ["paused", "paused", "stopped"]),
        ("stop", ["stopped", "stopped", "stopped"]),
    ],
)
def test_a_traders_deactivation_treats_the_deployments_as_asked(trader, events, treatment, expected):
    rows = [in_status(trader, status) for status in ("active", "paused", "stopped")]

    set_status(trader, "inactive", by=SYSTEM, deployments=treatment)

    after = Deployment.objects.order_by("id")
    assert [row.status for row in after] == expected
    assert [row.version for row in after] == [
        1 + (before.status != status) for before, status in zip(rows, expected, strict=True)
    ]
    [event] = events()
    assert event.action == "user.deactivated"
