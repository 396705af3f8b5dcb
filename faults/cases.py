"""
The writes that failpoints cut short: every write of the API, one of the console, one of the trader's pages, one
command.

Each case makes a fresh subject (`prepare`), sends its write (`send`), and knows what must be said when it is sent
again (`retry` yields what was not so), given whether the first one was kept. `bench` is the figure's.
"""

import re
import subprocess
import sys
from dataclasses import dataclass, field

from .browser import Browser
from .client import Answer
from .families import Family, make_family
from .stand import PASSWORD, ROOT, STAFF

LONG_AGO = "2026-01-01T00:00:00Z"
SOON = "2100-01-01T00:00:00Z"
NEW_PASSWORD = "violet tram 48 lantern"


@dataclass
class Subject:
    """What one write is made to, under a name of its own, and what its sender has in hand."""

    name: str
    family: Family | None = None
    hand: dict = field(default_factory=dict)

    def addresses(self):
        return {f"{self.name}@demo.example": "old", f"new.{self.name}@demo.example": "new"}


class ApiWrite:
    """
    A write with an Idempotency-Key. `call` is method and path as in the OpenAPI document, `kind` the row that {id}
    stands for, `rows` what its family is to be like.
    """

    def __init__(self, call, kind, body=None, *, variant="", query="", rows=None):
        self.call, self.kind, self.body, self.query, self.rows = call, kind, body, query, rows or {}
        self.name = f"{call}{query} {variant}".strip()

    def prepare(self, bench, name):
        return Subject(name, make_family(bench.connection, name, **self.rows))

    def send(self, bench, subject, headers):
        method, _, path = self.call.partition(" ")
        path = path.replace("{id}", str(self.row_id(subject)))
        body = self.body and {
            name: value.format(name=subject.name) if isinstance(value, str) else value
            for name, value in self.body.items()
        }
        headers = {"Idempotency-Key": f"key-{subject.name}", "Connection": "close", **headers}
        return bench.server.client(bench.token).call(method, f"{path}{self.query}", body, headers)

    def row_id(self, subject):
        return getattr(subject.family, self.kind)

    def retry(self, bench, subject, kept):
        first = self.send(bench, subject, bench.headers(subject))
        if not 200 <= first.status < 300:
            yield f"sent again with its key it is answered {first.status}: {first.body.decode()[:200]}"
            return
        before = bench.digests()
        second = self.send(bench, subject, bench.headers(subject))
        replays = [answer.header("Idempotent-Replayed") == "true" for answer in (first, second)]
        if replays != [kept, True]:
            yield f"it was {'kept' if kept else 'lost'}; sent again twice, these are replays: {replays}"
        if (first.status, first.body) != (second.status, second.body):
            yield "a replay differs from the first answer"
        if bench.digests() != before:
            yield "a replay changed something"


class Revert(ApiWrite):
    """The reversal of a change that was made just before; {id} is that change's event."""

    def prepare(self, bench, name):
        subject = super().prepare(bench, name)
        path = f"/api/v1/users/{subject.family.user}/"
        bench.server.client(bench.token).patch(path, {"phone": "+4915112345678"})
        subject.hand["event"] = bench.stand.last_event()
        return subject

    def row_id(self, subject):
        return subject.hand["event"]


class TokenCall:
    """A call on tokens. It takes no key; `again` is the status of sending it once more, by whether it was kept."""

    is_done_once = False

    def __init__(self, call, body, again):
        self.call = self.name = call
        self.body, self.again = body, again

    def prepare(self, bench, name):
        login = {"email": STAFF["viewer"], "password": PASSWORD}
        return Subject(name, hand=bench.server.client().post("/api/v1/auth/token/", login).json())

    def send(self, bench, subject, headers):
        method, _, path = self.call.partition(" ")
        return bench.server.client().call(method, path, self.body(subject), {"Connection": "close", **headers})

    def retry(self, bench, subject, kept):
        answer = self.send(bench, subject, bench.headers(subject))
        if answer.status != self.again[kept]:
            yield f"it was {'kept' if kept else 'lost'}; sent again it is answered {answer.status}"


class ConsoleChange:
    """A trader's phone, changed in the console's dialog for it."""

    call = None
    name = "console: a trader's page, saved"
    path = "/admin/accounts/user/operate/change_contact/"

    def prepare(self, bench, name):
        subject = Subject(name, make_family(bench.connection, name))
        browser = Browser(bench.server)
        browser.open("/admin/login/")
        browser.submit("/admin/login/", username=STAFF["superuser"], password=PASSWORD)
        browser.open(f"/admin/accounts/user/{subject.family.user}/change/")
        browser.page = browser.submit(self.path, id=subject.family.user)
        subject.hand["browser"] = browser
        return subject

    def send(self, bench, subject, headers):
        values = {"phone": "+4915112345678", "reason": "asked", "step": "confirm"}
        return subject.hand["browser"].submit(self.path, headers, **values)

    def retry(self, bench, subject, kept):
        answer = self.send(bench, subject, bench.headers(subject))
        if answer.status != 200:
            yield f"the same dialog confirmed again is answered {answer.status}"


