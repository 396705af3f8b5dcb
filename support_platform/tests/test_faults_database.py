"""
What is answered while the database is away, refuses to work or breaks off: 503 and a time to wait, never a crash.

Errors are the drivers' own, wrapped as Django wraps them; on PostgreSQL the server itself also raises each.
"""

import socket
import sqlite3
from threading import Thread
from types import SimpleNamespace

import django.db
import psycopg
import pytest
from django.db import close_old_connections, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.test import Client

from accounts import links, operations, session_operations
from accounts.tests.browser import PASSWORD_PAGE
from accounts.tests.factories import PASSWORD
from conftest import Api
from support_platform import views
from support_platform.exceptions import RETRY_AFTER_SECONDS, is_unavailable
from support_platform.tests.calls import BASE, all_calls, assert_problem
from support_platform.tests.console import Console

CALLS = [pytest.param(call, id=str(call)) for call in all_calls()]

UNAVAILABLE = {
    "08003": "connection does not exist",
    "08006": "connection failure",
    "25006": "read-only transaction",
    "25P03": "idle in transaction too long",
    "25P04": "transaction too long",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55006": "object in use",
    "55P03": "lock not available",
    "57014": "statement timeout",
    "57P01": "administrator's shutdown",
    "57P02": "crash shutdown",
    "57P03": "cannot connect now",
    "57P05": "idle session too long",
    "58030": "input or output failed",
}
OURS = {
    "22003": "number out of range",
    "25P02": "transaction failed before",
    "42501": "no privilege",
    "42601": "syntax error",
    "42703": "undefined column",
    "42P01": "undefined table",
    "54001": "statement too complex",
    "0A000": "not supported",
    "XX000": "internal error",
}


def as_django(error):
    """The error as Django's wrapper of the driver raises it: its own class of the same name, from the driver's."""
    names = [cls.__name__ for cls in type(error).__mro__]
    name = next(name for name in names if cls_of_django(name))
    wrapped = cls_of_django(name)(*error.args)
    wrapped.__cause__ = error
    return wrapped


def cls_of_django(name):
    return getattr(django.db, name, None) if name != "Error" else None


def of_sqlite(error_class, code):
    error = error_class("SECRET inside")
    if code is not None:
        error.sqlite_errorcode = code
    return as_django(error)


# --- which error means what -------------------------------------------------------------------------------
@pytest.mark.parametrize(("state", "expected"), [*((s, True) for s in UNAVAILABLE), *((s, False) for s in OURS)])
def test_postgresqls_codes_tell_away_from_wrong(state, expected):
    error = as_django(psycopg.errors.lookup(state)("SECRET inside"))

    assert is_unavailable(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (as_django(psycopg.OperationalError("connection refused")), True),
        (as_django(psycopg.OperationalError("the connection is closed")), True),
        (as_django(psycopg.errors.ConnectionTimeout("connection timeout expired")), True),
        (as_django(psycopg.InterfaceError("the cursor is closed")), True),
        (django.db.InterfaceError("connection already closed"), True),
        (as_django(psycopg.ProgrammingError("wrong placeholders")), False),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_BUSY), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_BUSY_SNAPSHOT), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_LOCKED), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_READONLY), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_IOERR_WRITE), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_FULL), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_CANTOPEN), True),
        (of_sqlite(sqlite3.OperationalError, sqlite3.SQLITE_ERROR), False),  # no such table, a syntax error
        (of_sqlite(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT), False),
        (of_sqlite(sqlite3.InterfaceError, None), False),
        (of_sqlite(sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_UNIQUE), False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_other_errors_tell_away_from_wrong_too(error, expected):
    assert is_unavailable(error) is expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("state", "status", "wait"),
    [
        ("57P01", 503, 2),
        ("53300", 503, 2),
        ("40P01", 503, 2),
        ("57014", 503, 30),
        ("53100", 503, 30),
        ("42P01", 500, None),
    ],
)
def test_each_error_has_its_answer(agent, trader, monkeypatch, events, method, state, status, wait):
    def fail(*args, **kwargs):
        raise as_django(psycopg.errors.lookup(state)("SELECT secret FROM vault"))

    monkeypatch.setattr(views.throttling, "standings", fail)
    monkeypatch.setattr(operations, "reset_password", fail)

    answer = agent.get("limits/") if method == "GET" else agent.post(f"users/{trader.pk}/password-reset/")

    assert_problem(answer, status)
    assert answer.get("Retry-After") == (wait and str(wait))
    assert b"vault" not in answer.content
    assert events() == []


