"""
A process: the memory of a worker after work, and how long the server takes to start, against bare Django.

The platform and a Django project of one view, each under gunicorn with two workers, are started in turns; a start ends
when every worker is there and one answers. Then the platform's workers serve pages, single trades and all three
analytics before their memory is read. Reached: a worker has at most 110 MB resident, and a start costs at most twice
the processor time of bare Django's.
"""

import time
from statistics import median

from faults.figures import Measured

from .. import pages
from ..cost import Meter, processes, resident_bytes, tree_seconds
from ..load import Load, request
from ..rounds import spread
from ..servers import MeasuredServer

REACH = "worker <= 110 MB; start <= 2 x bare Django"
FULL = {"trades": 50_000, "starts": 10, "requests": 2000}
QUICK = {"trades": 50_000, "starts": 2, "requests": 100}
DUE_MB, DUE_TIMES = 110, 2
REST = 0.3  # seconds without a tick of the kernel's clock


def measure(stand, sizes, advance):
    filled = stand.at(sizes["trades"])
    starts = {"platform": [], "django": []}
    for number in range(sizes["starts"]):
        advance(number, sizes["starts"])
        for kind in sorted(starts, reverse=number % 2):
            starts[kind].append(start(kind, filled))
    memory = worked(filled, sizes["requests"])
    times = spread(
        our["cpu_seconds"] / their["cpu_seconds"]
        for our, their in zip(starts["platform"], starts["django"], strict=True)
    )
    resident = max(worker["resident_mb"] for worker in memory)
    waited = {kind: median(one["seconds"] for one in found) for kind, found in starts.items()}
    said = (
        f"worker {resident:.0f} MB; start {times['median']:.2f} x bare Django "
        f"({waited['platform']:.2f} and {waited['django']:.2f} s waited)"
    )
    reached = resident <= DUE_MB and times["median"] <= DUE_TIMES
    return Measured(reached, said, {"times_of_django": times, "starts": starts, "workers": memory})


def start(kind, filled):
    """What one start costs, and how long it is waited for."""
    meter, began = Meter({}), time.perf_counter()
    with MeasuredServer(kind, filled) as server:
        seconds, steal = time.perf_counter() - began, meter.read().steal
        return {"cpu_seconds": rested(server.pid), "seconds": seconds, "steal": steal}


def rested(pid):
    """The processor seconds of a process tree, once they stand still."""
    before, now = None, tree_seconds(pid, processes())
    while now != before:
        time.sleep(REST)
        before, now = now, tree_seconds(pid, processes())
    return now


def worked(filled, count):
    """The memory of each worker after `count` requests of every kind."""
    with MeasuredServer("platform", filled) as server:
        token = filled.token("viewer")
        users = pages.page_owners(filled, 20)
        trade = pages.body_of(server, f"/api/v1/trades/?user={users[0]}")["results"][0]["id"]
        requests = [
            *pages.first_pages(server, users),
            request(f"/api/v1/trades/{trade}/", token),
            *(request(f"/api/v1/analytics/{call}/?user={users[-1]}", token) for call in ("latency", "slippage")),
            request(f"/api/v1/analytics/performance/?user={users[-1]}", token),
        ]
        Load(server.port, requests).run(count=count)
        found = []
        for pid in server.workers():
            resident, own = resident_bytes(pid)
            found.append({"resident_mb": resident / 1e6, "own_mb": own / 1e6})
    return found
