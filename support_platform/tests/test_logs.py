"""What is logged: the events that docs/operations.md names, all of them and no other, and never a secret."""

import ast
import io
import json
import logging
import logging.config
import re
import smtplib
import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core import mail as outbox
from django.db import IntegrityError, OperationalError
from django.test import Client
from gunicorn.config import Config
from redis.exceptions import RedisError

from accounts import mail, operations, session_operations
from accounts.tests.browser import Browser, link_in, link_token, open_form
from accounts.tests.factories import PASSWORD
from analytics import keeping
from conftest import Api
from support_platform import logs, rounds, throttling, views
from support_platform.audit import Actor
from support_platform.retries import retried
from support_platform.tests.console import Console, address
from support_platform.worker import ServerLog
from trading.models import Strategy

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db


@pytest.fixture(params=["json", "line"])
def form(request):
    return request.param


@pytest.fixture
def configuration(form):
    """As the settings and gunicorn.conf.py have it, at DEBUG, written into memory."""
    made = logs.configuration(form, "DEBUG")
    made["handlers"]["stderr"]["stream"] = io.StringIO()
    return made


@pytest.fixture
def log(configuration):
    """Call it to read the lines so far."""
    names = [None, *configuration["loggers"]]
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    handlers = logging.getLogger().handlers[:]
    logging.config.dictConfig(configuration)
    yield lambda: configuration["handlers"]["stderr"]["stream"].getvalue().splitlines()
    logging.getLogger().handlers[:] = handlers
    for name, (level, propagate) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = propagate


def documented():
    section = (ROOT / "docs/operations.md").read_text().partition("## Events")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def written_in_code():
    found = set()
    for path in ROOT.glob("*/**/*.py"):
        if {"tests", ".venv", "var"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                given = {"logs.event": node.args[:1], "_log_when_kept": node.args[:1], "self._rename": node.args[1:2]}
                for argument in given.get(called, ()):
                    found |= {part.value for part in ast.walk(argument) if isinstance(part, ast.Constant)}
    return {name for name in found if isinstance(name, str)}


def test_the_document_names_the_events_that_the_code_writes():
    assert documented() == written_in_code() | {"log"}


# --- each event, provoked ---------------------------------------------------------------------------------
class Provoked:
    """One way to bring about each event of the document, by its name."""

    def __init__(self, fixture):
        self.fixture = fixture

    def __getattr__(self, name):
        return self.fixture(name)

    def fail(self, place, error):
        def raise_it(*args, **kwargs):
            raise error

        self.monkeypatch.setattr(place, raise_it)

    def do_request(self):
        self.viewer.get("limits/")

    def do_audit(self):
        self.agent.patch(f"users/{self.trader.pk}/", {"phone": "+4915112345678"})

    def do_refused_attempt(self):
        self.agent.patch(f"users/{self.foreign_trader.pk}/", {"phone": None})

    def do_login_failed(self):
        self.anonymous.post("auth/token/", {"email": "a@desk.example", "password": "wrong"})
        Console().post("/admin/login/", {"username": "a@desk.example", "password": "wrong"})

    def do_rate_limited(self):
        for _ in range(6):
            self.anonymous.post("auth/token/", {"email": "a@desk.example", "password": "wrong"})

    def do_refusal_not_counted(self):
        self.fail("support_platform.refusals.count_up", ValueError("no number"))
        self.do_rate_limited()

    def do_token_reuse(self):
        pair = session_operations.log_in(self.viewer.user, by=Actor.of(self.viewer.user))
        for _ in range(2):
            self.anonymous.post("auth/token/refresh/", {"refresh": pair["refresh"]})

    def do_permission_denied(self):
        self.viewer.patch(f"users/{self.trader.pk}/", {"phone": None})
        Console(self.viewer.user).get("/admin/accounts/staffaccount/")

    def do_request_refused(self):
        Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "a"})

    def do_constraint_refused(self):
        self.fail("accounts.operations.reset_password", IntegrityError("Key (email)=(a@b.example) exists."))
        self.agent.post(f"users/{self.trader.pk}/password-reset/")

    def do_internal_error(self):
        self.fail("support_platform.throttling.standings", RuntimeError("nobody foresaw this"))
        self.viewer.get("limits/")
        self.fail("django.middleware.csrf.CsrfViewMiddleware.process_view", RuntimeError("nor this"))
        Client(raise_request_exception=False).get("/account/password/a-link/")

    def do_unavailable(self):
        self.fail("support_platform.throttling.standings", OperationalError("no connection"))
        self.viewer.get("limits/")
        self.fail("trading.models.Strategy.objects.__class__.get_queryset", OperationalError("no connection"))
        Console(self.viewer.user).get(address(Strategy))

    def do_not_ready(self):
        self.monkeypatch.setitem(views.PROBES, "cache", lambda probing: 1 / 0)
        Client().get("/health/ready/")

    def do_mail_failed(self):
        self.fail("django.core.mail.backends.locmem.EmailBackend.send_messages", ConnectionRefusedError(111, "no"))
        self.agent.post(f"users/{self.trader.pk}/password-reset/")

    def do_mail_given_up(self):
        self.settings.MAIL_GIVE_UP = timedelta(0)
        refusal = smtplib.SMTPDataError(554, b"her secret mail")
        self.fail("django.core.mail.backends.locmem.EmailBackend.send_messages", refusal)
        self.agent.post(f"users/{self.trader.pk}/password-reset/")

    def do_courier_failed(self):
        done = threading.Event()
        self.fail("accounts.mail.deliver_waiting", OperationalError("no connection"))
        self.monkeypatch.setattr(rounds.connections, "close_all", done.set)
        courier = mail.Courier(0.01, lambda: ())
        courier.start()
        assert done.wait(10)
        courier.stop()

    def do_rollups_failed(self):
        done = threading.Event()
        self.fail("analytics.keeping.due", OperationalError("no connection"))
        self.monkeypatch.setattr(rounds.connections, "close_all", done.set)
        keeper = keeping.start_keeper(0.01)
        assert done.wait(10)
        keeper.stop()

    def do_cache_away(self):
        self.monkeypatch.setattr(throttling, "_shared", throttling.Cache())
        self.fail("support_platform.throttling.get_usage", RedisError("redis://:secret@cache"))
        self.viewer.get("limits/")

    def do_transaction_repeated(self):
        error = OperationalError("deadlock detected")
        error.__cause__ = type("Deadlock", (Exception,), {"sqlstate": "40P01"})()
        self.monkeypatch.setattr("support_platform.retries.connection", SimpleNamespace(in_atomic_block=False))
        outcomes = iter([error])

        def change():
            for outcome in outcomes:
                raise outcome

        retried(change)

    def do_unreadable_request(self):
        logging.getLogger("gunicorn.error").warning("Invalid request from ip=203.0.113.7: Invalid header: 'secret'")

    def do_log(self):
        logging.getLogger("gunicorn.error").info("Booting worker with pid: %s", 7)


