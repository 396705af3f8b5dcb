"""
Every write, killed at every step: before it writes, after, before the commit, before the answer.

A server that carries failpoints (faults/armed.py) is asked for each write once and tells its steps: the statements
that change data, the commits, the answer. Then, on a fresh subject each time, the process kills itself right before
one of them. Reached: until the commit not one row of any table differs, from the commit on all of it is there, rows
and audit trail tell the same, and sending the write again tells the truth and does it once. Its mails leave once.
A write in the OpenAPI document without a case here fails the figure.
"""

import http.client
import time
from collections import Counter

from .. import outbox
from ..cases import CASES
from ..ledger import Ledger, read_rows
from ..sink import MailSink
from . import Measured

REACH = (
    "every write killed before write, after write, before commit, before answer: change and audit always agree, "
    "0 acknowledged lost, 0 stuck keys"
)
FULL = {"steps": "all"}
QUICK = {"steps": "two"}
TARGETS = ("platform",)
OWN_SERVICES = False
WRITES = ("post", "put", "patch", "delete")
COMMIT = "COMMIT"


def measure(stand, sizes, advance):
    with MailSink().start() as sink:
        environment = {
            "EMAIL_URL": sink.url,
            "MAIL_RETRY_IN_SERVER": "false",  # so that nothing but the request at hand changes anything
            "GUNICORN_CMD_ARGS": "--preload",  # the next worker is there at once
        }
        choices = {"workers": 2, "application": "faults.armed:application", "environment": environment}
        with stand.serve(**choices) as server, stand.database() as connection:
            bench = Bench(stand, server, connection, sink)
            missing = uncovered(server.client(bench.token).get("/api/schema/").json())
            bench.faults += [f"{call}: no case cuts this write short" for call in missing]
            for done, case in enumerate(CASES):
                advance(done, len(CASES))
                bench.cut_short(case, {"all": every, "two": two(done)}[sizes["steps"]])
            bench.check_mails()
    said = (
        f"{bench.shots} kills in {len(CASES)} writes ({len({case.call for case in CASES} - {None})} calls of the API), "
        f"{bench.kept} kept, {bench.lost} lost, {len(bench.faults)} contradictions"
    )
    numbers = {"shots": bench.shots, "kept": bench.kept, "lost": bench.lost, "steps": bench.steps}
    return Measured(not bench.faults, said, {**numbers, "faults": bench.faults[:100]})


def uncovered(schema):
    """The writes of the OpenAPI document that no case is about."""
    calls = {f"{m.upper()} {path}" for path, methods in schema["paths"].items() for m in methods if m in WRITES}
    return sorted(calls - {case.call for case in CASES})


