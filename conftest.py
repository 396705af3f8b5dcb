"""Fixtures for every app: people of each role, and a client that speaks to the API as they would."""

import itertools
import json
import os
import sqlite3
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client, TestCase, TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from accounts import session_operations
from accounts.tests.authenticator import Authenticator
from accounts.tests.factories import BrokerFactory, StaffFactory, SuperuserFactory, TraderFactory
from analytics.models import Rollup
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.permissions import sync_roles

BASE = "/api/v1/"

# Property tests: the same few cases each time, or with `--hypothesis-profile long` many that differ with
# `--hypothesis-seed`. A fixture is shared by all cases of a test, so what a case changes it must undo.
hypothesis_settings.register_profile(
    "quick",
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
hypothesis_settings.register_profile(
    "long", hypothesis_settings.get_profile("quick"), max_examples=1000, derandomize=False
)
hypothesis_settings.load_profile("quick")

if settings.REDIS_URL:
    # Tests empty the cache; processes that test side by side each get a Redis database of their own.
    first = urlsplit(settings.REDIS_URL)
    number = int(first.path.strip("/") or 0) + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    settings.CACHES["default"]["LOCATION"] = first._replace(path=f"/{number}").geturl()


@pytest.fixture(autouse=True)
def quick_and_clean(settings):
    """Hashing that takes no time, no look through all static files for every client, counters that begin at zero."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def emptied_after_transactional_tests():
    """
    Lets Django empty the database after a test with real transactions (`django_db(transaction=True)`).

    The audit table refuses to be emptied, so its triggers are away for that moment; trades and orders would leave notes
    for their rollups, so these go first; and the roles, which migrations made, are made again.
    """
    guards = import_module("support_platform.migrations.0005_audit_chain")
    empty = TransactionTestCase._fixture_teardown

    def empty_all(case):
        Rollup.objects.all().delete()
        with connection.schema_editor() as editor:
            guards.remove_triggers(apps, editor)
        try:
            empty(case)
        finally:
            with connection.schema_editor() as editor:
                guards.add_triggers(apps, editor)
        sync_roles(apps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_all)
        yield


class Api:
    """Calls below /api/v1/ with a bearer token; what is to happen on commit happens after each call."""

    def __init__(self, user=None, token=None):
        if user is not None:
            token = session_operations.log_in(user, by=Actor.of(user))["access"]
        self.user = user
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def call(self, method, path, body=None, *, reason=None, if_match=None, headers=None, **query):
        sent = dict(self.headers)
        if reason is not None:
            sent["Audit-Reason"] = quote(reason)
        if if_match is not None:
            sent["If-Match"] = f'"{if_match}"'
        sent |= headers or {}
        raw = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        url = path if path.startswith("/") or "://" in path else BASE + path
        if query:
            raw["query_params"] = query
        with TestCase.captureOnCommitCallbacks(execute=True):
            return self.client.generic(method, url, headers=sent, **raw)

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def patch(self, path, body=None, **kwargs):
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path, body=None, **kwargs):
        return self.call("DELETE", path, body, **kwargs)


@pytest.fixture
def broker(db):
    return BrokerFactory(name="Demo")


@pytest.fixture
def other_broker(db):
    return BrokerFactory(name="Other")


@pytest.fixture
def trader(broker):
    return TraderFactory(broker=broker)


@pytest.fixture
def foreign_trader(other_broker):
    return TraderFactory(broker=other_broker)


@pytest.fixture
def viewer(broker):
    return Api(StaffFactory(broker=broker, role="Viewer"))


@pytest.fixture
def agent(broker):
    return Api(StaffFactory(broker=broker, role="Agent"))


@pytest.fixture
def supervisor(broker):
    return Api(StaffFactory(broker=broker, role="Supervisor"))


@pytest.fixture
def superuser(db):
    return Api(SuperuserFactory())


@pytest.fixture
def anonymous(db):
    return Api()


@pytest.fixture
def one_window(monkeypatch):
    """The limits' windows begin with the test, so that none straddles two of them and counts less."""
    start = int(time.time())
    monkeypatch.setattr("django_ratelimit.core._get_window", lambda value, period: start + period)


@pytest.fixture
def phone(monkeypatch):
    """The phone that shows the codes of SecondFactorFactory; its time is what the platform takes for now."""
    phone = Authenticator()
    monkeypatch.setattr("accounts.second_factor.time", SimpleNamespace(time=lambda: phone.now))
    return phone


@pytest.fixture
def events(db):
    """The audit events written since the fixture was asked for, oldest first: call it to read them."""
    before = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def read(**filters):
        return list(AuditEvent.objects.filter(id__gt=before, **filters).order_by("id"))

    return read


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
def tried(record_property):
    """Counts the cases of a property test: each calls it once."""
    count = itertools.count()
    yield lambda: next(count)
    record_property("property cases", next(count))


@pytest.fixture(scope="session")
def real_data():
    """The folder of real logs: REAL_DATA, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("REAL_DATA") or Path(__file__).resolve().parent.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real logs are not on this machine; name their folder in REAL_DATA")
    return folder


def pytest_addoption(parser):
    parser.addoption("--case", default="", help="of the hostile corpus only the cases whose name holds this text")
    parser.addoption("--every-case", action="store_true", help="of the hostile corpus every case, also alike ones")


def pytest_terminal_summary(terminalreporter):
    """How many generated cases were tried, by kind: tests that try many at once tell it by `record_property`."""
    tried = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                tried.update(dict(report.user_properties))
    for name, count in sorted(tried.items()):
        terminalreporter.write_line(f"{count:>7} {name}")
    if tried:
        terminalreporter.write_line(f"{tried.total():>7} generated cases in all")
