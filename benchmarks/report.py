"""Results: one JSON file for each figure, and the tables and plots of docs/performance.md made from them."""

import json
from datetime import UTC, datetime

from faults.report import machine
from faults.stand import ROOT

from . import figures

RESULTS = ROOT / "benchmarks" / "results"


def result(name, measured, *, sizes, stand, seconds, quick):
    """Everything a reader needs to judge, and to measure it again."""
    return {
        "figure": name,
        "reach": figures.load(name).REACH,
        "reached": measured.reached,
        "said": measured.said,
        "numbers": measured.numbers,
        "sizes": sizes,
        "seed": stand.seed,
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(stand),
        "quick": quick,
    }


def keep(measured, folder=None):
    """Write a result to its file; a quick one to a file of its own, which the page does not read."""
    name = f"{measured['figure']}.quick" if measured["quick"] else measured["figure"]
    path = (folder or RESULTS) / f"{name}.json"
    path.write_text(json.dumps(rounded(measured), indent=1) + "\n")
    return path


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value
