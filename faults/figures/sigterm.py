"""
SIGTERM and SIGHUP under load: what was begun is answered whole, nothing is done without its answer.

Writers and readers, each request on a connection of its own, go on until the port is closed. With them some requests
are held up in the middle, by a lock on their rows, when the signal comes. Reached after SIGTERM: those held up are
answered, every change in the audit trail was answered, no answer is half, the server ends within its
`graceful_timeout` and takes no more connections. After SIGHUP, with new workers in place: not one request unanswered.
"""

import http.client
import signal
import socket
import threading
import time
from dataclasses import dataclass

from ..families import make_family
from ..ledger import Ledger, read_rows
from ..servers import HOST
from ..watch import Watchers
from ..writers import Rows, Writers, contradictions
from . import Measured

REACH = "requests in flight finish: 0 changes without their answer, 0 half answers, ended within graceful_timeout"
FULL = {"terms": 10, "reloads": 5, "writers": 8, "held": 6, "workers": 4}
QUICK = {"terms": 1, "reloads": 1, "writers": 6, "held": 4, "workers": 2}
TARGETS = ("platform",)
OWN_SERVICES = False
GRACEFUL_TIMEOUT = 30  # as gunicorn.conf.py has it
HELD_SECONDS = 1.0


def measure(stand, sizes, advance):
    stand.token("superuser")  # made now, before anything is timed
    mark = f"term{time.time_ns():x}"
    faults, numbers = [], {"answered": 0, "turned_away": 0, "held_answered": 0, "slowest_end": 0.0, "reloads_lost": 0}
    total = sizes["terms"] + sizes["reloads"]
    with stand.database() as connection:
        families = [make_family(connection, f"{mark}x{number}") for number in range(sizes["held"])]
        rows = Rows(stand, once=())
        for number in range(sizes["terms"]):
            advance(number, total)
            with stand.serve(workers=sizes["workers"]) as server:
                bench = Bench(stand, server, connection, rows, sizes["writers"], f"{mark}.{number}", numbers)
                faults += [f"SIGTERM {number}: {fault}" for fault in bench.end_under_load(families)]
        with stand.serve(workers=sizes["workers"]) as server:
            for number in range(sizes["reloads"]):
                advance(sizes["terms"] + number, total)
                bench = Bench(stand, server, connection, rows, sizes["writers"], f"{mark}.hup{number}", numbers)
                faults += [f"SIGHUP {number}: {fault}" for fault in bench.reload_under_load()]
    held = sizes["terms"] * sizes["held"]
    said = (
        f"{sizes['terms']} x SIGTERM: {numbers['held_answered']} of {held} held requests answered, "
        f"{numbers['answered']} others answered, {numbers['turned_away']} turned away undone, ended within "
        f"{numbers['slowest_end']} s; {sizes['reloads']} x SIGHUP: {numbers['reloads_lost']} lost; "
        f"{len(faults)} contradictions"
    )
    return Measured(not faults, said, {**numbers, "faults": faults[:100]})


