"""Command: send_mails."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import OutgoingMail
from support_platform.tests.commands import run, tell


def waiting(trader, **fields):
    return OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email, **fields)


def test_sends_all_that_is_due_and_nothing_else(trader):
    for _ in range(60):
        waiting(trader)
    later = waiting(trader, next_attempt_at=timezone.now() + timedelta(hours=1))
    waiting(trader, sent_at=timezone.now())

    outcome = run("send_mails")

    assert (outcome["sent"], outcome["failed"]) == (60, 0)
    assert [row["mail"] for row in outcome["waiting"]] == [later.pk]
    assert len(mail.outbox) == 60


def test_repeating_sends_nothing(trader):
    waiting(trader)
    run("send_mails")

    assert run("send_mails") == {"sent": 0, "failed": 0, "waiting": []}
    assert len(mail.outbox) == 1


def test_fails_when_a_mail_is_not_taken_and_keeps_it(trader, settings):
    settings.EMAIL_BACKEND = "no.such.Backend"
    kept = waiting(trader)
    out = StringIO()

    with pytest.raises(CommandError, match="1 of 1 mails not sent"):
        call_command("send_mails", "--json", stdout=out)

    outcome = json.loads(out.getvalue())
    assert (outcome["sent"], outcome["failed"]) == (0, 1)
    [row] = outcome["waiting"]
    assert (row["mail"], row["kind"]) == (kept.pk, "password_changed")
    assert "ModuleNotFoundError" in row["error"]
    assert trader.email not in out.getvalue()


def test_a_mail_whose_occasion_is_gone_is_dropped(trader):
    OutgoingMail.objects.create(kind="password_reset", user=trader, to=trader.email, nonce="old")

    assert run("send_mails") == {"sent": 0, "failed": 0, "waiting": []}
    assert mail.outbox == []


def test_tells_people(trader):
    waiting(trader)

    assert tell("send_mails") == "sent    1\nfailed  0\n"
