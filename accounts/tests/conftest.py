import sqlite3
import time
from threading import Barrier, Thread

import pytest
from django.db import connection, connections

from accounts import session_operations
from accounts.tests.browser import link_in, mails_to
from accounts.tests.factories import StaffFactory
from support_platform.audit import Actor


@pytest.fixture(autouse=True)
def one_window(monkeypatch):
    """The limits' windows begin with the test, so that none straddles two of them and counts less."""
    start = int(time.time())
    monkeypatch.setattr("django_ratelimit.core._get_window", lambda value, period: start + period)


@pytest.fixture
def real_database(transactional_db, tmp_path):
    """
    A database whose transactions commit, and which threads share as the server's do.

    SQLite's test database lives in memory, where a second connection fails instead of waiting its turn; so there
    the test works on a copy in a file.
    """
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    path = str(tmp_path / "test.sqlite3")
    with sqlite3.connect(path) as copy:
        in_memory.backup(copy)
    copy.close()
    connection.settings_dict["NAME"] = path
    connection.connection = None
    yield
    connection.close()
    connection.settings_dict["NAME"] = name
    connection.connection = in_memory


@pytest.fixture
def race(real_database):
    """Runs functions at the same moment, each in a thread with its own connection, and gives their results."""

    def run(*functions):
        start, results = Barrier(len(functions)), [None] * len(functions)

        def work(index, function):
            try:
                start.wait(10)
                results[index] = function()
            except Exception as error:
                results[index] = error
            finally:
                connections.close_all()

        threads = [Thread(target=work, args=pair) for pair in enumerate(functions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    return run


@pytest.fixture
def reset(agent, trader):
    """Resets the trader's password and gives the mailed link."""

    def ask(**kwargs):
        answer = agent.post(f"users/{trader.pk}/password-reset/", **kwargs)
        assert answer.status_code == 202, answer.content
        return link_in(mails_to(trader.email)[-1])

    return ask


@pytest.fixture
def change_email(agent, trader):
    """Asks for a new address of the trader and gives the link that was mailed to it."""

    def ask(email="new@elsewhere.example"):
        answer = agent.patch(f"users/{trader.pk}/", {"email": email})
        assert answer.status_code == 200, answer.content
        return link_in(mails_to(email)[-1])

    return ask


@pytest.fixture
def staff(broker):
    return StaffFactory(broker=broker, role="Agent")


@pytest.fixture
def pair(staff):
    return session_operations.log_in(staff, by=Actor.of(staff))
