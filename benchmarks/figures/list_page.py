"""
The list page: processor time of one page of 100 trades, against the peers on the same rows.

Platform and peers run side by side with two workers each, on one PostgreSQL and one Redis over TCP, and are asked for
the first pages of the same traders over eight connections that are kept alive. All are first checked to answer the same
rows. The cost is that of server, database and cache together; pgbench sends the floor's statement alone. Reached: at
least 0.6 of the floor's speed, 8 times stock DRF's, 4 times django-ninja's, and level with the leanest FastAPI (no more
than 5 percent dearer).
"""

from contextlib import ExitStack

from faults.figures import Measured

from .. import pages, rounds
from ..load import Load
from ..pgbench import Pgbench
from ..rounds import Contestant
from ..servers import KINDS, MeasuredServer

REACH = ">= 0.6 of the floor, >= 8 x stock DRF, >= 4 x django-ninja, level with the leanest FastAPI"
FULL = {"trades": 5_000_000, "traders": 40, "rounds": 9, "seconds": 5}
QUICK = {"trades": 50_000, "traders": 10, "rounds": 3, "seconds": 1.5}
PEERS = ("floor", "asyncpg", "sqlalchemy", "ninja", "stock")
DUE = {"floor": 0.6, "stock": 8, "ninja": 4, "asyncpg": 0.95}


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    users = pages.page_owners(filled, sizes["traders"])
    with ExitStack() as stack:
        servers = [stack.enter_context(MeasuredServer(kind, filled)) for kind in ("platform", *PEERS)]
        pages.check(servers, users)
        contestants = [
            Contestant(server.kind.name, Load(server.port, pages.first_pages(server, users)), server.parts)
            for server in servers
        ]
        alone = Pgbench(filled, users)
        contestants.append(Contestant("sql", alone, {"database": filled.parts["database"]}))
        found, spare = rounds.run(contestants, rounds=sizes["rounds"], seconds=sizes["seconds"], advance=advance)
    times = {peer: rounds.ratios(found[peer], found["platform"]) for peer in (*PEERS, "sql")}
    numbers = {"times_of_peers": times, "traders": len(users), "contestants": rounds.summary(found, spare)}
    reached = all(times[peer]["median"] >= due for peer, due in DUE.items())
    cost = numbers["contestants"]["platform"]["cpu_ms"]["median"]
    told = ", ".join(f"{times[peer]['median']:.2f} of {KINDS[peer].label}" for peer in PEERS)
    return Measured(reached, f"{cost:.2f} ms a page; speed, times that {told}", numbers)
