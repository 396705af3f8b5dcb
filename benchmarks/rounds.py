"""
Rounds: the contestants take turns, a slice of time each, so that what the machine does meets all of them alike.

The rule for repeating is fixed before a run: a slice during which the host took more than `STEAL_LIMIT` of the
machine's processor time is run again, at most `ATTEMPTS` times in all, and the attempt with the least steal counts.
Nothing else is ever left out, and every attempt is kept in the results.
"""

from dataclasses import asdict, dataclass
from statistics import median

from .cost import Meter

STEAL_LIMIT = 0.03
ATTEMPTS = 4
WARM_UP = 0.5  # seconds of load before a slice begins
FIRST_WARM_UP = 1  # and once before all: connections are made, statements prepared


@dataclass(frozen=True)
class Contestant:
    """One server with its requests: `parts` are the process trees that its requests cost, by name."""

    name: str
    load: object
    parts: dict


@dataclass(frozen=True)
class Slice:
    requests: int
    per_second: float
    cpu_ms: float  # a request, all parts
    by_part: dict  # part -> ms a request
    median_ms: float  # from sent to answered
    steal: float
    others: float
    attempts: int = 1


def run(contestants, *, rounds, seconds, advance=lambda done, total: None):
    """
    Measure all, `rounds` times: beginning with another one each time, forwards and backwards by turns.

    :returns: {name: its slices in the order of the rounds}, {name: the attempts that did not count}
    """
    found = {contestant.name: [] for contestant in contestants}
    spare = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        contestant.load.run(seconds=FIRST_WARM_UP)
    for number in range(rounds):
        for place, contestant in enumerate(in_turn(contestants, number)):
            advance(number * len(contestants) + place, rounds * len(contestants))
            counted, others = repeated(lambda contestant=contestant: measure(contestant, seconds))
            found[contestant.name].append(counted)
            spare[contestant.name] += others
    return found, spare


def in_turn(contestants, number):
    """The order of a round, so that nobody always follows the same one."""
    first = number % len(contestants)
    turned = contestants[first:] + contestants[:first]
    return turned[::-1] if number % 2 else turned


def measure(contestant, seconds):
    contestant.load.run(seconds=WARM_UP)
    meter = Meter(contestant.parts)
    count, passed, waits = contestant.load.run(seconds=seconds)
    cost = meter.read()
    return Slice(
        requests=count,
        per_second=count / passed,
        cpu_ms=cost.total / count * 1000,
        by_part={name: spent / count * 1000 for name, spent in cost.seconds.items()},
        median_ms=median(waits) * 1000,
        steal=cost.steal,
        others=cost.others,
    )


def repeated(attempt, limit=STEAL_LIMIT, attempts=ATTEMPTS):
    """
    One slice by the rule above.

    :returns: the slice that counts, with the number of attempts, and the others
    """
    tried = [attempt()]
    while tried[-1].steal > limit and len(tried) < attempts:
        tried.append(attempt())
    best = min(tried, key=lambda one: one.steal)
    return Slice(**{**asdict(best), "attempts": len(tried)}), [one for one in tried if one is not best]


def spread(values):
    """The median with the least and the greatest."""
    values = list(values)
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratios(slices, others):
    """How many times of `others` it costs, in each round; rounds are compared with themselves alone."""
    return spread(one.cpu_ms / other.cpu_ms for one, other in zip(slices, others, strict=True))


def summary(found, spare):
    """What the results keep of a run."""
    return {
        name: {
            "cpu_ms": spread(one.cpu_ms for one in slices),
            "by_part_ms": {part: median(one.by_part[part] for one in slices) for part in slices[0].by_part},
            "per_second": spread(one.per_second for one in slices),
            "wait_ms": spread(one.median_ms for one in slices),
            "steal": spread(one.steal for one in slices),
            "others": spread(one.others for one in slices),
            "slices": [asdict(one) for one in slices],
            "not_counted": [asdict(one) for one in spare[name]],
        }
        for name, slices in found.items()
    }
