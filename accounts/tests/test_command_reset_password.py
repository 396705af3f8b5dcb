"""Command: reset_password."""

import pytest
from django.core import mail

from accounts.models import OutgoingMail
from accounts.tests.factories import TraderFactory
from support_platform.tests.commands import fail, run, tell


@pytest.mark.django_db(transaction=True)
def test_mails_a_link_and_is_audited(agent, trader, events):
    outcome = run("reset_password", trader.email, "--by", agent.user.email, "--reason", "asked on the phone")

    trader.refresh_from_db()
    assert outcome.keys() == {"id", "sent_to", "expires_at", "mail"}
    assert (outcome["id"], outcome["sent_to"], outcome["mail"]) == (trader.pk, "t***@demo.example", "sent")
    [sent] = mail.outbox
    assert sent.to == [trader.email]
    [event] = events()
    assert (event.action, event.user, event.reason) == ("user.password_reset", trader.pk, "asked on the phone")
    assert trader.reset_nonce not in str(outcome) + str(event.changes)


@pytest.mark.django_db(transaction=True)
def test_says_when_the_mail_server_did_not_take_it(trader, settings):
    settings.EMAIL_BACKEND = "no.such.Backend"

    told = tell("reset_password", trader.email)

    assert "send_mails" in told
    assert OutgoingMail.objects.filter(user=trader, sent_at__isnull=True).count() == 1


def test_an_inactive_trader_is_refused(broker, events):
    trader = TraderFactory(broker=broker, is_active=False)

    line = fail("reset_password", trader.email)

    assert line == "The account is inactive, and a reset never reactivates it. Activate the account first."
    assert not OutgoingMail.objects.exists()
    assert events() == []


def test_needs_the_right_and_the_broker(viewer, agent, trader, foreign_trader):
    assert "it takes the role Agent or Supervisor" in fail("reset_password", trader.email, "--by", viewer.user.email)
    assert "within reach" in fail("reset_password", foreign_trader.email, "--by", agent.user.email)
    assert not OutgoingMail.objects.exists()
