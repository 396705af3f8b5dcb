"""The mail queue: nothing lost, nothing sent twice, nothing secret kept."""

import smtplib
from datetime import timedelta

import pytest
from django.core import mail as outgoing
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, OperationalError, connection
from django.test import TestCase
from django.utils import timezone

from accounts import mail, operations
from accounts.mail import Outcome
from accounts.models import OutgoingMail
from accounts.tests.browser import Browser, link_in, mails_to
from accounts.tests.factories import BrokerFactory, TraderFactory
from support_platform.audit import Actor

BY = Actor(name="test")
HERE = "accounts.tests.test_mail"
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


class DeadServer(BaseEmailBackend):
    def send_messages(self, messages):
        raise ConnectionRefusedError(111, "Connection refused")


class TalkativeServer(BaseEmailBackend):
    def send_messages(self, messages):
        raise smtplib.SMTPDataError(554, f"blocked: {link_in(messages[0])}".encode())


class DyingSender(BaseEmailBackend):
    def send_messages(self, messages):
        raise SystemExit("killed")


class Witness(BaseEmailBackend):
    """Notes whether a transaction is open while a mail is sent."""

    seen = []

    def send_messages(self, messages):
        self.seen.append(connection.in_atomic_block)
        return len(messages)


@pytest.fixture
def through(settings):
    def use(backend):
        settings.EMAIL_BACKEND = backend if isinstance(backend, str) else f"{HERE}.{backend.__name__}"

    return use


def queue_reset(trader):
    """A reset whose mail was queued but not yet tried."""
    with TestCase.captureOnCommitCallbacks(execute=False):
        operations.reset_password(trader, by=BY)
    return OutgoingMail.objects.latest("id")


def queue_notice(trader):
    return OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)


def make_due():
    OutgoingMail.objects.update(next_attempt_at=timezone.now())


def test_with_a_dead_server_the_answer_is_202_and_the_mail_is_sent_once_later(agent, trader, through):
    through(DeadServer)

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert answer.status_code == 202
    [waiting] = OutgoingMail.objects.all()
    assert (waiting.sent_at, waiting.attempts, waiting.last_error) == (None, 1, "ConnectionRefusedError 111")
    assert waiting.next_attempt_at > timezone.now()
    through(LOCMEM)
    assert list(mail.deliver_waiting()) == []  # not due yet
    make_due()
    assert list(mail.deliver_waiting()) == [Outcome.SENT]
    make_due()
    assert list(mail.deliver_waiting()) == []
    [sent] = outgoing.outbox
    assert Browser().open(link_in(sent)).status_code == 200
    waiting.refresh_from_db()
    assert waiting.sent_at is not None and waiting.last_error == ""


def refusing(code):
    class Refusing(BaseEmailBackend):
        def send_messages(self, messages):
            [address] = messages[0].to
            raise smtplib.SMTPRecipientsRefused({address: (code, b"no")})

    return Refusing


class Deferring(refusing(450)):
    pass


class Refusing(refusing(550)):
    pass


@pytest.mark.parametrize(
    ("server", "age", "pause"),
    [
        (DeadServer, {}, 15),
        (DeadServer, {"seconds": 40}, 40),
        (DeadServer, {"days": 9}, 60),
        (Deferring, {}, 60),
        (Deferring, {"minutes": 20}, 1200),
        (Deferring, {"days": 2}, 3600),
        (Refusing, {}, 900),
        (Refusing, {"hours": 5}, 5 * 3600),
        (Refusing, {"days": 2}, 12 * 3600),
    ],
)
def test_the_pause_between_tries_is_as_long_again_as_the_trouble_within_bounds(trader, through, server, age, pause):
    through(server)
    waiting = queue_reset(trader)
    since = timezone.now() - timedelta(**age)
    OutgoingMail.objects.update(created_at=since, refused_at=since if age else None)

    mail.deliver(waiting)

    waiting.refresh_from_db()
    assert pause * 0.9 - 5 <= (waiting.next_attempt_at - timezone.now()).total_seconds() <= pause * 1.1 + 5
    assert waiting.dropped_at is None


