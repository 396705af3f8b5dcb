"""The courier: the thread of a server that talks to the mail server, so that no request waits for it."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from django.conf import settings as django_settings
from django.core import mail as outgoing
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError

from accounts import mail
from accounts.models import OutgoingMail
from accounts.tests.mail_server import HANG, MailServer

HERE = "accounts.tests.test_courier"


class Witness(BaseEmailBackend):
    """Hands a mail over when it may, and notes in which thread."""

    may, threads = threading.Event(), []

    def send_messages(self, messages):
        self.threads.append(threading.current_thread().name)
        assert self.may.wait(30)
        return len(messages)


@pytest.fixture
def courier():
    """Starts the courier, and ends it before its database goes."""
    started = []

    def start(**options):
        started.append(mail.start_courier(**{"pause": 0.02} | options))
        return started[-1]

    yield start
    Witness.may.set()
    for thread in started:
        thread.stop(10)
        assert not thread.is_alive()


@pytest.fixture
def witness(settings):
    settings.EMAIL_BACKEND = f"{HERE}.Witness"
    Witness.may.clear()
    Witness.threads.clear()
    return Witness


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_sent(**fields):
    return OutgoingMail.objects.filter(sent_at__isnull=False, **fields).exists()


def queue(trader):
    return OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)


def test_it_sends_what_waits(real_database, trader, courier):
    waiting = queue(trader)

    assert courier().daemon

    until(lambda: is_sent(pk=waiting.pk))
    assert len(outgoing.outbox) == 1


def test_a_request_wakes_it_and_does_not_wait_for_the_mail_server(real_database, agent, trader, courier, witness):
    courier(pause=3600)

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert answer.status_code == 202
    assert not is_sent()  # the mail server has not said a word yet
    witness.may.set()
    until(is_sent)
    assert witness.threads == ["mail-courier"]


def test_a_mail_queued_while_it_sends_goes_in_the_same_round(real_database, agent, trader, courier, witness):
    courier(pause=3600)
    agent.post(f"users/{trader.pk}/password-reset/")
    until(lambda: witness.threads)

    agent.patch(f"users/{trader.pk}/", {"email": "new@elsewhere.example"})

    witness.may.set()
    until(lambda: OutgoingMail.objects.filter(sent_at__isnull=False).count() == 3)


@pytest.mark.parametrize("kind", ["none", "ended"])
def test_where_none_lives_the_mail_is_tried_at_once(real_database, agent, trader, courier, witness, kind):
    witness.may.set()
    if kind == "ended":
        courier().stop(10)

    agent.post(f"users/{trader.pk}/password-reset/")

    assert is_sent()
    assert "mail-courier" not in witness.threads


def test_a_backend_that_waits_for_nobody_has_the_mail_there_with_the_answer(real_database, agent, trader, courier):
    courier(pause=3600)

    agent.post(f"users/{trader.pk}/password-reset/")

    assert is_sent() and len(outgoing.outbox) == 1


def test_it_outlives_errors_and_keeps_no_connection(courier, monkeypatch, caplog):
    rounds, closed, third = [], [], threading.Event()

    def fail():
        rounds.append(len(closed))
        if len(rounds) == 3:
            third.set()
        raise OperationalError("password=secret host=db")

    monkeypatch.setattr(mail, "deliver_waiting", fail)
    monkeypatch.setattr("support_platform.rounds.connections.close_all", lambda: closed.append(1))

    thread = courier()

    assert third.wait(10) and thread.is_alive()
    assert rounds[:3] == [0, 1, 2]  # each round began after the one before had closed its connections
    assert "OperationalError" in caplog.text and "secret" not in caplog.text


def test_asked_to_stop_it_finishes_the_mail_in_hand_and_begins_no_other(real_database, trader, courier, witness):
    for _ in range(3):
        queue(trader)
    thread = courier()
    until(lambda: witness.threads)

    thread.stop(0.01)
    assert thread.is_alive()
    witness.may.set()
    thread.join(10)

    assert not thread.is_alive()
    assert OutgoingMail.objects.filter(sent_at__isnull=False).count() == 1
    assert OutgoingMail.objects.filter(attempts=0).count() == 2


def test_it_keeps_house_when_no_mail_is_due_and_again_in_an_hour(real_database, trader, courier, monkeypatch):
    queue(trader)
    done = []

    def housework():
        done.append(len(outgoing.outbox))
        yield

    thread = courier(housework=housework)
    until(lambda: thread.next_housework > time.monotonic())
    assert done == [1]

    thread.next_housework = time.monotonic()
    until(lambda: len(done) == 2)


def test_a_new_mail_interrupts_the_housework_which_goes_on_later(real_database, agent, trader, courier, witness):
    steps, first, may_go_on = [], threading.Event(), threading.Event()
    witness.may.set()

    def housework():
        for step in range(len(steps), 3):
            steps.append((step, is_sent()))
            first.set()
            assert may_go_on.wait(30)
            yield

    courier(pause=0.02, housework=housework)
    assert first.wait(10)
    agent.post(f"users/{trader.pk}/password-reset/")
    may_go_on.set()

    until(lambda: len(steps) == 3)
    assert steps == [(0, False), (1, True), (2, True)]


PREPARE = """
import django; django.setup()
from django.core.management import call_command
from accounts import session_operations
from accounts.tests.factories import StaffFactory, TraderFactory
from support_platform.audit import Actor
call_command("migrate", verbosity=0)
trader = TraderFactory()
staff = StaffFactory(broker=trader.broker, role="Agent")
print(trader.pk, session_operations.log_in(staff, by=Actor(name="test"))["access"])
"""


@pytest.fixture
def silent():
    """A mail server that greets and says no more."""
    with MailServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        running.does["EHLO"] = [HANG] * 100
        yield running
        running.release.set()
        running.shutdown()
        thread.join(10)


@pytest.fixture
def environment(tmp_path, silent):
    """For processes on SQLite in a folder of their own, with that mail server and all the patience for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    foreign = ("DATABASE_URL", "REDIS_URL", "ENVIRONMENT", "WEB_CONCURRENCY", "MAIL_RETRY_IN_SERVER")
    return {name: value for name, value in os.environ.items() if name not in foreign} | {
        "VAR_DIR": str(tmp_path),
        "PORT": str(port),
        "EMAIL_URL": f"smtp://127.0.0.1:{silent.port}",
        "EMAIL_TIMEOUT": "300",
        "DJANGO_SETTINGS_MODULE": "support_platform.settings",
    }


def post(port, path, token):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, headers={"Authorization": f"Bearer {token}"})
    return connection.getresponse().status


def is_up(port):
    try:
        return post(port, "/health/live/", "") == 405
    except OSError:
        return False


def test_served_beside_a_silent_mail_server_requests_are_answered_and_sigterm_ends_it(environment, silent, tmp_path):
    here = {"cwd": django_settings.BASE_DIR, "env": environment}
    prepared = subprocess.run([sys.executable, "-c", PREPARE], check=True, capture_output=True, text=True, **here)
    trader_id, token = prepared.stdout.split()
    port, log = int(environment["PORT"]), tmp_path / "server.log"
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "support_platform.wsgi"]
    with log.open("w") as lines, subprocess.Popen(command, stdout=lines, stderr=lines, **here) as server:
        try:
            until(lambda: is_up(port))

            for _ in range(2):
                assert post(port, f"/api/v1/users/{trader_id}/password-reset/", token) == 202
            assert silent.reached.wait(30)
            server.terminate()

            assert server.wait(30) == 0
        finally:
            server.kill()
    assert silent.mails == []
    assert "account/password/" not in log.read_text()
