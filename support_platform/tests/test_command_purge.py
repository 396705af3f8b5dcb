"""Command: purge."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import session_operations
from accounts.models import ApiSession, OutgoingMail
from accounts.tests.factories import StaffFactory
from support_platform import purging
from support_platform.audit import Actor
from support_platform.management.purge import purge
from support_platform.models import AuditEvent, IdempotencyRecord
from support_platform.tests.commands import run, tell

NAMES = ("idempotency_records", "mails", "api_sessions", "console_sessions", "rollups", "touches")
NOTHING = dict.fromkeys(NAMES, 0)
LONG_AGO, LATELY = timedelta(days=30, minutes=1), timedelta(days=29)


def mail_to(trader, **fields):
    return OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email, **fields)


def session_of(staff, *, expires, revoked=None):
    now = timezone.now()
    ended = {"expires_at": now + expires, "revoked_at": revoked and now + revoked}
    return ApiSession.objects.create(user=staff, session_version=1, refresh_id="0" * 32, **ended)


def test_an_empty_database_has_nothing_to_remove(db):
    assert run("purge") == NOTHING


def test_mails_go_30_days_after_they_were_sent_or_dropped(trader):
    now = timezone.now()
    mail_to(trader, sent_at=now - LONG_AGO)
    mail_to(trader, dropped_at=now - LONG_AGO)
    kept = [
        mail_to(trader, created_at=now - LONG_AGO, sent_at=now - LATELY),
        mail_to(trader, created_at=now - LONG_AGO, dropped_at=now - LATELY),
        mail_to(trader, created_at=now - LONG_AGO, attempts=9, refused_at=now - LONG_AGO),
    ]

    assert run("purge") == NOTHING | {"mails": 2}

    assert list(OutgoingMail.objects.order_by("id")) == kept


def test_api_sessions_go_30_days_after_they_ended(agent):
    own = ApiSession.objects.get()
    session_of(agent.user, expires=-LONG_AGO)
    session_of(agent.user, expires=timedelta(days=400), revoked=-LONG_AGO)
    kept = [
        own,
        session_of(agent.user, expires=-LATELY),
        session_of(agent.user, expires=timedelta(days=400)),
        session_of(agent.user, expires=timedelta(days=400), revoked=-LATELY),
    ]

    assert run("purge") == NOTHING | {"api_sessions": 2}

    assert set(ApiSession.objects.all()) == set(kept)
    assert agent.get("users/").status_code == 200


def test_a_used_refresh_token_is_known_for_theft_as_long_as_it_lives(broker, events):
    staff, by = StaffFactory(broker=broker, role="Agent"), Actor(name="test")
    used = session_operations.log_in(staff, by=by)["refresh"]
    session_operations.refresh(used, by=by)
    ApiSession.objects.update(created_at=timezone.now() - LONG_AGO)

    run("purge")

    assert session_operations.refresh(used, by=by) is None
    assert len(events(action="session.reuse_detected")) == 1


def test_console_sessions_go_when_they_expire_and_idempotency_records_after_a_day(db):
    now = timezone.now()
    for age, name in [(timedelta(seconds=1), "old"), (timedelta(minutes=-5), "open")]:
        Session.objects.create(session_key=name, session_data="", expire_date=now - age)
    for age, scope in [(timedelta(hours=24), "old"), (timedelta(hours=23), "live")]:
        IdempotencyRecord.objects.create(scope=scope, fingerprint="0", created_at=now - age)

    assert run("purge") == NOTHING | {"idempotency_records": 1, "console_sessions": 1}

    assert Session.objects.get().pk == "open" and IdempotencyRecord.objects.get().pk == "live"


def test_audit_events_stay_whatever_their_age(agent, trader):
    agent.post(f"users/{trader.pk}/password-reset/")
    before = list(AuditEvent.objects.order_by("id").values())

    for _ in purge(timezone.now() + timedelta(days=4000)):
        pass

    assert list(AuditEvent.objects.order_by("id").values()) == before != []
    assert not OutgoingMail.objects.exists() and not ApiSession.objects.exists()


def test_it_goes_in_batches_and_interrupted_leaves_the_rest_for_next_time(trader, monkeypatch):
    monkeypatch.setattr(purging, "BATCH", 2)
    for _ in range(5):
        mail_to(trader, sent_at=timezone.now() - LONG_AGO)
    steps = purge()

    assert next(steps) == ("mails", 2)
    steps.close()

    assert OutgoingMail.objects.count() == 3
    assert run("purge") == NOTHING | {"mails": 3}
    assert run("purge") == NOTHING


def test_two_at_once_remove_each_row_once(race, trader, monkeypatch):
    monkeypatch.setattr(purging, "BATCH", 3)
    for _ in range(30):
        mail_to(trader, sent_at=timezone.now() - LONG_AGO)

    counts = race(*[lambda: sum(count for _, count in purge())] * 4)

    assert sum(counts) == 30 and not OutgoingMail.objects.exists()


@pytest.mark.parametrize(("days", "removed"), [(0, 1), (60, 0)])
def test_how_long_is_a_setting(trader, settings, days, removed):
    settings.PURGE_AFTER = timedelta(days=days)
    mail_to(trader, sent_at=timezone.now() - (timedelta(days=59) if removed == 0 else timedelta(seconds=1)))

    assert run("purge")["mails"] == removed


def test_tells_people(trader):
    mail_to(trader, sent_at=timezone.now() - LONG_AGO)

    assert tell("purge").splitlines() == [
        "idempotency_records  0",
        "mails                1",
        "api_sessions         0",
        "console_sessions     0",
        "rollups              0",
        "touches              0",
    ]