def test_a_mail_that_the_server_refuses_for_three_days_is_given_up(trader, through, caplog):
    through(Refusing)
    waiting = queue_notice(trader)
    refused_at = timezone.now() - timedelta(hours=72)
    OutgoingMail.objects.update(refused_at=refused_at, attempts=11)
    waiting.refresh_from_db()

    assert mail.deliver(waiting) is Outcome.REFUSED

    waiting.refresh_from_db()
    assert (waiting.attempts, waiting.last_error) == (12, "SMTPRecipientsRefused 550")
    assert waiting.dropped_at is not None and waiting.sent_at is None and waiting.refused_at == refused_at
    assert f"mail={waiting.pk} kind=password_changed error=SMTPRecipientsRefused 550 attempts=12" in caplog.text
    assert trader.email not in caplog.text


def test_while_no_server_is_there_nothing_is_given_up_however_long(trader, through):
    through(DeadServer)
    waiting = queue_notice(trader)
    OutgoingMail.objects.update(created_at=timezone.now() - timedelta(days=90), attempts=40_000)
    waiting.refresh_from_db()

    assert mail.deliver(waiting) is Outcome.AWAY

    waiting.refresh_from_db()
    assert (waiting.attempts, waiting.dropped_at) == (40_001, None)


def test_a_mail_that_cannot_be_made_waits_and_holds_no_other_up(trader, through, monkeypatch):
    through(LOCMEM)
    queue_notice(trader), queue_notice(trader)
    make, made = mail.message, []

    def fail_once(row, context):
        made.append(row.pk)
        if len(made) == 1:
            raise KeyError(f"of {trader.email}")
        return make(row, context)

    monkeypatch.setattr(mail, "message", fail_once)

    assert list(mail.deliver_waiting()) == [Outcome.DEFERRED, Outcome.SENT]
    assert OutgoingMail.objects.get(sent_at=None).last_error == "KeyError"


def test_what_a_server_says_is_not_kept_since_it_can_quote_the_link(agent, trader, through, caplog):
    through(TalkativeServer)

    agent.post(f"users/{trader.pk}/password-reset/")

    assert OutgoingMail.objects.get().last_error == "SMTPDataError 554"
    assert "mail" in caplog.text and "SMTPDataError 554" in caplog.text
    assert "account/password/" not in caplog.text.replace("/account/password/<str:token>/", "")


def test_a_superseded_reset_mail_is_dropped(agent, trader, through):
    through(DeadServer)
    agent.post(f"users/{trader.pk}/password-reset/")
    through(LOCMEM)
    agent.post(f"users/{trader.pk}/password-reset/")
    make_due()

    assert list(mail.deliver_waiting()) == [Outcome.NOTHING]

    assert len(outgoing.outbox) == 1
    first, second = OutgoingMail.objects.order_by("id")
    assert first.dropped_at is not None and first.sent_at is None
    assert second.sent_at is not None


@pytest.mark.parametrize("end", ["deactivated", "expired", "moved"])
def test_a_mail_whose_link_is_dead_by_now_is_dropped(trader, end):
    waiting = queue_reset(trader)
    if end == "deactivated":
        operations.set_status(trader, "inactive", by=BY)
    elif end == "moved":
        operations.change_contact(trader, by=BY, email="moved@demo.example", verified=True)
    else:
        type(trader).objects.filter(pk=trader.pk).update(reset_expires_at=timezone.now())

    assert mail.deliver(waiting) is Outcome.NOTHING

    waiting.refresh_from_db()
    assert waiting.dropped_at is not None
    assert mails_to(trader.email) == []


