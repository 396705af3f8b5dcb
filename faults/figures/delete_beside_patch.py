"""
A deletion beside another change of the same row, at the same moment: one winner, and the row never returns.

In turn: a strategy deleted (its deployments stopped along) beside a change of its deployment; a strategy deleted
beside its publication; a deployment stopped beside a change of it; a scanner deleted by two. Reached: whoever came
first, the row ends deleted (the deployment stopped) and unpublished, the other call is answered 200 or 409, and the
end is told by exactly one audit event. In an ordinary project, whose rows are really deleted, a strategy is deleted
beside a change of it.
"""

from ..load import expect, in_rounds
from ..servers import StandError
from . import Measured

REACH = "200 rounds, 0 resurrected, one winner, one audit event"
FULL = {"rounds": 200}
QUICK = {"rounds": 16}
TARGETS = ("platform", "sqlite", "peer")
OWN_SERVICES = False


def measure(stand, sizes, advance):
    with stand.serve() as server:
        if stand.target == "peer":
            pairs = deletions_of_peer(server, sizes["rounds"])
        else:
            pairs = deletions(server, sizes["rounds"] // 4)
        resurrected = mistold = done = 0
        for group in pairs:
            advance(done, sizes["rounds"])
            last_event = stand.last_event()
            race(server, group)
            for pair in group:
                resurrected += not pair.ended(server.staff("supervisor"))
                told = stand.events(last_event, action=pair.action, subject_id=pair.subject)
                mistold += stand.target != "peer" and len(told) != 1
            done += len(group)
    numbers = {"rounds": done, "resurrected": resurrected, "not_told_once": mistold}
    said = f"{done} rounds, {resurrected} resurrected" + (f", {mistold} not told by one event" if mistold else "")
    return Measured(done == sizes["rounds"] and not resurrected and not mistold, said, numbers)


class Pair:
    """
    Two calls at once, each (method, path, body); the row at `path` must then have these values, or be gone (None),
    and `action` on `subject` is the one event of its end.
    """

    def __init__(self, one, other, *, path, values, action="", subject=None):
        self.calls, self.path, self.values, self.action, self.subject = (one, other), path, values, action, subject

    def ended(self, client):
        answer = client.get(self.path)
        if self.values is None:
            return answer.status == 404
        row = expect(answer, 200).json()
        return all(row[name] == value for name, value in self.values.items())


def deletions(server, count):
    """Four groups of pairs, made one after the other, as a later one needs what an earlier one did."""
    client = server.staff("supervisor")
    deployments = server.ids("deployments", status="active")
    if len(deployments) < 2 * count:
        raise StandError(f"{len(deployments)} active deployments are too few for {2 * count} rounds.")
    run = [client.get(f"/api/v1/deployments/{pk}/").json() for pk in deployments[: 2 * count]]
    yield [
        Pair(
            ("DELETE", f"/api/v1/strategies/{row['strategy']}/?stop_deployments=true", None),
            ("PATCH", f"/api/v1/deployments/{row['id']}/", {"stop_loss_pct": 7.5}),
            path=f"/api/v1/deployments/{row['id']}/",
            values={"status": "stopped"},
            action="strategy.deleted",
            subject=row["strategy"],
        )
        for row in run[:count]
    ]
    yield [
        Pair(
            ("PATCH", f"/api/v1/deployments/{row['id']}/", {"status": "stopped"}),
            ("PATCH", f"/api/v1/deployments/{row['id']}/", {"take_profit_pct": 7.5}),
            path=f"/api/v1/deployments/{row['id']}/",
            values={"status": "stopped"},
            action="deployment.stopped",
            subject=row["id"],
        )
        for row in run[count:]
    ]
    for row in run[:count]:
        expect(client.post(f"/api/v1/strategies/{row['strategy']}/restore/"), 200)
    yield [
        Pair(
            ("DELETE", f"/api/v1/strategies/{row['strategy']}/?stop_deployments=true", None),
            ("POST", f"/api/v1/strategies/{row['strategy']}/publish/", None),
            path=f"/api/v1/strategies/{row['strategy']}/",
            values={"status": "deleted", "is_published": False},
            action="strategy.deleted",
            subject=row["strategy"],
        )
        for row in run[:count]
    ]
    yield [
        Pair(
            *[("DELETE", f"/api/v1/scanners/{pk}/", None)] * 2,
            path=f"/api/v1/scanners/{pk}/",
            values={"status": "deleted"},
            action="scanner.deleted",
            subject=pk,
        )
        for pk in server.ids("scanners", status="active")[:count]
    ]


def deletions_of_peer(server, count):
    paths = [f"/api/v1/strategies/{pk}/" for pk in server.ids("strategies")[:count]]
    yield [Pair(("DELETE", path, None), ("PATCH", path, {"name": "changed"}), path=path, values=None) for path in paths]


def race(server, pairs):
    statuses = (200, 204, 404) if server.stand.target == "peer" else (200, 409)

    def calls(side):
        client = server.staff("supervisor")
        return [lambda call=pair.calls[side]: expect(client.call(*call), *statuses).status for pair in pairs]

    in_rounds([calls(0), calls(1)])
