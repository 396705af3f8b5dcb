"""
One trade: processor time of GET trades/{id}/ against the same work in bare SQL.

The floor is a WSGI function with psycopg that checks what the platform checks: token, session, account, broker and
limit. Trades of many traders are read over eight connections; both are first checked to answer the same. Reached: the
platform costs at most twice the floor.
"""

from contextlib import ExitStack

from faults.figures import Measured

from .. import pages, rounds
from ..load import Load, request
from ..rounds import Contestant
from ..rows import compare
from ..servers import MeasuredServer

REACH = "<= 2 x the floor"
FULL = {"trades": 5_000_000, "traders": 40, "rounds": 7, "seconds": 4}
QUICK = {"trades": 50_000, "traders": 10, "rounds": 3, "seconds": 1}
DUE = 2


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    with ExitStack() as stack:
        servers = [stack.enter_context(MeasuredServer(kind, filled)) for kind in ("platform", "floor")]
        users = pages.page_owners(filled, sizes["traders"])
        trades = [
            row["id"]
            for user in users
            for row in pages.body_of(servers[0], f"{servers[0].kind.list_path}?user={user}")["results"][::10]
        ]
        contestants = []
        for server in servers:
            paths = [f"{server.kind.list_path}{trade}/" for trade in trades]
            if server is servers[0]:
                due = [pages.body_of(server, path) for path in paths]
            else:
                compare(due, [pages.body_of(server, path) for path in paths], server.kind.name)
            token = filled.token("viewer")
            load = Load(server.port, [request(path, token) for path in paths])
            contestants.append(Contestant(server.kind.name, load, server.parts))
        found, spare = rounds.run(contestants, rounds=sizes["rounds"], seconds=sizes["seconds"], advance=advance)
    times = rounds.ratios(found["platform"], found["floor"])
    told = rounds.summary(found, spare)
    cost, floor = (told[name]["cpu_ms"]["median"] for name in ("platform", "floor"))
    said = f"{times['median']:.2f} x the floor ({cost:.2f} and {floor:.2f} ms)"
    return Measured(times["median"] <= DUE, said, {"times_of_floor": times, "contestants": told})
