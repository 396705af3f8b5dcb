"""Command: changepassword, which stands in for Django's own."""

import pytest

from support_platform.tests.commands import fail, run

PASSWORD = "another long Enough one"


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("STAFF_PASSWORD", PASSWORD)


def test_changes_the_password_and_ends_the_tokens(agent, events):
    assert agent.get("limits/").status_code == 200

    run("changepassword", agent.user.email, "--reason", "lost laptop")

    agent.user.refresh_from_db()
    assert agent.user.check_password(PASSWORD)
    assert agent.get("limits/").status_code == 401
    [event] = events()
    assert (event.action, event.reason, event.source) == ("staff.changed", "lost laptop", "command")
    assert PASSWORD not in str(event.changes)


def test_a_trader_is_not_staff(trader, events):
    assert "use reset_password" in fail("changepassword", trader.email)

    assert not events()


def test_a_weak_password_changes_nothing(agent, monkeypatch, events):
    monkeypatch.setenv("STAFF_PASSWORD", "short")

    assert fail("changepassword", agent.user.email).startswith("The password will not do")
    assert agent.get("limits/").status_code == 200
    assert not events()
