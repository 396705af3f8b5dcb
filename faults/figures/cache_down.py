"""
The cache stopped, frozen and restarted under load: login, reset and writes are refused, reads go on within a limit.

Without its counters the platform cannot keep a limit, so what could do harm is closed and what only reads stays open,
counted by each process for itself with its share of the limit. Reached while the cache is away: every login, reset and
write is 503 with Retry-After, every authenticated read 200, none takes longer than 5 s; `/health/live/` is 200 and
`/health/ready/` 503; of many reads at once about as many as the limit get through, and no fewer than one process's
share. Once it is back the first 2xx of each comes within 2 s. Audit trail and rows agree, nothing acknowledged is lost.
"""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ..families import make_family
from ..ledger import Ledger, read_rows
from ..stand import PASSWORD, STAFF
from ..watch import Watchers, slowest, unlike_unavailable
from ..writers import Rows, Writers, contradictions
from . import Measured

REACH = (
    "cache away: login, reset, writes 503; authenticated reads 200 within a limit per process; well again within 2 s"
)
FULL = {"rounds": 3, "seconds": 8, "writers": 4, "workers": 4, "reads": 400, "limit": 40, "recovery": 2, "longest": 5}
QUICK = {
    "rounds": 1,
    "seconds": 2,
    "writers": 2,
    "workers": 2,
    "reads": 100,
    "limit": 20,
    "recovery": 10,
    "longest": 20,
}
TARGETS = ("platform",)
OWN_SERVICES = True
CLOSED, OPEN = ("login", "reset", "write"), ("read",)


def measure(stand, sizes, advance):
    token, mark = stand.token("superuser"), f"cache{time.time_ns():x}"
    with stand.database() as connection:
        family = make_family(connection, mark)
        rows, ledger, last_event = Rows(stand, once=[family.user]), Ledger(read_rows(connection)), stand.last_event()
    phone = iter(range(10**6))
    login = {"email": STAFF["viewer"], "password": PASSWORD}
    calls = {
        "live": lambda client: client.get("/health/live/"),
        "ready": lambda client: client.get("/health/ready/"),
        "read": lambda client: client.get("/api/v1/trades/?page_size=10"),
        "write": lambda client: client.patch(f"/api/v1/users/{family.user}/", {"phone": f"+4930{next(phone):06d}"}),
        "reset": lambda client: client.post(f"/api/v1/users/{family.user}/password-reset/"),
        "login": lambda client: client.post("/api/v1/auth/token/", login),
    }
    troubles = [(name, trouble) for name, trouble in (("stopped", stopped), ("frozen", frozen))] * sizes["rounds"]
    faults, told = [], {}
    with stand.serve(workers=sizes["workers"]) as server:

        def client():
            return server.client(token)

        rows.once.clear()
        writers = Writers(client, rows, count=sizes["writers"], seed=stand.seed, name=mark).start()
        with Watchers(client, calls, interval=0.2) as watchers:
            for number, (name, trouble) in enumerate(troubles):
                advance(number, len(troubles) + 1)
                writers.until_answered(10)
                one = suffer(trouble(stand), sizes, watchers)
                faults += [f"{name} {number}: {fault}" for fault in one.pop("faults")]
                told[f"{name} {number}"] = one
        writers.stop()
    events = stand.events(last_event)
    ledger.play(events)
    with stand.database() as connection:
        faults += contradictions(writers.journal, ledger, events) + ledger.differences(read_rows(connection))
    advance(len(troubles), len(troubles) + 1)
    through, found = reads_through(stand, sizes, token)
    faults += found
    recoveries = [after for one in told.values() for after in one["recovery"].values()]
    numbers = {
        "writes": len(writers.journal),
        "reads_at_once": sizes["reads"],
        "reads_through": through,
        "slowest_answer": max(one["slowest"] for one in told.values()),
        "slowest_recovery": None if None in recoveries else max(recoveries),
        "troubles": told,
        "faults": faults[:100],
    }
    said = (
        f"{len(troubles)} x away: slowest answer {numbers['slowest_answer']} s, first 2xx at most "
        f"{numbers['slowest_recovery']} s after it was back; {through} of {sizes['reads']} reads through at "
        f"{sizes['limit']} a minute and {sizes['workers']} processes; {len(faults)} contradictions"
    )
    return Measured(not faults, said, numbers)


def suffer(trouble, sizes, watchers):
    """One time without the cache; `faults` has what was not as it must be."""
    with trouble:
        away = time.monotonic()
        time.sleep(sizes["seconds"])
        back = time.monotonic()
    ready = time.monotonic()
    recovery = {call: watchers.first_well(call, ready) for call in ("ready", *OPEN, *CLOSED)}
    faults = [
        f"the first 2xx of {call} came {'not at all' if after is None else f'after {after} s'}"
        for call, after in recovery.items()
        if after is None or after > sizes["recovery"]
    ]
    answers = Counter()
    seen = [one for call in watchers.calls for one in watchers.between(call, away, back)]
    for one in seen:
        answers[f"{one.name} {one.answer.status if one.answer else one.failure}"] += 1
        if one.seconds > sizes["longest"]:
            faults.append(f"{one.name} took {one.seconds:.1f} s")
        if one.until > back:
            continue  # the cache came back under it
        if one.answer is None:
            faults.append(f"{one.name}: no answer ({one.failure})")
        elif one.name in CLOSED and (reason := unlike_unavailable(one.answer)):
            faults.append(f"{one.name}: {reason}: {one.answer.body[:200]!r}")
        elif one.name in ("live", *OPEN) and one.answer.status != 200:
            faults.append(f"{one.name}: status {one.answer.status}: {one.answer.body[:200]!r}")
        elif one.name == "ready" and one.answer.status != 503 and one.at > away + sizes["recovery"]:
            faults.append("ready: status 200")
    return {"faults": faults, "recovery": recovery, "slowest": slowest(seen), "answers": dict(answers)}


def reads_through(stand, sizes, token):
    """Many reads at once while the cache is away: how many get through, and what was not as it must be."""
    environment = {"RATE_LIMIT_READ": f"{sizes['limit']}/m"}
    with stand.serve(workers=sizes["workers"], environment=environment) as server, stopped(stand):
        # A window ends on a full minute of the counters' clock, which nobody here knows: two, if one is crossed.
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            asked = [pool.submit(read_once, server, token) for _ in range(sizes["reads"])]
            statuses = Counter(one.result() for one in asked)
        windows = 2 + int((time.monotonic() - began) // 60)
    faults = []
    if statuses.keys() - {200, 429}:
        faults.append(f"reads without the cache were answered {dict(statuses)}")
    limit, workers = sizes["limit"], sizes["workers"]
    if not limit // workers <= statuses[200] <= (limit + workers) * windows:  # a share is rounded up
        faults.append(f"{statuses[200]} reads got through without the cache")
    return statuses[200], faults


def read_once(server, token):
    client = server.client(token)
    client.headers["Connection"] = "close"
    try:
        return client.get("/api/v1/scanners/?page_size=1").status
    except OSError as error:
        return type(error).__name__


@contextmanager
def stopped(stand):
    stand.stop_redis()
    try:
        yield
    finally:
        stand.start_redis()


@contextmanager
def frozen(stand):
    """It holds its connections and says nothing."""
    os.kill(stand.redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stand.redis.pid, signal.SIGCONT)