class Bench:
    """Where one write after the other is cut short; `faults` says what was not as it must be."""

    def __init__(self, stand, server, connection, sink):
        self.stand, self.server, self.connection, self.sink = stand, server, connection, sink
        self.environment = server.environment
        self.token = stand.token("superuser")
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'django_migrations'"
        self.tables = sorted(name for (name,) in connection.execute(tables))
        self.faults, self.steps, self.mailing = [], {}, []
        self.shots = self.kept = self.lost = self.requests = 0
        self.mark = f"{time.time_ns():x}"

    def cut_short(self, case, choose):
        """`choose` picks from the steps those before which to kill."""
        steps, full = self._trace(case)
        self.steps[case.name] = steps
        if COMMIT not in steps:
            self.faults.append(f"{case.name}: no transaction in {steps}")
            return
        for step in choose(steps):
            self._shoot(case, steps, step, full)

    def _trace(self, case):
        """The steps of the write when nothing is cut short, and the footprint it leaves."""
        subject = self._prepare(case)
        before = self._state(subject)
        answer = case.send(self, subject, self.headers(subject, failpoint="trace"))
        if answer.status >= 400:
            self.faults.append(f"{case.name}: answered {answer.status} when nothing is cut short: {answer.body[:300]}")
        full = self._footprint(before, subject)
        self.faults += [f"{case.name}: {fault}" for fault in self._disagreements(before, subject)]
        self.mailing.append((case.name, subject, None))
        return (answer.header("X-Failpoint-Steps") or "").split(", "), full

    def _shoot(self, case, steps, step, full):
        subject = self._prepare(case)
        label = f"{case.name}, killed before step {step} ({steps[step]}), requests {subject.name}.*"
        before = self._state(subject)
        self.shots += 1
        try:
            answer = case.send(self, subject, self.headers(subject, failpoint=step))
            self.faults.append(f"{label}: it was answered {answer.status}")
            return
        except (OSError, http.client.HTTPException):
            pass
        kept = step > steps.index(COMMIT)
        self.kept, self.lost = self.kept + kept, self.lost + (not kept)
        found = []
        left = self._footprint(before, subject)
        if kept and left != full:
            found.append(f"all of it must be there ({dict(full)}), and there is {dict(left)}")
        if not kept and self.digests() != before["digests"]:
            found.append(f"nothing of it must be there, and there is {dict(left) or 'a changed row'}")
        found += self._disagreements(before, subject)
        found += case.retry(self, subject, kept)
        if getattr(case, "is_done_once", True):
            if (left := self._footprint(before, subject)) != full:
                found.append(f"sent again, it left {dict(left)} instead of {dict(full)}")
            found += self._disagreements(before, subject)
        self.mailing.append((case.name, subject, step))
        self.faults += [f"{label}: {fault}" for fault in found]

    def _prepare(self, case):
        self.requests += 1
        return case.prepare(self, f"cut{self.mark}x{self.requests}")

    def headers(self, subject, failpoint=None):
        """Each request has an id of its own that begins with its subject's name."""
        self.requests += 1
        headers = {"X-Request-ID": f"{subject.name}.{self.requests}"}
        return headers if failpoint is None else {**headers, "X-Failpoint": str(failpoint)}

    # --- what is there -------------------------------------------------------------------------------
    def digests(self):
        """{table: (rows, hash of every row)} of the whole database."""
        each = (
            f"SELECT '{table}', count(*), md5(coalesce(string_agg(md5(row::text), '' ORDER BY md5(row::text)), '')) "
            f'FROM "{table}" row'
            for table in self.tables
        )
        return {name: (rows, digest) for name, rows, digest in self.connection.execute(" UNION ALL ".join(each))}

    def _state(self, subject):
        return {"digests": self.digests(), "rows": self._rows(subject), "last_event": self.stand.last_event()}

    def _rows(self, subject):
        """The rows of the subject's family."""
        if subject.family is None:
            return {}
        own = {(kind, pk) for kind, pk in vars(subject.family).items()}
        return {key: row for key, row in read_rows(self.connection).items() if key in own}

    def _footprint(self, before, subject):
        """How many rows each table has gained, and each of the family's rows in versions, since a state."""
        gained = Counter({name: rows - before["digests"][name][0] for name, (rows, _) in self.digests().items()})
        for key, row in self._rows(subject).items():
            gained[f"version of the {key[0]}"] = row["version"] - before["rows"][key]["version"]
        return Counter({name: count for name, count in gained.items() if count})

    def _disagreements(self, before, subject):
        """Where the family's rows are not what the audit trail tells of them since a state."""
        ledger = Ledger(before["rows"])
        ledger.play(self.stand.events(before["last_event"]))
        return ledger.differences(self._rows(subject))

    # --- mails ---------------------------------------------------------------------------------------
    def mailed_link(self, address):
        """The path of the newest link mailed to an address."""
        deadline = time.monotonic() + 30
        while not (mails := [mail for mail in list(self.sink.taken) if mail.to == address]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no mail came to {address}")
            time.sleep(0.02)
        [line] = [line for line in mails[-1].text.splitlines() if line.startswith(self.server.url)]
        return line.removeprefix(self.server.url)

    def check_mails(self):
        """Each write's mails leave once, as many as when nothing was cut short."""
        expected = {}
        outbox.let_time_pass(self.connection)  # no sender lives: only requests send here
        self.stand.manage("send_mails", environment=self.environment)
        for name, subject, step in self.mailing:
            came = Counter({kind: len(self.sink.message_ids(to)) for to, kind in subject.addresses().items()})
            if step is None:
                expected[name] = came
            elif came != expected[name]:
                self.faults.append(
                    f"{name}, killed before step {step} ({subject.name}): mails to its addresses "
                    f"{dict(came)} instead of {dict(expected[name])}"
                )


def every(steps):
    return range(len(steps))


def four(steps):
    """
    Before write, after write, before commit, before answer. The answer is what follows the commit at once: mails, if
    any, are sent in between and have steps of their own.
    """
    written = next(place for place, step in enumerate(steps) if "idempotency" not in step)
    commit = steps.index(COMMIT)
    return sorted({0, written + 1, commit, commit + 1})


def two(turn):
    """Before the answer, and one of the others in turn."""

    def choose(steps):
        *others, answer = four(steps)
        return others[turn % len(others)], answer

    return choose
