"""
Every change there is, made once by the API and once by hand in the console on twin rows: both leave the same audit
event and the same rows. A write of either that has no line here fails.
"""

import re
from dataclasses import dataclass, field

import pytest
from django.contrib import admin
from django.utils import timezone

from accounts import operations, session_operations
from accounts.models import OutgoingMail
from accounts.tests.factories import StaffFactory, SuperuserFactory, TraderFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.calls import all_calls
from support_platform.tests.console import Console, form_fields, told
from trading import operations as trading_operations
from trading.tests.factories import START, DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory

REASON = "asked by phone – Größe"
NOW = timezone.now()


@dataclass
class Change:
    """
    One change of the twin's row of this `kind`: the call of the API with its body and query, the operation of the
    console with what is typed, and `before`, what the row is when it begins. {} stands for the twin's name.
    """

    kind: str
    call: str
    operation: str
    body: dict | None = None
    query: dict = field(default_factory=dict)
    typed: dict = field(default_factory=dict)
    before: dict = field(default_factory=dict)
    prepare: object = None

    @property
    def console_name(self):
        return f"{self.kind}/{self.operation}"


def asks_for_email(twin):
    operations.change_contact(twin.rows["user"], by=twin.by, email=f"new.{twin.name}@demo.example")


def corrects(twin):
    trading_operations.correct_trade(twin.rows["trade"], by=twin.by, strike=450)
    twin.rows["auditevent"] = AuditEvent.objects.latest("id")


PHONE = {"phone": "+4915112345678"}
EMAIL = {"email": "new.{}@demo.example"}
STRATEGY, DEPLOYMENT, SCANNER = "strategies/{id}/", "deployments/{id}/", "scanners/{id}/"
CHANGES = {
    "reset password": Change("user", "POST users/{id}/password-reset/", "reset_password"),
    "phone": Change("user", "PATCH users/{id}/", "change_contact", PHONE, typed=PHONE),
    "email": Change("user", "PATCH users/{id}/", "change_contact", EMAIL, typed=EMAIL),
    "verified email": Change(
        *("user", "PATCH users/{id}/", "change_contact", EMAIL | {"verified": True}), typed=EMAIL | {"verified": "on"}
    ),
    "cancel e-mail": Change("user", "DELETE users/{id}/pending-email/", "cancel_email_change", prepare=asks_for_email),
    "deactivate": Change(
        *("user", "PUT users/{id}/status/", "deactivate", {"status": "inactive"}), typed={"deployments": "leave"}
    ),
    "deactivate and pause": Change(
        *("user", "PUT users/{id}/status/", "deactivate", {"status": "inactive", "deployments": "pause"}),
        typed={"deployments": "pause"},
        prepare=asks_for_email,
    ),
    "deactivate and stop": Change(
        *("user", "PUT users/{id}/status/", "deactivate", {"status": "inactive", "deployments": "stop"}),
        typed={"deployments": "stop"},
    ),
    "treat deployments": Change(
        *("user", "PUT users/{id}/status/", "treat_deployments", {"status": "inactive", "deployments": "stop"}),
        typed={"deployments": "stop"},
        before={"is_active": False},
    ),
    "activate": Change("user", "PUT users/{id}/status/", "activate", {"status": "active"}, before={"is_active": False}),
    "publish": Change("strategy", f"POST {STRATEGY}publish/", "publish"),
    "unpublish": Change("strategy", f"POST {STRATEGY}unpublish/", "unpublish", before={"published_at": START}),
    "delete strategy": Change("strategy", f"DELETE {STRATEGY}", "delete"),
    "delete running strategy": Change(
        *("running", f"DELETE {STRATEGY}", "delete"),
        query={"stop_deployments": "true"},
        typed={"stop_deployments": "on"},
    ),
    "restore strategy": Change("strategy", f"POST {STRATEGY}restore/", "restore", before={"deleted_at": START}),
    "pause": Change("deployment", f"PATCH {DEPLOYMENT}", "pause", {"status": "paused"}),
    "resume": Change("deployment", f"PATCH {DEPLOYMENT}", "resume", {"status": "active"}, before={"status": "paused"}),
    "stop": Change("deployment", f"PATCH {DEPLOYMENT}", "stop", {"status": "stopped"}),
    "parameters": Change(
        *("deployment", f"PATCH {DEPLOYMENT}", "change"),
        {"quantity": "2.25", "stop_loss_pct": None, "max_open_trades": 7, "status": "paused"},
        typed={"quantity": "2.25", "stop_loss_pct": "", "max_open_trades": "7", "status": "paused"},
        before={"stop_loss_pct": 5},
    ),
    "correct trade": Change(
        *("trade", "PATCH trades/{id}/", "correct", {"result": "-3.5", "strike": "450"}),
        typed={"result": "-3.5", "strike": "450"},
    ),
    "reopen trade": Change("trade", "PATCH trades/{id}/", "correct", {"closed_at": None}, typed={"closed_at": ""}),
    "delete scanner": Change("scanner", f"DELETE {SCANNER}", "delete"),
    "restore scanner": Change("scanner", f"POST {SCANNER}restore/", "restore", before={"deleted_at": START}),
    "revert": Change("auditevent", "POST audit/{id}/revert/", "revert", prepare=corrects),
}
# Calls that make, renew and end the caller's own tokens; no row of a trader is changed by them.
OWN_TOKENS = {"POST auth/token/", "POST auth/token/refresh/", "POST auth/token/revoke/"}
# What only a superuser does, and the API has no call for.
OF_STAFF = ("change", "set_password", "end_sessions", "remove_second_factor")
ONLY_IN_CONSOLE = {"broker/change", "apisession/revoke", *(f"staffaccount/{name}" for name in OF_STAFF)}


