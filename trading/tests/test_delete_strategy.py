"""API: delete a strategy, and restore it."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from trading.tests.factories import DeploymentFactory, StrategyFactory

THEN = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def strategy(trader):
    return StrategyFactory(user=trader, published_at=THEN)


def deployed(strategy, status="active"):
    stopped_at = THEN if status == "stopped" else None
    return DeploymentFactory(user=strategy.user, strategy=strategy, status=status, stopped_at=stopped_at)


def statuses(strategy):
    return list(strategy.deployments.order_by("id").values_list("status", flat=True))


def test_deletes_softly_unpublishes_and_is_audited(supervisor, trader, strategy, events):
    before = timezone.now()

    answer = supervisor.delete(f"strategies/{strategy.pk}/", reason="trader asked for it")

    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"2"'
    body = answer.json()
    assert body["id"] == strategy.pk
    assert (body["status"], body["is_published"], body["published_at"]) == ("deleted", False, None)
    assert (body["active_deployments"], body["version"]) == (0, 2)
    strategy.refresh_from_db()
    assert before <= strategy.deleted_at <= timezone.now()
    assert strategy.published_at is None
    [event] = events()
    assert event.action == "strategy.deleted"
    assert (event.actor, event.reason, event.source) == (supervisor.user.email, "trader asked for it", "api")
    assert (event.subject_type, event.subject_id, event.user) == ("strategy", strategy.pk, trader.pk)
    assert event.changes == {
        "deleted_at": [None, body["deleted_at"]],
        "published_at": ["2025-06-01T12:00:00Z", None],
    }


def test_is_refused_while_deployments_are_active(supervisor, strategy, events):
    active = [deployed(strategy), deployed(strategy)]
    deployed(strategy, "paused")

    answer = supervisor.delete(f"strategies/{strategy.pk}/")

    assert answer.status_code == 409
    assert answer.json()["code"] == "active_deployments"
    assert answer.json()["deployments"] == [row.pk for row in active]
    strategy.refresh_from_db()
    assert (strategy.deleted_at, strategy.version) == (None, 1)
    assert statuses(strategy) == ["active", "active", "paused"]
    assert not events()


def test_stops_the_deployments_on_request_in_one_event(supervisor, strategy, events):
    active, paused = deployed(strategy), deployed(strategy, "paused")
    stopped = deployed(strategy, "stopped")
    unrelated = DeploymentFactory(user=strategy.user)

    answer = supervisor.delete(f"strategies/{strategy.pk}/", stop_deployments="true")

    assert answer.status_code == 200, answer.content
    assert answer.json()["active_deployments"] == 0
    assert statuses(strategy) == ["stopped", "stopped", "stopped"]
    for row in (active, paused, stopped, unrelated):
        row.refresh_from_db()
    assert active.stopped_at is not None
    assert (active.version, paused.version, stopped.version) == (2, 2, 1)
    assert stopped.stopped_at == THEN
    assert unrelated.status == "active"
    [event] = events()
    assert event.changes["deployments"] == [
        {str(active.pk): "active", str(paused.pk): "paused"},
        {str(active.pk): "stopped", str(paused.pk): "stopped"},
    ]


def test_leaves_paused_deployments_unless_asked(supervisor, strategy, events):
    deployed(strategy, "paused")

    assert supervisor.delete(f"strategies/{strategy.pk}/", stop_deployments="false").status_code == 200

    assert statuses(strategy) == ["paused"]
    assert "deployments" not in events()[0].changes


def test_deleting_again_changes_nothing(supervisor, strategy, events):
    first = supervisor.delete(f"strategies/{strategy.pk}/").json()

    again = supervisor.delete(f"strategies/{strategy.pk}/", stop_deployments="true")

    assert again.status_code == 200
    assert again.json() == first
    assert len(events()) == 1


def test_restores_unpublished_with_deployments_as_they_are(supervisor, strategy, events):
    deployed(strategy)
    deleted_at = supervisor.delete(f"strategies/{strategy.pk}/", stop_deployments="true").json()["deleted_at"]

    answer = supervisor.post(f"strategies/{strategy.pk}/restore/", reason="a mistake")

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["status"], body["deleted_at"], body["is_published"], body["version"]) == ("active", None, False, 3)
    assert statuses(strategy) == ["stopped"]
    event = events()[-1]
    assert (event.action, event.reason) == ("strategy.restored", "a mistake")
    assert event.changes == {"deleted_at": [deleted_at, None]}


def test_restoring_a_kept_one_changes_nothing(supervisor, strategy, events):
    answer = supervisor.post(f"strategies/{strategy.pk}/restore/")

    assert answer.status_code == 200
    assert (answer.json()["is_published"], answer.json()["version"]) == (True, 1)
    assert not events()


def test_refuses_a_body_and_parameters_it_does_not_know(supervisor, strategy, refused, events):
    path = f"strategies/{strategy.pk}/"

    assert refused(supervisor.delete(path, {"stop_deployments": True})) == {"stop_deployments"}
    assert refused(supervisor.delete(path, stop_deployments="yes")) == {"stop_deployments"}
    assert refused(supervisor.delete(path, stop_deployments="")) == {"stop_deployments"}
    assert refused(supervisor.delete(path, force="true")) == {"force"}
    assert refused(supervisor.post(f"{path}restore/", stop_deployments="true")) == {"stop_deployments"}
    assert not events()


def test_another_brokers_strategy_does_not_exist(supervisor, foreign_trader, events):
    foreign = StrategyFactory(user=foreign_trader)

    assert supervisor.delete(f"strategies/{foreign.pk}/").status_code == 404
    assert supervisor.post(f"strategies/{foreign.pk}/restore/").status_code == 404
    foreign.refresh_from_db()
    assert foreign.deleted_at is None
    assert not events()


def test_an_agent_may_not(agent, strategy):
    assert agent.delete(f"strategies/{strategy.pk}/").status_code == 403
    assert agent.post(f"strategies/{strategy.pk}/restore/").status_code == 403


def test_if_match(supervisor, strategy, events):
    stale = supervisor.delete(f"strategies/{strategy.pk}/", if_match=9)

    assert stale.status_code == 412
    assert not events()
    assert supervisor.delete(f"strategies/{strategy.pk}/", if_match=1).json()["version"] == 2
    assert supervisor.post(f"strategies/{strategy.pk}/restore/", if_match=1).status_code == 412
    assert supervisor.post(f"strategies/{strategy.pk}/restore/", if_match=2).json()["version"] == 3


def test_dry_run_answers_the_same_and_keeps_nothing(supervisor, strategy, events):
    deployed(strategy)

    answer = supervisor.delete(f"strategies/{strategy.pk}/", stop_deployments="true", dry_run="true")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["dry_run"], body["status"], body["active_deployments"], body["version"]) == (True, "deleted", 0, 2)
    strategy.refresh_from_db()
    assert (strategy.deleted_at, strategy.published_at, strategy.version) == (None, THEN, 1)
    assert statuses(strategy) == ["active"]
    assert not events()


def test_dry_run_is_refused_where_the_real_call_would_be(supervisor, strategy):
    deployed(strategy)

    assert supervisor.delete(f"strategies/{strategy.pk}/", dry_run="true").status_code == 409