class NewPassword:
    """A reset that the trader completes on the page of the mailed link."""

    call = None
    name = "trader's page: a new password, set"

    def prepare(self, bench, name):
        subject = Subject(name, make_family(bench.connection, name))
        path = f"/api/v1/users/{subject.family.user}/password-reset/"
        bench.server.client(bench.token).post(path)
        browser = Browser(bench.server)
        browser.open(bench.mailed_link(f"{name}@demo.example"))
        subject.hand["browser"] = browser
        return subject

    def send(self, bench, subject, headers):
        browser = subject.hand["browser"]
        return browser.submit("/account/password/", headers, password=NEW_PASSWORD, repeated=NEW_PASSWORD)

    def retry(self, bench, subject, kept):
        answer = self.send(bench, subject, bench.headers(subject))
        if answer.status != (400 if kept else 200):
            yield f"it was {'kept' if kept else 'lost'}; the page sent again is answered {answer.status}"


class Command:
    """A management command in a process of its own."""

    call = None
    name = "command: set_status"

    def prepare(self, bench, name):
        return Subject(name, make_family(bench.connection, name))

    def send(self, bench, subject, headers):
        arguments = ["set_status", f"{subject.name}@demo.example", "inactive", "--deployments", "stop", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "faults.armed", *arguments],
            cwd=ROOT,
            env={**bench.environment, "FAILPOINT": headers.get("X-Failpoint", "trace")},
            capture_output=True,
            text=True,
        )
        if done.returncode < 0:
            raise ConnectionAbortedError
        steps = re.findall(r"^steps: (.*)$", done.stderr, re.MULTILINE)
        return Answer(200 if done.returncode == 0 else 500, {"x-failpoint-steps": steps[-1] if steps else ""})

    def retry(self, bench, subject, kept):
        if self.send(bench, subject, {}).status != 200:
            yield "the command fails when it is called again"


def _patch(resource, kind, body, variant="", **rows):
    return ApiWrite(f"PATCH /api/v1/{resource}/{{id}}/", kind, body, variant=variant, rows=rows)


PENDING = {"pending_email": "new.{name}@demo.example", "email_nonce": "nonce", "email_expires_at": SOON}
CASES = [
    _patch("users", "user", {"phone": "+4915112345678"}, "phone"),
    _patch("users", "user", {"email": "new.{name}@demo.example"}, "e-mail"),
    _patch("users", "user", {"email": "new.{name}@demo.example", "verified": True}, "verified e-mail"),
    ApiWrite("DELETE /api/v1/users/{id}/pending-email/", "user", rows={"user": PENDING}),
    ApiWrite("POST /api/v1/users/{id}/password-reset/", "user"),
    ApiWrite("PUT /api/v1/users/{id}/status/", "user", {"status": "inactive", "deployments": "stop"}),
    ApiWrite("PUT /api/v1/users/{id}/status/", "user", {"status": "active"}, variant="again",
             rows={"user": {"is_active": False}}),
    ApiWrite("DELETE /api/v1/strategies/{id}/", "strategy", query="?stop_deployments=true"),
    ApiWrite("POST /api/v1/strategies/{id}/restore/", "strategy", rows={"strategy": {"deleted_at": LONG_AGO}}),
    ApiWrite("POST /api/v1/strategies/{id}/publish/", "strategy"),
    ApiWrite("POST /api/v1/strategies/{id}/unpublish/", "strategy", rows={"strategy": {"published_at": LONG_AGO}}),
    _patch("deployments", "deployment", {"quantity": "2.5", "status": "paused"}),
    _patch("trades", "trade", {"strike": "12.5", "result": "-880.030001"}),
    ApiWrite("DELETE /api/v1/scanners/{id}/", "scanner"),
    ApiWrite("POST /api/v1/scanners/{id}/restore/", "scanner", rows={"scanner": {"deleted_at": LONG_AGO}}),
    Revert("POST /api/v1/audit/{id}/revert/", "user"),
    TokenCall("POST /api/v1/auth/token/", lambda subject: {"email": STAFF["viewer"], "password": PASSWORD},
              {False: 200, True: 200}),
    TokenCall("POST /api/v1/auth/token/refresh/", lambda subject: {"refresh": subject.hand["refresh"]},
              {False: 200, True: 401}),
    TokenCall("POST /api/v1/auth/token/revoke/", lambda subject: {"refresh": subject.hand["refresh"]},
              {False: 200, True: 200}),
    ConsoleChange(),
    NewPassword(),
    Command(),
]  # fmt: skip