class Twin:
    """A trader with rows of each kind, like another's in all but the name."""

    def __init__(self, broker, name):
        self.name = name
        self.by = Actor(name="colleague@desk.example")
        user = TraderFactory(broker=broker, email=f"{name}@demo.example", last_name="Twin", created_at=START)
        running = StrategyFactory(user=user, name="Trend", created_at=START)
        deployment = DeploymentFactory(user=user, strategy=running, started_at=START)
        DeploymentFactory(user=user, strategy=running, started_at=START, status="paused")
        self.rows = {
            "user": user,
            "running": running,
            "strategy": StrategyFactory(user=user, name="Breakout", created_at=START),
            "deployment": deployment,
            "trade": TradeFactory(deployment=deployment, taken_at=START),
            "scanner": ScannerFactory(user=user, name="Gap up", created_at=START),
        }

    def prepare(self, change):
        row = self.rows.get(change.kind)
        for name, value in change.before.items():
            setattr(row, name, value)
        if change.before:
            row.save()
        if change.prepare:
            change.prepare(self)
        self.last_event = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        self.last_mail = OutgoingMail.objects.filter(user=self.rows["user"]).count()

    def named(self, values):
        return {
            name: value.replace("{}", self.name) if isinstance(value, str) else value for name, value in values.items()
        }

    def told(self):
        """Its events, apart from when, from where and in which request; with the twin's own ids and name left out."""
        names = ("actor", "actor_id", "broker", "action", "subject_type", "subject_version", "changes", "reason")
        events = AuditEvent.objects.filter(user=self.rows["user"].pk, pk__gt=self.last_event).order_by("id")
        return [self.plain({name: getattr(event, name) for name in names}) for event in events]

    def mails(self):
        mails = OutgoingMail.objects.filter(user=self.rows["user"]).order_by("id")[self.last_mail :]
        return [(mail.kind, mail.to.replace(self.name, "twin")) for mail in mails]

    def kept(self):
        rows = {kind: row for kind, row in self.rows.items() if kind != "auditevent"}
        return {kind: repr(self.columns(row)).replace(self.name, "twin") for kind, row in rows.items()}

    def columns(self, row):
        row.refresh_from_db()
        hidden = ("id", "user_id", "strategy_id", "deployment_id", "password", "reset_nonce", "email_nonce")
        return {name: value for name, value in vars(row).items() if not name.startswith("_") and name not in hidden}

    def plain(self, values):
        text = repr(values).replace(self.name, "twin")
        deployments = self.rows["user"].deployment_set.order_by("id").values_list("id", flat=True)
        for place, pk in enumerate(deployments):
            text = re.sub(rf"'{pk}'", f"'deployment {place}'", text)
        return re.sub(r"'reverts': \[None, \d+\]", "'reverts'", text)


