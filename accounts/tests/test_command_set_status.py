"""Command: set_status."""

import pytest

from support_platform.tests.commands import fail, run, tell
from trading.tests.factories import DeploymentFactory


def test_deactivates_as_the_api_does(trader, events):
    active = DeploymentFactory(user=trader)
    paused = DeploymentFactory(user=trader, status="paused")

    outcome = run("set_status", trader.email, "inactive", "--deployments", "stop")

    assert (outcome["email"], outcome["status"], outcome["version"]) == (trader.email, "inactive", 2)
    assert (outcome["sessions_revoked"], outcome["deployments_stopped"], outcome["deployments_paused"]) == (0, 2, 0)
    for deployment in (active, paused):
        deployment.refresh_from_db()
        assert deployment.status == "stopped"
    assert [event.action for event in events()] == ["user.deactivated"]


def test_leaves_the_deployments_by_default(trader):
    deployment = DeploymentFactory(user=trader)

    run("set_status", trader.email, "inactive")

    deployment.refresh_from_db()
    assert deployment.status == "active"


def test_a_repeat_changes_nothing_and_says_so(trader, events):
    told = tell("set_status", trader.email, "active")

    assert "The account was active before." in told
    assert events() == []


@pytest.mark.parametrize("treatment", ["pause", "stop"])
def test_activation_touches_no_deployment(trader, treatment):
    line = fail("set_status", trader.email, "active", "--deployments", treatment)

    assert line.startswith("--deployments goes with inactive only")
