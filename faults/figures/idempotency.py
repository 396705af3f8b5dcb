"""
One write with one Idempotency-Key, sent by many at the same moment: it happens once, and all get the same answer.

Every other key is of a password reset, which would mail a new link each time; the others of a PATCH with If-Match,
which would be refused the second time. A caller who is told to wait (409) asks again. Reached: one audit event for
each key; of its answers one is the first and every other has `Idempotent-Replayed: true` and the same status,
entity tag and bytes.
"""

import time
from functools import partial

from ..load import UnexpectedAnswer, at_once, expect
from . import Measured

REACH = "200 keys x 16: 200 effects, 3,000 replays equal to the byte"
FULL = {"keys": 200, "callers": 16, "batch": 20}
QUICK = {"keys": 12, "callers": 8, "batch": 6}
TARGETS = ("platform", "sqlite")
OWN_SERVICES = False
PATIENCE = 300


def measure(stand, sizes, advance):
    effects = replays = unequal = waits = 0
    with stand.serve() as server:
        client = server.staff("supervisor")
        users, deployments = server.ids("users", status="active"), server.ids("deployments", status="active")
        for done in range(0, sizes["keys"], sizes["batch"]):
            advance(done, sizes["keys"])
            calls = []
            for number in range(done, done + sizes["batch"]):
                if number % 2:
                    path = f"/api/v1/deployments/{deployments[number % len(deployments)]}/"
                    condition = {"If-Match": client.get(path).header("ETag")}
                    calls.append(("PATCH", path, {"capital": str(1000 + number)}, condition))
                else:
                    path = f"/api/v1/users/{users[number % len(users)]}/password-reset/"
                    calls.append(("POST", path, None, {}))
            last_event = stand.last_event()
            jobs = [partial(send, server, calls, done, stand.seed)] * sizes["callers"]
            for answers in zip(*at_once(jobs), strict=True):
                waits += sum(waited for _, waited in answers)
                first = [answer for answer, _ in answers if answer.header("Idempotent-Replayed") is None]
                again = [answer for answer, _ in answers if answer.header("Idempotent-Replayed") == "true"]
                replays += len(again)
                unequal += len(first) != 1 or len(first) + len(again) != sizes["callers"]
                unequal += len({(answer.status, answer.header("ETag"), answer.body) for answer, _ in answers}) != 1
            effects += len(stand.events(last_event))
    wanted = sizes["keys"] * (sizes["callers"] - 1)
    numbers = {"keys": sizes["keys"], "effects": effects, "replays": replays, "unequal": unequal, "waits": waits}
    equal = "equal to the byte" if not unequal else f"{unequal} keys with unequal answers"
    said = f"{sizes['keys']} keys, {effects} effects, {replays:,} replays, {equal}"
    return Measured(effects == sizes["keys"] and replays == wanted and not unequal, said, numbers)


def send(server, calls, done, seed, gate):
    """:returns: for each call (its answer, how often it was to wait for the first)"""
    client, outcomes = server.staff("supervisor"), []
    for number, (method, path, body, headers) in enumerate(calls, done):
        headers = {**headers, "Idempotency-Key": f"faults-{seed}-{number}"}
        client.open()
        gate()
        waited = 0
        while (answer := expect(client.call(method, path, body, headers), 200, 202, 409, 412)).status == 409:
            waited += 1
            if waited > PATIENCE:
                raise UnexpectedAnswer(f"Still told to wait, the {waited}th time: {answer.body}")
            time.sleep(0.1)
        outcomes.append((answer, waited))
    return outcomes
