"""What mail servers do to a mail, with a server that talks SMTP: nothing lost, sent once, no secret told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from email.message import Message

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, connections
from django.utils import timezone

from accounts import mail, operations, smtp
from accounts.mail import Outcome
from accounts.models import OutgoingMail
from accounts.tests.browser import link_token
from accounts.tests.mail_server import DIE, DRIP, HANG, MailServer
from support_platform.audit import Actor

BY = Actor(name="test")
COURIER = "import django; django.setup(); from accounts import mail; mail.start_courier(pause=0.2).join()"


@pytest.fixture
def server(settings, monkeypatch):
    settings.EMAIL_BACKEND = "accounts.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = "127.0.0.1", 30
    monkeypatch.setattr("django.core.mail.utils.DNS_NAME._fqdn", "demo.example", raising=False)
    with MailServer() as running:
        settings.EMAIL_PORT = running.port
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join(10)


def queue(trader, **fields):
    return OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email, **fields)


def queue_reset(trader, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mail, "deliver", lambda row: None)
        operations.reset_password(trader, by=BY)
    return OutgoingMail.objects.latest("id")


def make_due():
    OutgoingMail.objects.update(next_attempt_at=timezone.now())


def try_again(row):
    make_due()
    return mail.deliver(OutgoingMail.objects.get(pk=row.pk))


HANGS = [
    (stage, HANG, Outcome.AWAY, "TimeoutError") for stage in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT")
]
DRIPS = [(stage, DRIP, Outcome.AWAY, "TimeoutError") for stage in ("CONNECT", "EHLO", "CONTENT")]
DEATHS = [(stage, DIE, Outcome.AWAY, "SMTPServerDisconnected") for stage in ("CONNECT", "MAIL", "RCPT", "CONTENT")]
REFUSALS = [
    ("CONNECT", "421 busy", Outcome.AWAY, "SMTPConnectError 421"),
    ("CONNECT", "554 no mail here", Outcome.AWAY, "SMTPConnectError 554"),
    ("MAIL", "421 closing", Outcome.AWAY, "SMTPSenderRefused 421"),
    ("MAIL", "450 too many", Outcome.AWAY, "SMTPSenderRefused 450"),
    ("MAIL", "550 not from you", Outcome.AWAY, "SMTPSenderRefused 550"),
    ("RCPT", "421 closing", Outcome.AWAY, "SMTPRecipientsRefused 421"),
    ("RCPT", "450 greylisted", Outcome.DEFERRED, "SMTPRecipientsRefused 450"),
    ("RCPT", "550 no such mailbox", Outcome.REFUSED, "SMTPRecipientsRefused 550"),
    ("RCPT", "553 no such name", Outcome.REFUSED, "SMTPRecipientsRefused 553"),
    ("DATA", "421 closing", Outcome.AWAY, "SMTPDataError 421"),
    ("DATA", "451 later", Outcome.DEFERRED, "SMTPDataError 451"),
    ("DATA", "554 never", Outcome.REFUSED, "SMTPDataError 554"),
    ("CONTENT", "421 closing", Outcome.AWAY, "SMTPDataError 421"),
    ("CONTENT", "450 later", Outcome.DEFERRED, "SMTPDataError 450"),
    ("CONTENT", "550 blocked", Outcome.REFUSED, "SMTPDataError 550"),
    ("CONTENT", "not SMTP", Outcome.AWAY, "SMTPDataError -1"),
]


@pytest.mark.parametrize(("stage", "behaviour", "outcome", "reason"), [*HANGS, *DRIPS, *DEATHS, *REFUSALS])
def test_a_mail_outlives_what_a_server_does(
    trader, server, settings, monkeypatch, caplog, stage, behaviour, outcome, reason
):
    row = queue_reset(trader, monkeypatch)
    server.does[stage] = [behaviour]
    settings.EMAIL_TIMEOUT = 0.2 if behaviour == HANG else 30
    with monkeypatch.context() as patch:
        patch.setattr(smtp, "LONGEST", 1 if behaviour == DRIP else 60)
        assert mail.deliver(row) is outcome

    row.refresh_from_db()
    assert (row.attempts, row.sent_at, row.dropped_at, row.last_error) == (1, None, None, reason)
    assert row.next_attempt_at > timezone.now()
    assert (row.refused_at is None) == (outcome is Outcome.AWAY)
    settings.EMAIL_TIMEOUT = 30
    assert try_again(row) is Outcome.SENT
    assert len(set(server.message_ids())) == 1  # what it took without saying so it can tell to be a double
    row.refresh_from_db()
    assert row.sent_at is not None and row.last_error == ""
    assert link_token(link_of(server.mails[-1])) not in caplog.text


def link_of(sent):
    text = sent.get_payload(0).get_payload(decode=True).decode()
    [link] = [line for line in text.splitlines() if line.startswith(django_settings.PUBLIC_URL)]
    return link


def test_a_server_that_refuses_the_connection_is_away(trader, server, settings):
    with MailServer() as closed:
        settings.EMAIL_PORT = closed.port
    row = queue(trader)

    assert mail.deliver(row) is Outcome.AWAY

    settings.EMAIL_PORT = server.port
    row.refresh_from_db()
    assert row.last_error == "ConnectionRefusedError 111"
    assert try_again(row) is Outcome.SENT
    assert len(server.mails) == 1


def test_a_server_that_speaks_neither_ehlo_nor_helo_is_away(trader, server):
    server.does["EHLO"] = ["550 no", "550 no"]

    assert mail.deliver(queue(trader)) is Outcome.AWAY

    assert OutgoingMail.objects.get().last_error == "SMTPHeloError 550"


@pytest.mark.parametrize(
    "farewell", ["500 what", "221 " + "x" * 9000, DIE, HANG, DRIP], ids=["refused", "endless line", DIE, HANG, DRIP]
)
def test_a_mail_that_was_taken_is_sent_however_the_server_parts(trader, server, settings, monkeypatch, farewell):
    settings.EMAIL_TIMEOUT = 2
    monkeypatch.setattr(smtp, "LONGEST", 3)
    server.does["QUIT"] = [farewell]

    assert mail.deliver(queue(trader)) is Outcome.SENT

    assert OutgoingMail.objects.get().sent_at is not None
    assert len(server.mails) == 1


def test_a_server_that_takes_no_mail_is_asked_once_in_a_round(trader, server):
    rows = [queue(trader) for _ in range(3)]
    server.does["CONNECT"] = ["421 busy"]

    assert list(mail.deliver_waiting()) == [Outcome.AWAY]
    assert [row.attempts for row in OutgoingMail.objects.order_by("id")] == [0, 0, 1]

    make_due()
    assert list(mail.deliver_waiting()) == [Outcome.SENT] * len(rows)


def test_a_mail_that_is_refused_holds_no_other_up(trader, server):
    for _ in range(3):
        queue(trader)
    server.does["RCPT"] = ["550 no such mailbox", "450 later"]

    assert list(mail.deliver_waiting()) == [Outcome.REFUSED, Outcome.DEFERRED, Outcome.SENT]


def test_of_the_mails_that_wait_the_newest_that_was_never_tried_goes_first(trader, server):
    first, second, third = (queue(trader, attempts=attempts) for attempts in (0, 0, 5))

    list(mail.deliver_waiting())

    assert server.message_ids() == [mail.message_id(row) for row in (second, first, third)]


def test_a_message_id_is_the_rows_own(trader, settings):
    settings.DEFAULT_FROM_EMAIL = "Support <support@desk.example>"
    row, other = queue(trader), queue(trader)

    again = OutgoingMail.objects.get(pk=row.pk)

    assert mail.message_id(row) == mail.message_id(again) != mail.message_id(other)
    assert mail.message_id(row).endswith("@desk.example>")
    assert isinstance(mail.message(again, {"subject": "x", "user": trader}).message(), Message)


# Two senders


@pytest.fixture
def in_a_thread(real_database):
    """Starts a function in a thread with its own connection; what it gives, gives its result."""

    def start(function):
        results = []

        def work():
            try:
                results.append(function())
            finally:
                connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()

        def end():
            thread.join(30)
            return results[0]

        return end

    return start


def test_while_a_slow_server_thinks_no_other_sender_sends(in_a_thread, trader, server):
    row = queue(trader)
    server.does["CONTENT"] = [HANG]
    slow = in_a_thread(lambda: mail.deliver(row))
    assert server.reached.wait(10)

    assert mail.deliver(OutgoingMail.objects.get()) is Outcome.NOTHING
    assert list(mail.deliver_waiting()) == []

    server.release.set()
    assert slow() is Outcome.SENT
    assert len(server.mails) == 1


@pytest.mark.parametrize("stage", ["CONNECT", "CONTENT"])
def test_a_sender_that_lost_its_claim_neither_sends_nor_notes(in_a_thread, trader, server, stage):
    row = queue(trader)
    server.does[stage] = [HANG]
    late = in_a_thread(lambda: mail.deliver(row))
    assert server.reached.wait(10)
    make_due()  # as if the claim's time were over

    server.does["RCPT"].append("450 later")
    assert mail.deliver(OutgoingMail.objects.get()) is Outcome.DEFERRED
    of_the_second = OutgoingMail.objects.values().get()
    server.release.set()

    assert late() is (Outcome.NOTHING if stage == "CONNECT" else Outcome.SENT)
    assert OutgoingMail.objects.values().get() == of_the_second
    assert len(server.mails) == (0 if stage == "CONNECT" else 1)


def test_a_mail_taken_while_the_database_was_away_is_noted_later_and_not_sent_again(real_database, trader, server):
    row = queue(trader)

    def away(execute, sql, *rest):
        if 'SET "sent_at"' in sql:
            raise OperationalError("gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        mail.deliver(row)
    assert OutgoingMail.objects.get().sent_at is None
    make_due()

    mail.Courier(1, lambda: ()).go_round()

    assert OutgoingMail.objects.get().sent_at is not None
    assert len(server.mails) == 1 and mail._taken == []


# Other processes


@pytest.fixture
def process(real_database, server):
    """Starts Python in a process of its own, on the database of this test and its mail server; kills what is left."""
    parts = connection.settings_dict
    url = f"sqlite:///{parts['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
    environment = os.environ | {
        "DATABASE_URL": url,
        "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
        "EMAIL_TIMEOUT": "30",
        "SECRET_KEY": django_settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "support_platform.settings",
    }
    running = []

    def start(*arguments):
        running.append(
            subprocess.Popen([sys.executable, *arguments], cwd=django_settings.BASE_DIR, env=environment, stdout=-3)
        )
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.wait(10)


def test_two_couriers_in_two_processes_send_each_of_100_mails_once(process, trader, server):
    expected = {mail.message_id(queue(trader)) for _ in range(100)}

    couriers = [process("-c", COURIER) for _ in range(2)]

    deadline = time.monotonic() + 120
    while OutgoingMail.objects.waiting().exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [courier.poll() for courier in couriers] == [None, None]
    assert Counter(server.message_ids()) == Counter(expected)


def test_the_mail_of_a_killed_sender_goes_again_after_its_claim_under_the_same_message_id(process, trader, server):
    row = queue(trader)
    server.does["CONTENT"] = [HANG]
    sender = process("manage.py", "send_mails", "--json")
    assert server.reached.wait(60)

    sender.kill()

    assert sender.wait(10) == -signal.SIGKILL
    assert list(mail.deliver_waiting()) == []
    row.refresh_from_db()
    assert timedelta(0) < row.next_attempt_at - timezone.now() <= mail.CLAIM
    make_due()
    assert list(mail.deliver_waiting()) == [Outcome.SENT]
    assert server.message_ids() == [mail.message_id(row)] * 2
    assert OutgoingMail.objects.get().attempts == 2