# --- the server itself ------------------------------------------------------------------------------------
postgresql_only = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="asks the PostgreSQL server; set DATABASE_URL"
)


@pytest.fixture
def run_inside(monkeypatch):
    """Runs a statement inside GET limits/, where the database then does what the statement says."""

    def arrange(statement):
        def standings(*args):
            with connection.cursor() as cursor:
                cursor.execute(statement)
            return []

        monkeypatch.setattr(views.throttling, "standings", standings)

    return arrange


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        *(
            (f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$", status)
            for states, status in ((UNAVAILABLE, 503), (OURS, 500))
            for state in states
        ),
        ("SET LOCAL statement_timeout = 20; SELECT pg_sleep(10)", 503),
        ("SET TRANSACTION READ ONLY; DELETE FROM accounts_outgoingmail", 503),
        ("SELECT nonsense", 500),
    ],
)
@pytest.mark.django_db
@postgresql_only
def test_what_the_server_raises_is_answered_as_the_table_says(viewer, run_inside, statement, status):
    run_inside(statement)

    with transaction.atomic():
        assert_problem(viewer.get("limits/"), status)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_atomic", [False, True])
@postgresql_only
def test_a_connection_that_breaks_off_costs_one_request_of_its_thread(viewer, monkeypatch, is_atomic):
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    standings, answers = views.throttling.standings, []

    def break_off(*args):
        with connection.cursor() as cursor:
            cursor.execute(end)

    def in_a_thread():
        asked = [transaction.atomic(break_off) if is_atomic else break_off, standings, break_off, standings]
        for part in asked:
            own.standings = part
            answers.append(viewer.get("limits/").status_code)
            close_old_connections()  # as at the end of every request
        connections.close_all()

    own = SimpleNamespace()
    monkeypatch.setattr(views.throttling, "standings", lambda *args: own.standings(*args))
    for _ in range(3):
        thread = Thread(target=in_a_thread)
        thread.start()
        thread.join()

    assert answers == [503, 200, 503, 200] * 3


# --- a database that is not there -------------------------------------------------------------------------
@pytest.fixture
def refusing_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]  # bound and not listening: refused for as long as the test runs


@pytest.fixture
def hanging_port():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]  # takes the connection and never says a word


