"""API: publish a strategy, and unpublish it."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from trading.tests.factories import DeploymentFactory, StrategyFactory

THEN = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def strategy(trader):
    return StrategyFactory(user=trader)


@pytest.fixture
def published(trader):
    return StrategyFactory(user=trader, published_at=THEN)


def test_publishes_and_is_audited(agent, trader, strategy, events):
    before = timezone.now()
    DeploymentFactory(user=trader, strategy=strategy)

    answer = agent.post(f"strategies/{strategy.pk}/publish/", reason="reviewed")

    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"2"'
    body = answer.json()
    assert (body["is_published"], body["active_deployments"], body["version"]) == (True, 1, 2)
    strategy.refresh_from_db()
    assert before <= strategy.published_at <= timezone.now()
    [event] = events()
    assert (event.action, event.reason, event.user) == ("strategy.published", "reviewed", trader.pk)
    assert event.changes == {"published_at": [None, body["published_at"]]}


def test_unpublishes_and_is_audited(agent, trader, published, events):
    deployment = DeploymentFactory(user=trader, strategy=published)

    answer = agent.post(f"strategies/{published.pk}/unpublish/")

    assert answer.status_code == 200, answer.content
    assert (answer.json()["is_published"], answer.json()["published_at"]) == (False, None)
    assert answer.json()["version"] == 2
    deployment.refresh_from_db()
    assert deployment.status == "active"
    [event] = events()
    assert event.action == "strategy.unpublished"
    assert event.changes == {"published_at": ["2025-06-01T12:00:00Z", None]}


def test_publishing_again_changes_nothing(agent, published, events):
    answer = agent.post(f"strategies/{published.pk}/publish/")

    assert answer.status_code == 200
    assert (answer.json()["published_at"], answer.json()["version"]) == ("2025-06-01T12:00:00Z", 1)
    assert not events()


def test_unpublishing_again_changes_nothing(agent, strategy, events):
    answer = agent.post(f"strategies/{strategy.pk}/unpublish/")

    assert answer.status_code == 200
    assert answer.json()["version"] == 1
    assert not events()


def test_a_deleted_strategy_cannot_be_published(agent, trader, events):
    strategy = StrategyFactory(user=trader, deleted_at=THEN)

    answer = agent.post(f"strategies/{strategy.pk}/publish/")

    assert answer.status_code == 409
    assert answer.json()["code"] == "strategy_deleted"
    strategy.refresh_from_db()
    assert (strategy.published_at, strategy.version) == (None, 1)
    assert not events()


def test_an_inactive_owners_strategy_cannot_be_published(agent, trader, strategy, events):
    trader.is_active = False
    trader.save()

    answer = agent.post(f"strategies/{strategy.pk}/publish/")

    assert answer.status_code == 409
    assert answer.json()["code"] == "owner_inactive"
    strategy.refresh_from_db()
    assert strategy.published_at is None
    assert not events()


def test_an_inactive_owners_strategy_can_be_unpublished(agent, trader, published):
    trader.is_active = False
    trader.save()

    assert agent.post(f"strategies/{published.pk}/unpublish/").json()["is_published"] is False


@pytest.mark.parametrize("verb", ["publish", "unpublish"])
def test_refuses_a_body_and_unknown_parameters(agent, strategy, refused, verb):
    path = f"strategies/{strategy.pk}/{verb}/"

    assert refused(agent.post(path, {"published_at": "2025-06-01T12:00:00Z"})) == {"published_at"}
    assert refused(agent.post(path, force="true")) == {"force"}
    assert refused(agent.post(path, dry_run="1")) == {"dry_run"}
    assert agent.post(path, {}).status_code == 200


@pytest.mark.parametrize("verb", ["publish", "unpublish"])
def test_another_brokers_strategy_does_not_exist(agent, foreign_trader, events, verb):
    foreign = StrategyFactory(user=foreign_trader, published_at=THEN if verb == "unpublish" else None)

    assert agent.post(f"strategies/{foreign.pk}/{verb}/").status_code == 404
    foreign.refresh_from_db()
    assert foreign.version == 1
    assert not events()


def test_a_viewer_may_not(viewer, strategy):
    assert viewer.post(f"strategies/{strategy.pk}/publish/").status_code == 403
    assert viewer.post(f"strategies/{strategy.pk}/unpublish/").status_code == 403


def test_if_match(agent, strategy, events):
    stale = agent.post(f"strategies/{strategy.pk}/publish/", if_match=2)

    assert stale.status_code == 412
    assert not events()
    assert agent.post(f"strategies/{strategy.pk}/publish/", if_match=1).json()["version"] == 2
    assert agent.post(f"strategies/{strategy.pk}/unpublish/", if_match=1).status_code == 412
    assert agent.post(f"strategies/{strategy.pk}/unpublish/", if_match=2).json()["version"] == 3


@pytest.mark.parametrize("verb", ["publish", "unpublish"])
def test_dry_run_answers_the_same_and_keeps_nothing(agent, trader, events, verb):
    before = THEN if verb == "unpublish" else None
    strategy = StrategyFactory(user=trader, published_at=before)

    body = agent.post(f"strategies/{strategy.pk}/{verb}/", dry_run="true").json()

    assert (body["dry_run"], body["is_published"], body["version"]) == (True, verb == "publish", 2)
    strategy.refresh_from_db()
    assert (strategy.published_at, strategy.version) == (before, 1)
    assert not events()
