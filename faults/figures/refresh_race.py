"""
One refresh token used by many at the same moment: exactly one wins, and the reuse ends the session.

Reached: each token is exchanged once, and afterwards neither the winner's new tokens nor the first access token are
good for anything, as the reuse is taken for theft.
"""

from functools import partial

from ..load import at_once, expect
from ..stand import PASSWORD, STAFF
from . import Measured

REACH = "50 tokens x 24: 50 winners, every family dead"
FULL = {"tokens": 50, "threads": 24, "threads_per_process": 6}
QUICK = {"tokens": 5, "threads": 12, "threads_per_process": 6}
TARGETS = ("platform", "sqlite", "peer")
OWN_SERVICES = False
REFRESH = "/api/v1/auth/token/refresh/"


def measure(stand, sizes, advance):
    with stand.serve() as server:
        client, pairs = server.client(), []
        for number in range(sizes["tokens"]):
            advance(number, 2 * sizes["tokens"])
            given = {"email": STAFF["agent"], "password": PASSWORD}
            pairs.append(expect(client.post("/api/v1/auth/token/", given), 200).json())
        advance(sizes["tokens"], 2 * sizes["tokens"])
        tokens = [pair["refresh"] for pair in pairs]
        jobs = [partial(exchange, server, tokens)] * sizes["threads"]
        won = list(zip(*at_once(jobs, threads=sizes["threads_per_process"]), strict=True))
        winners = [sum(answer is not None for answer in round_) for round_ in won]
        alive = 0
        for pair, round_ in zip(pairs, won, strict=True):
            families = [answer for answer in round_ if answer is not None]
            alive += any(is_alive(server, family) for family in [*families, {"access": pair["access"]}])
    numbers = {"tokens": len(tokens), "winners": sum(winners), "families_alive": alive}
    said = f"{len(tokens)} tokens, {sum(winners)} winners, {alive} families alive"
    return Measured(set(winners) == {1} and not alive, said, numbers)


def exchange(server, tokens, gate):
    """:returns: for each token the pair that it was exchanged for, or None"""
    client, won = server.client(), []
    for token in tokens:
        client.open()
        gate()
        answer = expect(client.post(REFRESH, {"refresh": token}), 200, 401)
        won.append(answer.json() if answer.status == 200 else None)
    return won


def is_alive(server, family):
    reads = expect(server.client(family["access"]).get("/api/v1/deployments/"), 200, 401).status == 200
    if "refresh" not in family:
        return reads
    return reads or expect(server.client().post(REFRESH, {"refresh": family["refresh"]}), 200, 401).status == 200