@pytest.fixture
def replaced(monkeypatch, django_db_blocker):
    """Puts another database in the place of this test's own, for this thread, until the test ends."""
    previous = connections["default"]

    def replace(wrapper_class, **values):
        given = {"NAME": "none", "USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}, **values}
        connections["default"] = wrapper_class({**previous.settings_dict, **given}, "default")

    with django_db_blocker.unblock():
        yield replace
        if connections["default"] is not previous:
            connections["default"].close()
        connections["default"] = previous


@pytest.fixture(params=["refused", "locked", "no file"])
def away(request, replaced, refusing_port, tmp_path):
    """The database is away: PostgreSQL's port is closed, SQLite's file is locked or cannot be opened."""
    if request.param == "refused":
        replaced(PostgreSQL, HOST="127.0.0.1", PORT=refusing_port)
        yield
        return
    path = tmp_path / "db.sqlite3" if request.param == "locked" else tmp_path / "no folder" / "db.sqlite3"
    options = {"timeout": 0.01, "transaction_mode": "IMMEDIATE"}
    holder = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    holder.execute("CREATE TABLE django_session (session_key)")
    holder.execute("BEGIN EXCLUSIVE")
    replaced(SQLite, NAME=str(path), OPTIONS=options)
    yield
    holder.close()


def client():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_that_asks_the_database_is_503(call, replaced, refusing_port):
    token = session_token()
    replaced(PostgreSQL, HOST="127.0.0.1", PORT=refusing_port)
    body = {"email": "a@desk.example", "password": "x"} if call.path == "auth/token/" else {"refresh": token["refresh"]}
    api = Api(token=token["access"])

    answer = api.call(call.method, call.address({}, pk=1), None if call.method == "GET" else body)

    assert_problem(answer, 503, code="unavailable")
    assert answer["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert b"127.0.0.1" not in answer.content


def session_token():
    """Tokens that are well signed; their session is asked of the database."""
    session = SimpleNamespace(pk="5e6a7e0e-6a2b-4f1c-9d58-0d5f4d3b8a10", user_id=1, session_version=1)
    return {kind: session_operations.tokens.issue(kind, session)[0] for kind in ("access", "refresh")}


def test_the_api_waits_for_a_database_that_comes_back(away):
    answer = client().get(f"{BASE}users/", headers={"Authorization": f"Bearer {session_token()['access']}"})

    assert_problem(answer, 503)


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/", "/admin/logout/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_console_is_a_503_page(away, path, method):
    browser = client()
    browser.cookies["sessionid"] = "k" * 32

    answer = getattr(browser, method)(path, {"username": "a@desk.example", "password": "x"})

    if answer.status_code != 405:
        assert_fault_page(answer, 503)


def test_the_traders_pages_are_a_503_page_and_the_link_still_moves_its_token(away):
    browser, token = client(), links._token(links.RESET, 1, "nonce")

    followed = browser.get(f"{PASSWORD_PAGE}{token}/")
    answers = [browser.get(PASSWORD_PAGE), browser.post(PASSWORD_PAGE, {"password": "x", "repeated": "x"})]

    assert followed["Location"] == PASSWORD_PAGE
    for answer in answers:
        assert_fault_page(answer, 503)
        assert not answer.cookies  # the link can be used once the database is back


def assert_fault_page(answer, status):
    html = answer.content.decode()
    assert answer.status_code == status, html
    assert answer["Content-Type"].startswith("text/html")
    assert answer["X-Request-ID"] in html
    assert ("Retry-After" in answer) is (status == 503)
    for inside in ("Traceback", "django", "127.0.0.1", "SELECT", "<style", "style="):
        assert inside not in html


def test_not_ready_while_it_is_away(away):
    answer = client().get("/health/ready/")

    assert (answer.status_code, answer.json()["database"], answer.json()["migrations"]) == (
        503,
        "unavailable",
        "unknown",
    )
    assert client().get("/health/live/").status_code == 200


def test_a_database_that_hangs_is_not_ready_and_not_waited_for(replaced, hanging_port):
    replaced(PostgreSQL, HOST="127.0.0.1", PORT=hanging_port, OPTIONS={"connect_timeout": 100})

    assert views._probing_connection().get_connection_params()["connect_timeout"] == 2
    assert client().get("/health/ready/").json()["database"] == "unavailable"


@pytest.mark.django_db(transaction=True)
@postgresql_only
def test_a_database_that_only_reads_is_not_ready(client):
    name = connection.settings_dict["NAME"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

        assert client.get("/health/ready/").json()["database"] == "read-only"
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


# --- pages for what nobody foresaw ------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/nothing/", "/account/", "/health/", "/admin/nothing/"])
def test_an_unknown_address_is_a_page_of_ours(path):
    answer = Console().client.get(path, follow=True)

    if not path.startswith("/admin/"):  # there the login page comes first
        assert_fault_page(answer, 404)


@pytest.mark.django_db
def test_a_crash_is_a_page_of_ours(monkeypatch, trader):
    def crash(*args):
        raise RuntimeError("SELECT secret FROM vault")

    monkeypatch.setattr(links, "user_of_reset", crash)
    monkeypatch.setattr("support_platform.console.site.ConsoleSite.has_permission", crash)

    assert_fault_page(client().get(PASSWORD_PAGE), 500)
    assert_fault_page(client().get("/admin/"), 500)


@pytest.mark.django_db
def test_a_form_of_the_console_without_its_token_is_a_page_of_ours(viewer):
    browser = Client(enforce_csrf_checks=True)

    assert_fault_page(browser.post("/admin/login/", {"username": viewer.user.email, "password": PASSWORD}), 403)
