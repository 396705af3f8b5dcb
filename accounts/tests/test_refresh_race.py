"""One refresh token used by many at once."""

from django.db import connection
from django.test import Client

from accounts import session_operations
from accounts.models import ApiSession
from accounts.tests.factories import StaffFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.models import AuditEvent

THREADS = 24


def refresh(token):
    return Client().post("/api/v1/auth/token/refresh/", {"refresh": token}, content_type="application/json")


def test_of_24_threads_exactly_one_wins_and_the_family_dies(race, broker):
    user = StaffFactory(broker=broker, role="Agent")
    pair = session_operations.log_in(user, by=Actor.of(user))

    answers = race(*[lambda: refresh(pair["refresh"])] * THREADS)

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * (THREADS - 1)
    assert ApiSession.objects.filter(user=user).count() == 1
    assert AuditEvent.objects.filter(action="session.reuse_detected").count() == 1
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert refresh(won["refresh"]).status_code == 401
    assert Api(token=won["access"]).get("limits/").status_code == 401
    assert Api(token=pair["access"]).get("limits/").status_code == 401


def test_different_sessions_do_not_disturb_each_other(race, broker):
    users = [StaffFactory(broker=broker, role="Agent") for _ in range(6)]
    tokens = [session_operations.log_in(user, by=Actor.of(user))["refresh"] for user in users]

    answers = race(*[lambda token=token: refresh(token) for token in tokens])

    assert [answer.status_code for answer in answers] == [200] * 6


def test_the_race_is_run_on_real_transactions(real_database):
    assert not connection.in_atomic_block