@pytest.mark.parametrize("name", sorted(documented()))
@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_each_event_comes_with_its_facts(log, request, name):
    getattr(Provoked(request.getfixturevalue), f"do_{name}")()

    told = [line for line in map(json.loads, log()) if line["event"] == name]
    assert told, log()
    for line in told:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
        assert {"request_id", "logger"} <= line.keys()
    if name in ("request", "permission_denied"):
        assert all(line["route"].startswith("/") for line in told)
    if name in ("internal_error", "unavailable", "permission_denied", "login_failed"):
        assert len(told) == 2


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_a_request_is_told_by_its_route_and_by_who_made_it(log, agent, trader):
    agent.get(f"users/{trader.pk}/?nonsense=hidden", headers={"X-Request-ID": "find-me"})

    [line] = [line for line in map(json.loads, log()) if line["event"] == "request"]
    assert line.pop("duration_ms") >= 0
    assert line.pop("time")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "find-me",
        "logger": "support_platform.events",
        "method": "GET",
        "route": "/api/v1/users/<pk>/",
        "subject": trader.pk,
        "status": 400,
        "actor_id": agent.user.pk,
        "ip": "127.0.0.1",
    }


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_what_was_only_tried_out_is_no_event(log, agent, trader):
    agent.patch(f"users/{trader.pk}/?dry_run=true", {"phone": "+4915112345678"})

    assert [line["event"] for line in map(json.loads, log())] == ["request"]


def test_the_person_who_asks_is_not_looked_up_for_the_log(log, viewer, django_assert_num_queries):
    console = Console(viewer.user)

    with django_assert_num_queries(0):
        console.get("/health/live/")

    assert "actor_id=" not in log()[-1] or '"actor_id": null' in log()[-1]


# --- secrets ----------------------------------------------------------------------------------------------
SECRETS = {
    "password": "violet-tram-48",
    "bearer": "eyJhbGciOi.stolen.token",
    "email": "jane.secret@private.example",
    "phone": "+4915199887766",
    "key": "idempotent-secret-17",
    "reason": "she-told-me-why",
    "query": "query-secret-9",
    "path": "path-secret-3",
    "cookie": "cookie-secret-5",
}