def test_a_sender_that_dies_lets_go_after_a_while(trader, through):
    waiting = queue_reset(trader)
    through(DyingSender)
    with pytest.raises(SystemExit):
        mail.deliver(waiting)
    through(LOCMEM)

    assert list(mail.deliver_waiting()) == []
    waiting.refresh_from_db()
    assert timedelta(0) < waiting.next_attempt_at - timezone.now() <= mail.CLAIM
    make_due()
    assert list(mail.deliver_waiting()) == [Outcome.SENT]
    assert len(outgoing.outbox) == 1


def test_of_many_senders_one_sends(race, trader, through):
    through(DeadServer)
    waiting = queue_reset(trader)
    through(LOCMEM)
    make_due()
    waiting.refresh_from_db()

    results = race(*[lambda: mail.deliver(waiting)] * 8)

    assert sorted(results, key=str) == [Outcome.NOTHING] * 7 + [Outcome.SENT]
    assert len(outgoing.outbox) == 1


def test_the_database_failing_after_the_commit_is_no_failure_of_the_change(agent, trader, monkeypatch):
    def fail(row):
        raise OperationalError("gone")

    monkeypatch.setattr(mail, "deliver", fail)

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert answer.status_code == 202
    assert OutgoingMail.objects.get().sent_at is None


def test_a_mail_leaves_after_the_commit_and_outside_any_transaction(real_database, agent, trader, through):
    through(Witness)
    Witness.seen.clear()

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert answer.status_code == 202
    assert Witness.seen == [False]
    assert OutgoingMail.objects.get().sent_at is not None


def test_a_change_that_fails_sends_nothing(real_database, trader, monkeypatch):
    def fail(*args, **kwargs):
        raise DatabaseError("no audit, no change")

    monkeypatch.setattr(operations.audit, "record", fail)

    with pytest.raises(DatabaseError):
        operations.reset_password(trader, by=BY)

    assert outgoing.outbox == [] and not OutgoingMail.objects.exists()
    trader.refresh_from_db()
    assert trader.reset_nonce == ""


# What the mails say


@pytest.fixture
def strange(db):
    broker = BrokerFactory(name='A & B <img src="x">')
    return TraderFactory(broker=broker, first_name="<script>alert(1)</script>", email="strange@demo.example")


def all_four(trader):
    with TestCase.captureOnCommitCallbacks(execute=True):
        operations.reset_password(trader, by=BY)
        operations.change_contact(trader, by=BY, email="new.address@elsewhere.example")
    with TestCase.captureOnCommitCallbacks(execute=True):
        trader.refresh_from_db()
        operations.complete_password_reset(mail.links.reset_link(trader).split("/")[-2], "violet tram 48", by=BY)
    assert len(outgoing.outbox) == 4
    return outgoing.outbox


def test_names_are_escaped_in_html_and_left_alone_in_text(strange):
    for sent in all_four(strange):
        html = sent.alternatives[0].content
        assert "<script>" not in html and "<img" not in html
        assert "A &amp; B &lt;img" in html and 'A & B <img src="x">' in sent.body
        assert "&lt;" not in sent.body and "&amp;" not in sent.body and "&#" not in sent.body


def test_every_mail_tells_whom_to_turn_to_and_what_if_it_was_not_them(strange):
    for sent in all_four(strange):
        assert "Was it not you" in sent.body and "Was it not you" in sent.alternatives[0].content
        assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
        assert sent.subject and "\n" not in sent.subject
        assert len(sent.message().as_bytes()) > 500  # the headers are well formed
        assert max(map(len, sent.body.splitlines())) < 300


def test_the_new_address_learns_nothing_of_the_trader_and_the_old_one_little_of_the_new(strange):
    all_four(strange)
    [confirmation] = mails_to("new.address@elsewhere.example")
    [notice] = [sent for sent in mails_to("strange@demo.example") if "address" in sent.subject]

    for text in (confirmation.body, confirmation.alternatives[0].content):
        assert "strange@" not in text and "alert(1)" not in text
    for text in (notice.body, notice.alternatives[0].content):
        assert "n***@elsewhere.example" in text and "new.address" not in text