@dataclass
class Bench:
    """One signal to one server under load; each method yields what was not as it must be."""

    stand: object
    server: object
    connection: object
    rows: Rows
    count: int  # of writers
    mark: str
    numbers: dict

    def client(self):
        return self.server.client(self.stand.token("superuser"))

    def writers(self, **choices):
        return Writers(
            self.client,
            self.rows,
            count=self.count,
            seed=self.stand.seed,
            name=self.mark,
            keep_alive=False,
            **choices,
        )

    def end_under_load(self, families):
        ledger, last_event = Ledger(read_rows(self.connection)), self.stand.last_event()
        writers = self.writers(insists=False)
        calls = {"read": lambda client: client.get("/api/v1/trades/?page_size=200")}
        with Watchers(self.client, calls, interval=0.01) as readers:
            writers.start().until_answered(30)
            with Held(self.stand, self.client, families) as held:
                began = time.monotonic()
                self.server.process.send_signal(signal.SIGTERM)
                time.sleep(HELD_SECONDS)
            self.server.process.wait(GRACEFUL_TIMEOUT + 10)
            seconds = round(time.monotonic() - began, 2)
            writers.stop()
        self.numbers["slowest_end"] = max(self.numbers["slowest_end"], seconds)
        if seconds > GRACEFUL_TIMEOUT + 2:
            yield f"ended after {seconds} s"
        if takes_connections(self.server):
            yield "the port still takes connections"
        self.numbers["held_answered"] += sum(status == 200 for status in held.statuses)
        yield from (f"held in the middle, then answered {status}" for status in held.statuses if status != 200)
        halves = [seen for seen in readers.seen if seen.failure == "IncompleteRead"]
        yield from ("half an answer to a read" for _ in halves)
        self.numbers["answered"] += sum(seen.is_well for seen in readers.seen)
        events = self.stand.events(last_event)
        done = {event.request_id for event in events}
        answered = [entry for entry in writers.journal if entry.attempts[0].answer is not None]
        self.numbers["answered"] += len(answered)
        self.numbers["turned_away"] += len(writers.journal) - len(answered)
        for entry in writers.journal:
            attempt = entry.attempts[0]
            if attempt.failure == "IncompleteRead":
                yield f"half an answer to {attempt.request_id}"
            if attempt.answer is None and attempt.request_id in done:
                yield f"{attempt.request_id} was done, and got no answer ({attempt.failure})"
        yield from self.disagreements(answered, ledger, events)

    def reload_under_load(self):
        ledger, last_event = Ledger(read_rows(self.connection)), self.stand.last_event()
        old = set(self.server.workers())
        writers = self.writers().start()
        writers.until_answered(30)
        self.server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + GRACEFUL_TIMEOUT + 30
        while old & set(self.server.workers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        writers.stop()
        if old & set(self.server.workers()):
            yield "old workers are still there"
        lost = [attempt for entry in writers.journal for attempt in entry.attempts if attempt.answer is None]
        self.numbers["reloads_lost"] += len(lost)
        yield from (f"{attempt.request_id} got no answer ({attempt.failure})" for attempt in lost)
        yield from self.disagreements(writers.journal, ledger, self.stand.events(last_event))

    def disagreements(self, journal, ledger, events):
        ledger.play(events)
        yield from contradictions(journal, ledger, events)
        yield from ledger.differences(read_rows(self.connection))


class Held:
    """Requests that wait in the middle, for rows that are locked until the block ends; then `statuses` has them."""

    def __init__(self, stand, make_client, families):
        self.stand, self.make_client, self.families = stand, make_client, families
        self.statuses = []

    def __enter__(self):
        self.holder = self.stand.database()
        self.holder.execute("BEGIN")
        users = [family.user for family in self.families]
        self.holder.execute("SELECT 1 FROM accounts_user WHERE id = ANY(%s) FOR UPDATE", [users])
        self.threads = [threading.Thread(target=self._ask, args=(pk,), daemon=True) for pk in users]
        for thread in self.threads:
            thread.start()
        with self.stand.database() as watching:
            deadline = time.monotonic() + 4
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while watching.execute(waiting).fetchone()[0] < len(users) and time.monotonic() < deadline:
                time.sleep(0.02)
        return self

    def __exit__(self, *exception):
        self.holder.close()
        for thread in self.threads:
            thread.join()

    def _ask(self, pk):
        try:
            path, body = f"/api/v1/users/{pk}/", {"phone": f"+49{time.time_ns() % 10**10 + 10**10}"}
            self.statuses.append(self.make_client().patch(path, body, headers={"Connection": "close"}).status)
        except (OSError, http.client.HTTPException) as error:
            self.statuses.append(type(error).__name__)


def takes_connections(server):
    try:
        socket.create_connection((HOST, server.port), timeout=1).close()
    except OSError:
        return False
    return True
