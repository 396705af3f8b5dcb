"""
Growth: the first page at 50 thousand, 500 thousand and 5 million trades, and the page 1,000 deep.

One server on each of three databases, and on the largest also the page that 999 others come before, of the trader
with most trades; all take turns. The floor and stock DRF stand beside it, stock DRF with the page number in the URL.
Reached: the deep page costs at most 1.2 times the first page of the same trader, and the largest database at most 1.2
times the smallest.
"""

from contextlib import ExitStack

from faults.figures import Measured

from .. import pages, rounds
from ..load import Load, request
from ..rounds import Contestant
from ..servers import MeasuredServer

REACH = "page 1,000 against page 1, and 5M rows against 50k: <= 1.2 x"
FULL = {"sizes": (50_000, 500_000, 5_000_000), "traders": 20, "page": 1000, "rounds": 7, "seconds": 4}
QUICK = {"sizes": (20_000, 50_000), "traders": 10, "page": 20, "rounds": 2, "seconds": 1}
KINDS = ("platform", "floor", "stock")
DUE = 1.2


def measure(stand, sizes, advance):
    with ExitStack() as stack:
        contestants = []
        for trades in sizes["sizes"]:
            filled = stand.at(trades)
            users = pages.page_owners(filled, sizes["traders"])
            servers = [stack.enter_context(MeasuredServer(kind, filled)) for kind in KINDS]
            pages.check(servers, users)
            contestants += [entrant(f"{server.kind.name}:{trades}", server, users) for server in servers]
        # Of the largest database; that is the last one.
        largest, rows = filled.owners()[0]
        page = min(sizes["page"], rows // pages.PAGE - 1)
        paths = [pages.deep_path(server, largest, page) for server in servers]
        pages.check_paths(servers, paths)
        for server, path in zip(servers, paths, strict=True):
            contestants.append(entrant(f"{server.kind.name}:first", server, [largest]))
            contestants.append(one(f"{server.kind.name}:deep", server, path))
        found, spare = rounds.run(contestants, rounds=sizes["rounds"], seconds=sizes["seconds"], advance=advance)
    least, most = sizes["sizes"][0], sizes["sizes"][-1]
    times = {
        kind: {
            "deep": rounds.ratios(found[f"{kind}:deep"], found[f"{kind}:first"]),
            "large": rounds.ratios(found[f"{kind}:{most}"], found[f"{kind}:{least}"]),
        }
        for kind in KINDS
    }
    ours = times["platform"]
    reached = page == sizes["page"] and all(ratio["median"] <= DUE for ratio in ours.values())
    said = (
        f"page {page:,} {ours['deep']['median']:.2f} x page 1, "
        f"{most:,} trades {ours['large']['median']:.2f} x {least:,}"
        f" (stock DRF {times['stock']['deep']['median']:.1f} x and {times['stock']['large']['median']:.1f} x)"
    )
    return Measured(reached, said, {"times": times, "page": page, "contestants": rounds.summary(found, spare)})


def entrant(name, server, users):
    return Contestant(name, Load(server.port, pages.first_pages(server, users)), server.parts)


def one(name, server, path):
    return Contestant(name, Load(server.port, [request(path, server.stand.token("viewer"))]), server.parts)
