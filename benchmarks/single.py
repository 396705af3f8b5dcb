"""What one call costs the first time, and what it costs afterwards."""

from statistics import median

from .cost import Meter
from .load import Load, request


def first_and_after(server, path, repeats, role="viewer"):
    """
    One call alone on one connection, then the same `repeats` times.

    :returns: {"first", "after"}, each {"cpu_ms", "by_part_ms", "wall_ms", "steal"} a call
    """
    load = Load(server.port, [request(path, server.stand.token(role))], connections=1)
    return {"first": _cost(server, load, 1), "after": _cost(server, load, repeats)}


def _cost(server, load, count):
    meter = Meter(server.parts, fine=True)
    _, _, waits = load.run(count=count)
    cost = meter.read()
    return {
        "cpu_ms": cost.total / count * 1000,
        "by_part_ms": {part: spent / count * 1000 for part, spent in cost.seconds.items()},
        "wall_ms": median(waits) * 1000,
        "steal": cost.steal,
    }


def middle(costs, when, what="cpu_ms"):
    """The median of several calls' costs."""
    return median(cost[when][what] for cost in costs)
