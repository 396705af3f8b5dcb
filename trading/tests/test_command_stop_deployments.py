"""Command: stop_deployments."""

from support_platform.tests.commands import fail, run, tell
from trading.models import Deployment
from trading.tests.factories import DeploymentFactory


def test_stops_the_active_and_the_paused(agent, trader, events):
    first = DeploymentFactory(user=trader)
    second = DeploymentFactory(user=trader, status="paused")
    other = DeploymentFactory()

    outcome = run("stop_deployments", trader.email, "--by", agent.user.email, "--reason", "runs wild")

    assert outcome == {"user": trader.pk, "stopped": [first.pk, second.pk]}
    assert set(Deployment.objects.filter(user=trader).values_list("status", flat=True)) == {"stopped"}
    other.refresh_from_db()
    assert other.status == "active"
    [event] = events()
    assert (event.user, event.actor, event.reason) == (trader.pk, agent.user.email, "runs wild")


def test_a_repeat_changes_nothing_and_says_so(trader, events):
    assert tell("stop_deployments", trader.email).startswith("Nothing to stop")
    assert events() == []


def test_tells_which(trader):
    deployment = DeploymentFactory(user=trader, mode="paper")

    told = tell("stop_deployments", trader.email)

    assert f"{deployment.pk}" in told
    assert deployment.strategy.name in told


def test_needs_the_right_and_the_broker(viewer, agent, trader, foreign_trader):
    DeploymentFactory(user=foreign_trader)

    assert "it takes the role Agent" in fail("stop_deployments", trader.email, "--by", viewer.user.email)
    assert "within reach" in fail("stop_deployments", foreign_trader.email, "--by", agent.user.email)
    assert Deployment.objects.active().count() == 1
