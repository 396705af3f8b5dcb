"""
The figures, in the order of the report. Each is a module:

- its docstring: in the first line what is measured, below it how, and what counts as reached
- ``REACH``: what is to be reached at full size, in words
- ``FULL`` and ``QUICK``: the sizes, handed to `measure`
- ``TARGETS``: what it can be measured on, of ``platform``, ``sqlite`` and ``peer``
- ``OWN_SERVICES``: true if it stops or restarts the database or the cache
- ``BY_NAME_ONLY``, if true: not among `all`
- ``measure(stand, sizes, advance)``: measures on a `stand.Stand` and returns a `Measured`; calls `advance(done, total)`
  now and then. Chance comes from ``Random(stand.seed)`` alone.
"""

from dataclasses import dataclass, field
from importlib import import_module

from .. import suites

NAMES = (
    "increments",
    "two_fields",
    "delete_beside_patch",
    "limits",
    "idempotency",
    "refresh_race",
    "unique_race",
    "deadlocks",
    "kill",
    "failpoints",
    "sigterm",
    "mail_down",
    "cache_down",
    "database_restarts",
    "hostile",
    "properties",
    "schemathesis",
    "guards",
)


@dataclass(frozen=True)
class Measured:
    """
    What came out: whether it is what was to be reached, in words, and the numbers behind the words.

    A figure that meets an answer it is not about (`load.expect`) ends there and is not reached.
    """

    reached: bool
    said: str
    numbers: dict = field(default_factory=dict)

    @classmethod
    def cases(cls, outcome, wanted):
        """A part of the suite (`suites.Outcome`) that has to pass with at least as many generated cases as `wanted`."""
        numbers = {"cases": outcome.cases, "exit_code": outcome.code}
        if outcome.code != suites.PASSED:
            return cls(False, f"{outcome.cases:,} cases, not all passed: {outcome.last_line}", numbers)
        return cls(outcome.cases >= wanted, f"{outcome.cases:,} cases, all as written", numbers)


def load(name):
    """The module of a figure; `NAMES` has the names."""
    return import_module(f"{__name__}.{name}")


def title(figure):
    return figure.__doc__.strip().splitlines()[0]
