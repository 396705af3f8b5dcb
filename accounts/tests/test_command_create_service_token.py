"""Command: create_service_token."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiSession
from accounts.tests.factories import StaffFactory
from conftest import Api
from support_platform.tests.commands import fail, run, tell


def test_makes_a_token_that_works_until_revoked(agent, trader, events):
    outcome = run("create_service_token", agent.user.email.upper(), "--days", 30)

    client = Api(token=outcome["token"])
    assert client.get(f"users/{trader.pk}/").status_code == 200
    lifetime = datetime.fromisoformat(outcome["expires_at"]) - timezone.now()
    assert timedelta(days=29, hours=23) < lifetime <= timedelta(days=30)
    session = ApiSession.objects.get(pk=outcome["session"])
    assert (session.user, session.kind) == (agent.user, "service")
    [event] = events()
    assert (event.action, event.subject_id) == ("user.service_token_created", agent.user.pk)
    assert outcome["token"] not in str(event.changes)
    assert client.post("auth/token/revoke/").status_code == 200
    assert client.get(f"users/{trader.pk}/").status_code == 401


def test_shows_the_token_once_for_people(agent):
    told = tell("create_service_token", agent.user.email, "--days", 1)

    assert told.count("eyJ") >= 1
    assert str(ApiSession.objects.get(kind="service").pk) in told


@pytest.mark.parametrize("days", ["0", "3651", "x", "1.5", "-1", "٣"])
def test_days_are_1_to_3650(agent, days):
    line = fail("create_service_token", agent.user.email, f"--days={days}")

    assert line == f"--days: give a whole number from 1 to 3650, not {days}."
    assert not ApiSession.objects.filter(kind="service").exists()


def test_for_active_staff_only(broker, trader):
    gone = StaffFactory(broker=broker, role="Agent", is_active=False)

    for email in (trader.email, gone.email, "nobody@desk.example"):
        line = fail("create_service_token", email, "--days", 1)
        assert line == f"There is no active staff account with the address {email}."


def test_in_the_name_of_staff_it_takes_a_superuser(supervisor, agent):
    line = fail("create_service_token", agent.user.email, "--days", 1, "--by", supervisor.user.email)

    assert line.endswith("it takes a superuser.")
