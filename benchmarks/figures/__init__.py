"""
The figures, in the order of the report. Each is a module:

- its docstring: in the first line what is measured, below it how, and what counts as reached
- ``REACH``: what is to be reached at full size, in words
- ``FULL`` and ``QUICK``: the sizes, handed to `measure`
- ``measure(stand, sizes, advance)``: measures on a `stand.Stand` and returns a `faults.figures.Measured`; calls
  `advance(done, total)` now and then
"""

from importlib import import_module

NAMES = (
    "list_page",
    "growth",
    "detail",
    "correction",
    "performance",
    "order_figures",
    "window",
    "changes",
    "imports",
    "process",
)


def load(name):
    """The module of a figure; `NAMES` has the names."""
    return import_module(f"{__name__}.{name}")
