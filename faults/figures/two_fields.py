"""
Two PATCHes of different fields of one row at the same moment: both survive.

Half of the rounds change `stop_loss_pct` beside `take_profit_pct` of a deployment, half the phone beside the e-mail
of a trader. Reached: after every round both values are there, the version is two higher, and two audit events tell
of it.
"""

from ..load import expect, in_rounds
from ..servers import StandError
from . import Measured

REACH = "300 rounds, 0 lost"
FULL = {"rounds": 300, "batch": 30}
QUICK = {"rounds": 24, "batch": 12}
TARGETS = ("platform", "sqlite", "peer")
OWN_SERVICES = False


def measure(stand, sizes, advance):
    lost = wrong = 0
    with stand.serve() as server:
        client = server.staff("supervisor")
        rows = {
            "deployments": server.ids("deployments", status="active"),
            "users": server.ids("users", status="active"),
        }
        for done in range(0, sizes["rounds"], sizes["batch"]):
            advance(done, sizes["rounds"])
            resource = ("deployments", "users")[done // sizes["batch"] % 2]
            chosen = [rows[resource][place % len(rows[resource])] for place in range(sizes["batch"])]
            if len(set(chosen)) < len(chosen):
                raise StandError(f"Too few {resource} for a batch of {len(chosen)}.")
            paths = [f"/api/v1/{resource}/{pk}/" for pk in chosen]
            bodies = [changes(stand, resource, done + place) for place in range(len(chosen))]
            before = [client.get(path).json() for path in paths]
            last_event = stand.last_event()
            race(server, paths, bodies)
            for path, (one, other), was in zip(paths, bodies, before, strict=True):
                now = client.get(path).json()
                lost += sum(
                    not same(now[field], body[field]) for body in (one, other) for field in body.keys() & now.keys()
                )
                if stand.target != "peer":
                    events = stand.events(last_event, subject_type=resource[:-1], subject_id=now["id"])
                    wrong += now["version"] != was["version"] + 2 or len(events) != 2
    numbers = {"rounds": sizes["rounds"], "lost": lost, "wrongly_told": wrong}
    said = f"{sizes['rounds']} rounds, {lost} lost" + (
        f", {wrong} not told by two versions and events" if wrong else ""
    )
    return Measured(not lost and not wrong, said, numbers)


def race(server, paths, bodies):
    """Send both bodies of each row at once, row after row."""

    def patches(side):
        client = server.staff("supervisor")
        return [
            lambda path=path, body=pair[side]: expect(client.patch(path, body), 200).status
            for path, pair in zip(paths, bodies, strict=True)
        ]

    in_rounds([patches(0), patches(1)])


def changes(stand, resource, number):
    """Two bodies whose values no round before had."""
    if resource == "deployments":
        return {"stop_loss_pct": round(1 + number / 1000, 3)}, {"take_profit_pct": round(2 + number / 1000, 3)}
    email = {"email": f"round{number}-{stand.seed}@demo.example"}
    return {"phone": f"+49151{number:08d}"}, email if stand.target == "peer" else {**email, "verified": True}


def same(kept, sent):
    """A project may answer a percentage as text."""
    return kept is not None and type(sent)(kept) == sent
