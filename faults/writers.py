"""
Writers: many at once, writes of every kind, each with an Idempotency-Key of its own, and a journal of what was said.

A write that got no answer, or was told to come later (503, or 409 while its first attempt is still at work), is sent
again with the same key until it gets its answer. `contradictions` holds the journal against the audit trail.
"""

import http.client
import threading
import time
from dataclasses import dataclass, field
from random import Random

from .ledger import COLUMNS, same

PATIENCE = 120  # seconds a write is sent again before it counts as stuck
PAUSE = 0.05
TYPES = {
    "users": "user",
    "strategies": "strategy",
    "deployments": "deployment",
    "trades": "trade",
    "scanners": "scanner",
}


@dataclass(frozen=True)
class Write:
    kind: str
    method: str
    path: str
    body: dict | None
    always_changes: bool  # its values are new, so an answer 2xx means a change

    @property
    def subject(self):
        """(type, id) of the row it addresses."""
        resource, pk = self.path.removeprefix("/api/v1/").split("/")[:2]
        return TYPES[resource], int(pk)


@dataclass
class Attempt:
    request_id: str
    at: float  # time.monotonic() when it was sent
    seconds: float = 0
    answer: object = None  # a client.Answer, or None: the connection ended without one
    failure: str = ""


@dataclass
class Entry:
    """A write and every attempt at it."""

    key: str
    write: Write
    attempts: list = field(default_factory=list)

    @property
    def answer(self):
        """The answer that counts, or None: it is stuck."""
        last = self.attempts[-1].answer if self.attempts else None
        return None if last is None or must_come_again(last) else last

    @property
    def is_acknowledged(self):
        return self.answer is not None and self.answer.status < 300


def must_come_again(answer):
    return answer.status == 503 or (answer.status == 409 and answer.json().get("code") == "request_in_progress")


class Rows:
    """The ids of the traders' rows, to choose from; `once` are traders of whom each is chosen by one reset only."""

    def __init__(self, stand, once=()):
        self.once = list(once)
        self._lock = threading.Lock()
        taken = set(self.once)
        users = stand.rows("SELECT id FROM accounts_user WHERE NOT is_staff ORDER BY id")
        self.users = [pk for (pk,) in users if pk not in taken]
        for name in ("strategies", "deployments", "trades", "scanners"):
            table = f"trading_{TYPES[name]}"
            statement = f"SELECT id FROM {table} WHERE user_id = ANY(%s) ORDER BY id"
            setattr(self, name, [pk for (pk,) in stand.rows(statement, self.users)])

    def next_once(self):
        with self._lock:
            return self.once.pop() if self.once else None


def random_write(random, rows, number):
    """One write of the many kinds; `number` makes its values new."""
    path = {name: f"/api/v1/{name}/{random.choice(getattr(rows, name))}/" for name in TYPES}
    amount = f"{number}.{random.randrange(1, 10**12):012d}".rstrip("0")
    choices = {
        "phone": ("PATCH", path["users"], {"phone": f"+49{10**9 + number}"}, True),
        "email": ("PATCH", path["users"], {"email": f"new{number}@demo.example"}, False),
        "verified email": ("PATCH", path["users"], {"email": f"now{number}@demo.example", "verified": True}, True),
        "cancelled email": ("DELETE", f"{path['users']}pending-email/", None, False),
        "deactivate": ("PUT", f"{path['users']}status/", {"status": "inactive", "deployments": "pause"}, False),
        "activate": ("PUT", f"{path['users']}status/", {"status": "active"}, False),
        "activate too": ("PUT", f"{path['users']}status/", {"status": "active"}, False),
        "quantity": ("PATCH", path["deployments"], {"quantity": amount}, True),
        "capital": ("PATCH", path["deployments"], {"capital": amount}, True),
        "pause": ("PATCH", path["deployments"], {"status": "paused"}, False),
        "resume": ("PATCH", path["deployments"], {"status": "active"}, False),
        "strike": ("PATCH", path["trades"], {"strike": amount}, True),
        "result": ("PATCH", path["trades"], {"result": f"-{amount}", "closed_at": "2026-01-02T00:00:00Z",
                                             "taken_at": f"2025-01-02T00:00:00.{number:06d}Z"}, True),
        "publish": ("POST", f"{path['strategies']}publish/", None, False),
        "unpublish": ("POST", f"{path['strategies']}unpublish/", None, False),
        "delete strategy": ("DELETE", path["strategies"], None, False),
        "delete with deployments": ("DELETE", f"{path['strategies']}?stop_deployments=true", None, False),
        "restore strategy": ("POST", f"{path['strategies']}restore/", None, False),
        "delete scanner": ("DELETE", path["scanners"], None, False),
        "restore scanner": ("POST", f"{path['scanners']}restore/", None, False),
    }  # fmt: skip
    kinds = [*choices, "reset"]
    kind = random.choice(kinds)
    once = rows.next_once() if kind == "reset" else None
    if once is not None:
        return Write("reset", "POST", f"/api/v1/users/{once}/password-reset/", None, True)
    kind = "phone" if kind == "reset" else kind
    return Write(kind, *choices[kind])


