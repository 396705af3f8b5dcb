"""
The jobs of the fourteen APIs, done by hand: each change leaves the same rows and the same audit event as the API's call
does on a twin, a trader that is like the other in everything but the address.
"""

import json
import re
from dataclasses import dataclass, field

import pytest

from accounts.tests.factories import TraderFactory
from conftest import Api
from support_platform.models import AuditEvent
from trading.tests.factories import START, DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory

REASON = "asked by phone"
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:[0-9:.]+(Z|\+00:00)")


class Twin:
    """A trader with one row of each kind."""

    def __init__(self, broker, name):
        self.name = name
        user = TraderFactory(broker=broker, email=f"{name}@demo.example", last_name="Twin", created_at=START)
        other = StrategyFactory(user=user, name="Trend", created_at=START)
        deployment = DeploymentFactory(user=user, strategy=other, started_at=START)
        self.rows = {
            "users": user,
            "strategies": StrategyFactory(user=user, name="Breakout", created_at=START),
            "deployments": deployment,
            "trades": TradeFactory(deployment=deployment, taken_at=START),
            "scanners": ScannerFactory(user=user, name="Gap up", created_at=START),
        }

    def events(self):
        told = AuditEvent.objects.filter(user=self.rows["users"].pk).order_by("id")
        names = ("actor_id", "broker", "action", "subject_type", "changes", "reason")
        return [self.plain({name: getattr(event, name) for name in names}) for event in told]

    def kept(self):
        """All that the rows hold but for keys and secrets."""
        return {kind: self.plain(self.columns(row)) for kind, row in self.rows.items()}

    def columns(self, row):
        row.refresh_from_db()
        keys = ("id", "user_id", "strategy_id", "deployment_id", "password", "reset_nonce", "email_nonce")
        return {name: value for name, value in vars(row).items() if not name.startswith("_") and name not in keys}

    def plain(self, values):
        """As text in which twins are alike: without their name, the ids they name, and the instant of the change."""
        text = json.dumps(values, default=str, sort_keys=True).replace(self.name, "twin")
        text = text.replace(f'"{self.rows["deployments"].pk}":', '"deployment":')
        return INSTANT.sub(lambda found: found[0] if found[0].startswith(f"{START:%Y-%m-%d}") else "now", text)


@dataclass
class Job:
    """
    Who does it, to what, by hand and as a call to the API: method, path below the row's, body, where {} is the twin's
    name; and `before`, what the row is when it begins.
    """

    role: str
    kind: str
    by_hand: object
    method: str
    path: str = ""
    body: dict | None = None
    query: dict = field(default_factory=dict)
    before: dict = field(default_factory=dict)

    def prepare(self, twin):
        row = twin.rows[self.kind]
        for name, value in self.before.items():
            setattr(row, name, value)
        row.save()

    def call(self, api, twin):
        body = json.loads(json.dumps(self.body).replace("{}", twin.name)) if self.body else None
        path = f"{self.kind}/{twin.rows[self.kind].pk}/{self.path}"
        return api.call(self.method, path, body, reason=REASON, **self.query)


def press(name, **answers):
    return lambda person: person.operate(name, reason=REASON, **answers)


JOBS = {
    "reset password": Job("Agent", "users", press("Reset password"), "POST", "password-reset/"),
    "change phone": Job(
        "Agent",
        "users",
        press("Change e-mail or phone", phone="+4915112345678"),
        "PATCH",
        body={"phone": "+4915112345678"},
    ),
    "change email": Job(
        "Agent",
        "users",
        press("Change e-mail or phone", **{"e-mail": "new.anna@demo.example"}),
        "PATCH",
        body={"email": "new.{}@demo.example"},
    ),
    "change verified email": Job(
        "Supervisor",
        "users",
        press("Change e-mail or phone", **{"e-mail": "new.anna@demo.example"}, the_new_e_mail_is_verified=True),
        "PATCH",
        body={"email": "new.{}@demo.example", "verified": True},
    ),
    "deactivate": Job(
        "Agent",
        "users",
        press("Deactivate", deployments="stop"),
        "PUT",
        "status/",
        {"status": "inactive", "deployments": "stop"},
    ),
    "activate": Job(
        "Agent", "users", press("Activate"), "PUT", "status/", {"status": "active"}, before={"is_active": False}
    ),
    "publish strategy": Job("Agent", "strategies", press("Publish"), "POST", "publish/"),
    "unpublish strategy": Job(
        "Agent", "strategies", press("Unpublish"), "POST", "unpublish/", before={"published_at": START}
    ),
    "delete strategy": Job("Supervisor", "strategies", press("Delete"), "DELETE"),
    "restore strategy": Job(
        "Supervisor", "strategies", press("Restore"), "POST", "restore/", before={"deleted_at": START}
    ),
    "pause deployment": Job("Agent", "deployments", press("Pause"), "PATCH", body={"status": "paused"}),
    "resume deployment": Job(
        "Agent", "deployments", press("Resume"), "PATCH", body={"status": "active"}, before={"status": "paused"}
    ),
    "stop deployment": Job("Agent", "deployments", press("Stop"), "PATCH", body={"status": "stopped"}),
    "change deployment": Job(
        "Supervisor",
        "deployments",
        press("Change deployment", quantity="2.25", stop_loss="5"),
        "PATCH",
        body={"quantity": "2.25", "stop_loss_pct": 5},
    ),
    "correct trade": Job(
        "Supervisor",
        "trades",
        press("Correct trade", result="-3.5", strike="450"),
        "PATCH",
        body={"result": "-3.5", "strike": "450"},
    ),
    "close trade": Job(
        "Supervisor",
        "trades",
        press("Correct trade", closed_at="2026-01-05T20:00:00Z", result="7"),
        "PATCH",
        body={"closed_at": "2026-01-05T20:00:00Z", "result": "7"},
        before={"closed_at": None, "exit_price": None, "result": None},
    ),
    "delete scanner": Job("Agent", "scanners", press("Delete"), "DELETE"),
    "restore scanner": Job("Agent", "scanners", press("Restore"), "POST", "restore/", before={"deleted_at": START}),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_change_by_hand_is_the_change_of_the_api(name, broker, people, window):
    job = JOBS[name]
    by_hand, by_call = Twin(broker, "anna"), Twin(broker, "bert")
    job.prepare(by_hand)
    job.prepare(by_call)
    user = people(job.role)

    person = window(user).open(by_hand.rows[job.kind])
    job.by_hand(person)
    answer = job.call(Api(user), by_call)

    assert answer.status_code in (200, 202), answer.content
    assert by_hand.events() == by_call.events() != []
    assert by_hand.kept() == by_call.kept()