def test_no_secret_is_in_the_log(log, configuration, agent, viewer, trader, anonymous, settings, monkeypatch):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["1000/m"], "e-mail": ["1000/m"]}}
    told = dict(SECRETS)
    everywhere = {
        "Idempotency-Key": told["key"],
        "Audit-Reason": told["reason"],
        "Cookie": f"sessionid={told['cookie']}",
        "Referer": f"https://elsewhere.example/{told['query']}",
        "User-Agent": told["query"],
    }
    body = {"email": told["email"], "password": told["password"], "phone": told["phone"], "refresh": told["bearer"]}

    # Calls that work, that fail, and that nobody understands.
    for path in ("auth/token/", "auth/token/refresh/", "auth/token/revoke/", f"users/{trader.pk}/", told["path"] + "/"):
        for call in (anonymous.post, agent.post, agent.patch, agent.put, agent.delete):
            call(path, body, headers=everywhere)
            call(f"{path}?search={told['query']}", headers={**everywhere, "Authorization": f"Bearer {told['bearer']}"})
    agent.patch(f"users/{trader.pk}/", {"email": told["email"], "phone": told["phone"]}, headers=everywhere)
    agent.get("users/", email=told["email"], phone=told["phone"])
    agent.get(f"users/{told['email']}/")
    agent.call("GET", f"/admin/{told['path']}/?q={told['query']}")
    agent.call("GET", f"/{told['path']}", headers={"Host": told["query"]})

    # Tokens and links that are real.
    pair = anonymous.post("auth/token/", {"email": viewer.user.email, "password": PASSWORD}).json()
    told |= {"access": pair["access"], "refresh": pair["refresh"], "real password": PASSWORD}
    for _ in range(2):
        anonymous.post("auth/token/refresh/", {"refresh": pair["refresh"]})
    Api(token=pair["access"]).get("limits/")
    agent.post(f"users/{trader.pk}/password-reset/", headers=everywhere)
    link = link_in(outbox.outbox[-1])
    told["link"] = link_token(link)
    open_form(link).set_password(told["password"])
    Browser().open(link)
    for method in ("post", "put", "delete"):
        getattr(Client(enforce_csrf_checks=True), method)(f"/account/password/{told['link']}/")

    # The console: logins, forms with and without their token.
    console = Console(agent.user)
    console.post("/admin/login/", {"username": told["email"], "password": told["password"]})
    Client(enforce_csrf_checks=True).post("/admin/login/", {"username": told["email"], "password": told["password"]})
    console.save(trader, phone=told["phone"], email=told["email"])

    # Crashes where secrets are at hand: in the local variables, in the values of a statement, in the address.
    def crash(*args, **kwargs):
        password, link = told["password"], told["link"]
        raise RuntimeError(f"a crash with {len(password) + len(link)} characters at hand")

    def collide(*args, **kwargs):
        try:
            raise IntegrityError(f"Key (email)=({told['email']}) already exists.")
        except IntegrityError as error:
            raise RuntimeError("a crash because of another") from error

    monkeypatch.setattr(operations, "change_contact", crash)
    agent.patch(f"users/{trader.pk}/", {"email": told["email"]})
    monkeypatch.setattr(operations, "change_contact", collide)
    agent.patch(f"users/{trader.pk}/", {"email": told["email"]})
    for crashing in ("accounts.links.is_genuine", "django.middleware.csrf.CsrfViewMiddleware.process_view"):
        monkeypatch.setattr(crashing, crash)
        Client(raise_request_exception=False).get(f"/account/password/{told['link']}/?a={told['query']}")

    # What gunicorn would say by itself, of what it cannot read and of what breaks behind it.
    served = Config()
    served.set("logconfig_dict", configuration)
    served.set("loglevel", "debug")
    gunicorn = ServerLog(served)
    gunicorn.warning(f"Invalid request from ip=203.0.113.7: Invalid HTTP header: 'Authorization {told['bearer']}'")
    gunicorn.debug(f"GET /account/password/{told['link']}/")
    try:
        raise OSError("broken")
    except OSError:
        gunicorn.exception("Error handling request %s %s", "GET", f"/account/password/{told['link']}/")
    # Its own line of a request: not even put together, which would need the answer.
    gunicorn.access(None, None, {"RAW_URI": f"/account/password/{told['link']}/"}, None)

    text = "\n".join(log())
    assert "a crash with" in text and "a crash because of another" in text
    found = [name for name, secret in told.items() if secret in text]
    assert found == []
    parts = [*told["link"].split(":"), *pair["access"].split("."), *pair["refresh"].split(".")]
    assert [part for part in parts if len(part) > 12 and part in text] == []
