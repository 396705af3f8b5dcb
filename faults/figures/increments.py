"""
Increments of one row by many processes, with If-Match and a retry on 412: none is lost.

Each process reads a deployment, sends `max_open_trades` one higher with the version it read, and begins again when
the row has moved on. Reached: every increment is in the final value, each has one audit event whose before and after
join up with the next one's, and the versions rise without a gap. An ordinary project has no If-Match; there each
increment is a read and a PATCH.
"""

from functools import partial

from ..load import at_once, expect
from . import Measured

REACH = "16 processes x 50: 800 of 800, 800 audit events, versions without a gap"
FULL = {"processes": 16, "increments": 50}
QUICK = {"processes": 8, "increments": 5}
TARGETS = ("platform", "sqlite", "peer")
OWN_SERVICES = False


def measure(stand, sizes, advance):
    wanted = sizes["processes"] * sizes["increments"]
    advance(0, wanted)
    with stand.serve() as server:
        client = server.staff("supervisor")
        path = f"/api/v1/deployments/{server.ids('deployments', status='active')[0]}/"
        client.patch(path, {"max_open_trades": 1})
        before = client.get(path).json()
        last_event = stand.last_event()
        job = increment_unconditionally if stand.target == "peer" else increment
        jobs = [partial(job, server, path, sizes["increments"])] * sizes["processes"]
        answers = [answer for answers in at_once(jobs) for answer in answers]
        after = client.get(path).json()
    gained = after["max_open_trades"] - before["max_open_trades"]
    numbers = {"wanted": wanted, "kept": gained, "retries": sum(retries for _, retries in answers)}
    if stand.target == "peer":
        return Measured(gained == wanted, f"{gained} of {wanted}", numbers)
    events = stand.events(last_event, subject_type="deployment", subject_id=before["id"])
    steps = [event.changes["max_open_trades"] for event in events]
    first, end = before["max_open_trades"], after["max_open_trades"]
    joined = steps == [[value, value + 1] for value in range(first, end)]
    versions = sorted(version for version, _ in answers)
    without_gap = versions == list(range(before["version"] + 1, after["version"] + 1))
    numbers |= {"audit_events": len(events), "events_join_up": joined, "versions_without_gap": without_gap}
    said = (
        f"{gained} of {wanted}, {len(events)} audit events, versions {'without a' if without_gap else 'with'} gap, "
        f"{numbers['retries']} retries"
    )
    return Measured(gained == wanted == len(events) and joined and without_gap, said, numbers)


def increment(server, path, times, gate):
    """:returns: for each increment (the version it made, how often it was sent again)"""
    client, done = server.staff("supervisor"), []
    row = client.get(path).json()
    gate()
    for _ in range(times):
        retries = 0
        while True:
            body, condition = {"max_open_trades": row["max_open_trades"] + 1}, {"If-Match": f'"{row["version"]}"'}
            answer = client.patch(path, body, headers=condition)
            if expect(answer, 200, 412).status == 200:
                break
            retries += 1
            row = client.get(path).json()
        row = answer.json()
        done.append((row["version"], retries))
    return done


def increment_unconditionally(server, path, times, gate):
    client, done = server.staff("supervisor"), []
    gate()
    for _ in range(times):
        value = client.get(path).json()["max_open_trades"]
        expect(client.patch(path, {"max_open_trades": value + 1}), 200)
        done.append((None, 0))
    return done