@pytest.fixture(autouse=True)
def one_instant(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def person(broker):
    return StaffFactory(broker=broker, role="Supervisor")


def by_call(change, twin, person):
    method, _, path = change.call.partition(" ")
    path = path.replace("{id}", str(twin.rows[change.kind].pk))
    body = twin.named(change.body) if change.body else None
    answer = Api(person).call(method, path, body, reason=REASON, **change.query)
    assert answer.status_code in (200, 202), answer.content


def by_hand(change, twin, person):
    console, row = Console(person), twin.rows[change.kind]
    assert change.operation in [operation.name for operation, _ in console.page(row).context["operations"]]
    asked = console.ask(row, change.operation)
    data = {**form_fields(asked), **twin.named(change.typed), "reason": REASON}
    url = asked.context["action"]
    before = kept_by(twin)
    previewed = console.post(url, {**data, "step": "preview"})
    assert kept_by(twin) == before
    done = console.post(url, {**data, "step": "confirm"})
    assert told(done) == ["Done."]
    assert previewed.context["outcome"].besides == done.context["outcome"].besides
    assert [str(line) for line in previewed.context["differences"]] == [
        str(line) for line in done.context["differences"]
    ] or change.operation == "revert"


def kept_by(twin):
    return twin.kept(), twin.told(), twin.mails(), AuditEvent.objects.count()


@pytest.mark.parametrize("name", CHANGES)
def test_by_hand_it_is_the_change_that_the_api_makes(name, broker, person, mailoutbox):
    change = CHANGES[name]
    anna, bert = Twin(broker, "anna"), Twin(broker, "bert")
    anna.prepare(change)
    bert.prepare(change)

    by_hand(change, anna, person)
    by_call(change, bert, person)

    assert anna.told() == bert.told() != []
    assert anna.kept() == bert.kept()
    assert anna.mails() == bert.mails()
    events = AuditEvent.objects.filter(pk__gt=bert.last_event, actor_id=person.pk).exclude(action="user.logged_in")
    sources = events.values_list("source", flat=True)
    assert set(sources) == {"console", "api"}


def test_every_write_of_the_api_has_its_line():
    writes = {str(call) for call in all_calls() if call.method != "GET"}

    assert {change.call for change in CHANGES.values()} == writes - OWN_TOKENS


def test_every_operation_of_the_console_has_its_line():
    operations = {
        f"{model._meta.model_name}/{name}" for model, page in admin.site._registry.items() for name in page.operations
    }
    lines = {change.console_name.replace("running/", "strategy/") for change in CHANGES.values()}

    assert lines | ONLY_IN_CONSOLE == operations
    assert not lines & ONLY_IN_CONSOLE


def test_a_session_ends_by_hand_as_by_its_own_call(db):
    superuser, staff = SuperuserFactory(), StaffFactory(role="Agent")
    one, other = (session_operations.log_in(staff, by=Actor.of(staff)) for _ in range(2))
    last = AuditEvent.objects.latest("id").pk

    Api(token=other["access"]).post("auth/token/revoke/", {}, reason=REASON)
    session = staff.api_sessions.get(revoked_at=None)
    done = Console(superuser).operate(type(session), "revoke", [session], reason=REASON)

    assert told(done) == ["Done."]
    assert one["access"] != other["access"]
    events = AuditEvent.objects.filter(pk__gt=last, action="session.revoked")
    names = ("action", "subject_type", "subject_id", "broker")
    assert len(set(events.values_list(*names))) == 1
    assert len(events) == 2
