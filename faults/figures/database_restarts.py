"""
The database restarted, away, full, read-only, locked and frozen under load: 503 meanwhile, and well by itself after.

Writers and readers go on all the time, with a look at both health checks, while the stand's own PostgreSQL is taken
through one trouble after the other. Reached: every answer meanwhile is one the call may give, or 503 as problem+json
with Retry-After; none takes longer than 15 s, and every request has one; `/health/live/` is 200 throughout, and
`/health/ready/` 503 within 2 s of the database's end, 5 s of its freezing; once it accepts connections again the first
2xx of a read, of a write and of readiness each come within 2 s, and from then on nothing is refused; audit trail and
rows agree, and no acknowledged change is lost. Frozen, a database holds those who were asking it until it goes on: how
long is told, not judged.
"""

import signal
import time
from random import Random
from urllib.parse import quote

from .. import troubles
from ..ledger import Ledger, read_rows
from ..watch import Watchers, slowest, unlike_unavailable
from ..writers import Rows, Writers, contradictions
from . import Measured

REACH = "10 restarts under load: only 503 meanwhile, first 200 within 2 s of ready, no manual step"
FULL = {
    "restarts": 10,
    "down": 45,
    "others": 20,
    "writers": 6,
    "workers": 4,
    "settling": 6,
    "recovery": 2,
    "longest": 15,
}
QUICK = {
    "restarts": 1,
    "down": 3,
    "others": 0,
    "writers": 4,
    "workers": 2,
    "settling": 1,
    "recovery": 10,
    "longest": 30,
}
TARGETS = ("platform",)
OWN_SERVICES = True
# Seconds until readiness must tell that the database is away; one that says nothing is given time first.
SOON = {"down": 2, "frozen": 5}
ALLOWED = {200, 202, 404, 409}  # what a write may be answered by the state of its rows


def measure(stand, sizes, advance):
    random, token = Random(f"{stand.seed}/database"), stand.token("superuser")
    course = [
        (f"restart {number}, {how.name}", troubles.down(stand, how), random.uniform(0, 2))
        for number, how in zip(
            range(sizes["restarts"]), [signal.SIGQUIT, signal.SIGINT] * sizes["restarts"], strict=False
        )
    ]
    course.append((f"down for {sizes['down']} s", troubles.down(stand, signal.SIGINT), sizes["down"]))
    course.append(("read-only", troubles.read_only(stand), max(2, sizes["others"] / 4)))
    if sizes["others"]:
        course += [
            (name, trouble(stand), sizes["others"])
            for name, trouble in (
                ("out of connections", troubles.out_of_connections),
                ("locked", troubles.locked),
                ("frozen", troubles.frozen),
            )
        ]
    with stand.database() as connection:
        rows, ledger, last_event = Rows(stand), Ledger(read_rows(connection)), stand.last_event()
    phone = iter(range(10**6))
    calls = {
        "live": lambda client: client.get("/health/live/"),
        "ready": lambda client: client.get("/health/ready/"),
        "read": lambda client: client.get("/api/v1/trades/?page_size=10"),
        "write": lambda client: client.patch(f"/api/v1/users/{rows.users[0]}/", {"phone": f"+4930{next(phone):06d}"}),
    }
    told = {}
    with stand.serve(workers=sizes["workers"]) as server:

        def client():
            return server.client(token)

        writers = Writers(client, rows, count=sizes["writers"], seed=stand.seed, name=f"db{time.time_ns():x}").start()
        with Watchers(client, calls) as watchers:
            for number, (name, trouble, seconds) in enumerate(course):
                advance(number, len(course))
                writers.until_answered(10)
                told[name] = suffer(name, trouble, seconds, watchers, sizes)
        writers.stop()
    attempts = [attempt for entry in writers.journal for attempt in entry.attempts]
    held = told.get("frozen", {}).get("span", (0, 0))
    faults = [f"{name}: {fault}" for name, one in told.items() for fault in one.pop("faults")]
    for one in told.values():
        del one["span"]
    faults += wrong_answers([*attempts, *watchers.seen], held, sizes["longest"])
    faults += statement_timeout(stand, rows, sizes["longest"])
    events = stand.events(last_event)
    ledger.play(events)
    with stand.database() as connection:
        faults += contradictions(writers.journal, ledger, events) + ledger.differences(read_rows(connection))
    refused = {one.request_id for one in attempts if one.answer is not None and one.answer.status == 503}
    recoveries = [after for one in told.values() for after in one["recovery"].values()]
    numbers = {
        "writes": len(writers.journal),
        "answers_503": len(refused) + sum(one.answer is not None and one.answer.status == 503 for one in watchers.seen),
        # The commit went through while its connection broke: nobody can know, but the key does.
        "answered_503_and_kept": sorted(refused & {event.request_id for event in events}),
        "slowest_answer": slowest([one for one in [*attempts, *watchers.seen] if not is_held(one, held)]),
        "slowest_while_frozen": slowest([one for one in [*attempts, *watchers.seen] if is_held(one, held)]),
        "slowest_recovery": None if None in recoveries else max(recoveries),
        "troubles": told,
        "faults": faults[:100],
    }
    said = (
        f"{sizes['restarts']} restarts and {len(course) - sizes['restarts']} other troubles under "
        f"{numbers['writes']} writes: {numbers['answers_503']} x 503, slowest answer {numbers['slowest_answer']} s, "
        f"first 2xx at most {numbers['slowest_recovery']} s after ready, {len(faults)} contradictions"
    )
    return Measured(not faults, said, numbers)