class Writers:
    """
    `count` threads that write until `stop`; `journal` has their entries.

        writers.start(); ...; writers.stop()

    A thread that is stopped first gets the answer to what it has begun, unless it does not insist: then each write is
    sent once. Each has a client of its own.
    """

    def __init__(self, make_client, rows, *, count, seed, name, keep_alive=True, insists=True):
        self.make_client, self.rows, self.count, self.seed, self.name = make_client, rows, count, seed, name
        self.keep_alive, self.insists = keep_alive, insists
        self.journal = []
        self._ended = threading.Event()
        self._threads, self._errors = [], []

    def start(self):
        self._ended.clear()
        self._threads = [threading.Thread(target=self._run, args=(place,), daemon=True) for place in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def until_answered(self, count, patience=30):
        """Wait until so many more writes have their answer."""
        deadline = time.monotonic() + patience
        wanted = self.answered + count
        while self.answered < wanted and time.monotonic() < deadline:
            time.sleep(0.02)

    @property
    def answered(self):
        return sum(entry.answer is not None for entry in list(self.journal))

    def stop(self):
        """
        End them, each with the answer to its last write.

        :raises Exception: what one of them raised
        """
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE + 60)
        if self._errors:
            raise self._errors[0]

    def _run(self, place):
        try:
            self._write(place)
        except BaseException as error:
            self._errors.append(error)

    def _write(self, place):
        random = Random(f"{self.seed}/{self.name}/{place}/{len(self.journal)}")
        client = self.make_client()
        if not self.keep_alive:
            client.headers["Connection"] = "close"
        number = 0
        while not self._ended.is_set():
            number += 1
            # Numbers of one thread and another never meet, and stay within six digits.
            write = random_write(random, self.rows, random.randrange(10**5) * 8 + place % 8)
            entry = Entry(f"{self.name}-{place}-{number}-{random.randrange(10**9)}", write)
            self.journal.append(entry)
            self.insist(client, entry)
        client.close()

    def insist(self, client, entry):
        """Send a write until it has its answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            attempt = attempt_once(client, entry)
            if attempt.answer is not None and not must_come_again(attempt.answer):
                return
            time.sleep(PAUSE)
            if not self.insists or time.monotonic() > deadline:
                return


def attempt_once(client, entry):
    attempt = Attempt(f"{entry.key}.{len(entry.attempts)}", time.monotonic())
    entry.attempts.append(attempt)
    headers = {"Idempotency-Key": entry.key, "X-Request-ID": attempt.request_id}
    try:
        attempt.answer = client.call(entry.write.method, entry.write.path, entry.write.body, headers)
    except (OSError, http.client.HTTPException) as error:
        attempt.failure = type(error).__name__
    attempt.seconds = time.monotonic() - attempt.at
    return attempt


def contradictions(journal, ledger, events):
    """
    Where answers and trail do not agree: a change that was acknowledged and is not there, one that was made twice or
    refused and made all the same, an answer that a replayed trail does not bear out, a replay that is none.
    """
    by_request = {}
    for event in events:
        by_request.setdefault(event.request_id, []).append(event)
    found = []
    for entry in journal:
        made = [
            (place, event)
            for place, attempt in enumerate(entry.attempts)
            for event in by_request.get(attempt.request_id, ())
        ]
        found += [f"{entry.key} {entry.write.kind}: {fault}" for fault in _faults(entry, made, ledger)]
    return found


def _faults(entry, made, ledger):
    if len(made) > 1:
        yield f"done {len(made)} times"
    answer = entry.answer
    if answer is None:
        yield f"no answer after {len(entry.attempts)} attempts ({entry.attempts[-1].failure or 'told to come again'})"
        return
    if answer.status >= 300:
        if made:
            yield f"answered {answer.status}, and done all the same by {entry.attempts[made[0][0]].request_id}"
        if answer.status >= 500:
            yield f"answered {answer.status}"
        return
    is_replay = answer.header("Idempotent-Replayed") == "true"
    last = len(entry.attempts) - 1
    if entry.write.always_changes and not made:
        yield "acknowledged, and not in the trail"
    if made and is_replay != (made[0][0] < last):
        yield f"attempt {made[0][0]} did it, attempt {last} answered {'a replay' if is_replay else 'as if it had'}"
    if is_replay and not last:
        yield "the first attempt was answered as a replay"
    yield from _unborne(entry, answer, ledger)


def _unborne(entry, answer, ledger):
    """What an answer says of its row against the row's state at that version, as the trail tells it."""
    version = int((answer.header("ETag") or '"0"').strip('"'))
    told = ledger.history[entry.write.subject].get(version)
    if told is None:
        yield f"acknowledged version {version} of {entry.write.subject}, which the trail does not know"
        return
    said = answer.json()
    for name in COLUMNS[entry.write.subject[0]]:
        if name in said and not same(told[name], said[name]):
            yield f"answered {name} {said[name]!r} at version {version}; the trail tells {told[name]!r}"


def replayed_otherwise(make_client, acknowledged):
    """
    Send these acknowledged writes once more.

    :returns: the keys whose answer was not the first one again, byte for byte
    """
    client = make_client()
    wrong = []
    for entry in acknowledged:
        first = entry.answer
        again = Entry(entry.key, entry.write)
        attempt_once(client, again)
        answer = again.attempts[0].answer
        if (
            answer is None
            or (answer.status, answer.body) != (first.status, first.body)
            or answer.header("Idempotent-Replayed") != "true"
        ):
            wrong.append(entry.key)
    client.close()
    return wrong
