"""
Changes that lock the same rows from different ends, at the same moment: none fails, and each is on record.

In every round one trader is deactivated with its deployments stopped, while its deployments are changed, paused and
resumed, two of its strategies deleted with their deployments, a third published and its phone changed. Reached: no
answer but 200 and 409 (503 would be allowed, no other 5xx), and the version of each row rose by exactly one for each
audit event that tells of it.
"""

from ..load import expect, in_rounds
from . import Measured

REACH = "60 rounds x 8: no 5xx but 503, every change audited"
FULL = {"rounds": 60}
QUICK = {"rounds": 4}
TARGETS = ("platform", "sqlite")
OWN_SERVICES = False


def measure(stand, sizes, advance):
    statuses, unaudited, done = {}, 0, 0
    with stand.serve() as server:
        client = server.staff("supervisor")
        for trader in server.ids("users", status="active"):
            deployments = listed(client, "deployments", trader)
            strategies = listed(client, "strategies", trader)
            if sum(row["status"] == "active" for row in deployments) < 2 or len(strategies) < 3:
                continue  # used up by another figure
            advance(done, sizes["rounds"])
            before, last_event = versions(client, trader), stand.last_event()
            calls = mix(trader, [row["id"] for row in deployments], [row["id"] for row in strategies])
            [answers] = in_rounds([[sender(server, call)] for call in calls])
            for answer in answers:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
            unaudited += miscounted(before, versions(client, trader), stand.events(last_event))
            done += 1
            if done == sizes["rounds"]:
                break
    failed = sum(count for status, count in statuses.items() if status >= 500 and status != 503)
    numbers = {"rounds": done, "answers": {str(key): statuses[key] for key in sorted(statuses)}}
    numbers |= {"rows_not_audited_right": unaudited, "deadlocks_seen": deadlocks_seen(stand)}
    said = f"{done} rounds, {failed} answers 5xx but 503, {statuses.get(503, 0)} 503, {unaudited} changes unaudited"
    return Measured(done == sizes["rounds"] and not failed and not unaudited, said, numbers)


def listed(client, resource, trader):
    return expect(client.get(f"/api/v1/{resource}/?user={trader}&page_size=1000"), 200).json()["results"]


def mix(trader, deployments, strategies):
    """(method, path, body) of the eight calls of a round."""
    first, second = deployments[:2]
    return [
        ("PUT", f"/api/v1/users/{trader}/status/", {"status": "inactive", "deployments": "stop"}),
        ("PATCH", f"/api/v1/users/{trader}/", {"phone": f"+49160{trader:07d}"}),
        ("PATCH", f"/api/v1/deployments/{second}/", {"stop_loss_pct": 33.5}),
        ("PATCH", f"/api/v1/deployments/{first}/", {"status": "paused"}),
        ("PATCH", f"/api/v1/deployments/{first}/", {"status": "active", "take_profit_pct": 44.5}),
        ("DELETE", f"/api/v1/strategies/{strategies[0]}/?stop_deployments=true", None),
        ("DELETE", f"/api/v1/strategies/{strategies[1]}/?stop_deployments=true", None),
        ("POST", f"/api/v1/strategies/{strategies[2]}/publish/", None),
    ]


def sender(server, call):
    client = server.staff("supervisor")
    return lambda: client.call(*call)


def versions(client, trader):
    """{(kind, id): version} of everything the calls can change."""
    found = {("user", trader): client.get(f"/api/v1/users/{trader}/").json()["version"]}
    for kind, resource in (("deployment", "deployments"), ("strategy", "strategies")):
        for status in ("", "&status=deleted") if kind == "strategy" else ("",):
            url = f"/api/v1/{resource}/?user={trader}&page_size=1000{status}"
            found |= {(kind, row["id"]): row["version"] for row in expect(client.get(url), 200).json()["results"]}
    return found


def miscounted(before, after, events):
    """How many rows have another version than their audit events account for."""
    told = dict.fromkeys(before, 0)
    for event in events:
        told[event.subject_type, event.subject_id] += 1
        moved = event.changes.get("deployments", [{}, {}])[1]
        for pk in moved:
            told["deployment", int(pk)] += 1
    return sum(after[row] - version != told[row] for row, version in before.items())


def deadlocks_seen(stand):
    """How many deadlocks PostgreSQL had to end in this database; None on SQLite, which has none."""
    if stand.target == "sqlite":
        return None
    return stand.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0]