def suffer(name, trouble, seconds, watchers, sizes):
    """Take the platform through one trouble; says how it was borne, with what was not as it must be in `faults`."""
    began = time.monotonic()
    with trouble:
        away = time.monotonic()
        time.sleep(seconds)
    ready = time.monotonic()
    recovery = {call: watchers.first_well(call, ready) for call in ("read", "write", "ready")}
    time.sleep(sizes["settling"])
    ended = time.monotonic()
    faults = [
        f"the first 2xx of {call} came {'not at all' if after is None else f'after {after} s'}"
        for call, after in recovery.items()
        if after is None or after > sizes["recovery"]
    ]
    unready = [one.until - away for one in watchers.between("ready", began, ready) if not one.is_well]
    soon = SOON.get(name.split()[0])
    if soon is not None and not (unready and min(unready) <= max(soon, sizes["recovery"])):
        faults.append(f"not ready is told after {min(unready, default=None)} s")
    late = [
        one
        for call in watchers.calls
        for one in watchers.between(call, ready + sizes["recovery"], ended)
        if not one.is_well
    ]
    if late:
        names = ", ".join(sorted({one.name for one in late}))
        faults.append(f"{len(late)} calls still refused later than {sizes['recovery']} s after ready: {names}")
    seen = [one for call in watchers.calls for one in watchers.between(call, began, ended)]
    statuses = {}
    for one in seen:
        status = f"{one.name} {one.answer.status if one.answer else one.failure}"
        statuses[status] = statuses.get(status, 0) + 1
    told = {"recovery": recovery, "slowest": slowest(seen), "answers": statuses, "span": (began, ready)}
    return {"faults": faults, **told}


def is_held(one, span):
    """Whether a call was under way at some time of the span."""
    return one.at < span[1] and one.at + one.seconds > span[0]


def wrong_answers(calls, held, longest):
    """Answers that may not be given, in words; each of `calls` is a writer's attempt or what a watcher saw."""
    for one in calls:
        name = getattr(one, "name", "") or one.request_id
        if one.seconds > longest and not is_held(one, held):
            yield f"{name}: took {one.seconds:.1f} s"
        if one.answer is None:
            yield f"{name}: no answer ({one.failure}) after {one.seconds:.1f} s"
        elif name == "live" and one.answer.status != 200:
            yield f"live: status {one.answer.status}"
        elif name == "ready" and one.answer.status not in (200, 503):
            yield f"ready: status {one.answer.status}"
        elif (
            name not in ("live", "ready")
            and one.answer.status not in ALLOWED
            and (reason := unlike_unavailable(one.answer))
        ):
            yield f"{name}: {reason}: {one.answer.body[:200]!r}"


def statement_timeout(stand, rows, longest):
    """A statement that takes too long is 503 too; the limit is given here, a tenth of the usual."""
    options = quote("-c statement_timeout=1s")
    environment = {"DATABASE_URL": f"{stand.environment['DATABASE_URL']}?options={options}"}
    with stand.serve(workers=1, environment=environment) as server, troubles.locked(stand):
        began = time.monotonic()
        answer = server.client(stand.token("superuser")).patch(f"/api/v1/users/{rows.users[0]}/", {"phone": None})
        seconds = time.monotonic() - began
    if reason := unlike_unavailable(answer):
        yield f"statement timeout: {reason}"
    if seconds > longest:
        yield f"statement timeout: answered after {seconds:.1f} s"
