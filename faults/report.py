"""Results: one JSON file for each figure and target, and the table in docs/reliability.md made from them."""

import json
import os
import platform
from datetime import UTC, datetime

import psycopg
import redis

from . import figures
from .stand import ROOT

RESULTS = ROOT / "faults" / "results"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `python -m faults report` -->\n", "<!-- end -->\n"
SOFTWARE = (("python", "Python"), ("postgresql", "PostgreSQL"), ("redis", "Redis"))


def result(name, measured, *, target, sizes, stand, seconds):
    """Everything a reader needs to judge, and to measure it again."""
    return {
        "figure": name,
        "target": target,
        "reach": figures.load(name).REACH,
        "reached": measured.reached,
        "said": measured.said,
        "numbers": measured.numbers,
        "sizes": sizes,
        "seed": stand.seed,
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(stand),
    }


def machine(stand):
    with open("/proc/meminfo") as lines:
        memory = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:"))
    with open("/proc/cpuinfo") as lines:
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    found = {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20, 1),
        "python": platform.python_version(),
    }
    if stand.target != "sqlite":
        with psycopg.connect(stand.environment["DATABASE_URL"]) as connection:
            version = connection.info.server_version
        with redis.Redis.from_url(stand.environment["REDIS_URL"]) as connection:
            cache = connection.info("server")["redis_version"]
        found |= {"postgresql": f"{version // 10000}.{version % 10000}", "redis": cache}
    return found


def keep(measured, *, quick, folder=None):
    """Write a result to its file; a quick one to a file of its own, which the page does not read."""
    folder = folder or RESULTS
    parts = [measured["figure"]]
    parts += [measured["target"]] if measured["target"] != "platform" else []
    parts += ["quick"] if quick else []
    path = folder / f"{'.'.join(parts)}.json"
    path.write_text(json.dumps({**measured, "quick": quick}, indent=2) + "\n")
    return path


def kept(folder=None):
    """The full results by (figure, target)."""
    found = {}
    for path in sorted((folder or RESULTS).glob("*.json")):
        row = json.loads(path.read_text())
        if not row["quick"]:
            found[row["figure"], row["target"]] = row
    return found


def render(page=PAGE):
    text = page.read_text()
    page.write_text(with_tables(text, kept()))


def with_tables(text, results):
    """The page's text with what stands between the markers made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables(results)}\n{END}{tail}"


def tables(results):
    lines = [
        "| figure | reach | measured | on SQLite | an ordinary project |",
        "|---|---|---|---|---|",
    ]
    for name in figures.NAMES:
        figure = figures.load(name)
        cells = [_cell(figure, results.get((name, target)), target) for target in ("platform", "sqlite", "peer")]
        lines.append(f"| [{name}](../faults/figures/{name}.py) | {figure.REACH} | {' | '.join(cells)} |")
    lines += ["", *_circumstances(results)]
    return "\n".join(lines)


def _cell(figure, row, target):
    if row is None:
        return "not measured yet" if target in figure.TARGETS else ""
    if target == "peer" or row["reached"]:
        return row["said"]
    return f"**not reached:** {row['said']}"


def _circumstances(results):
    """Where, when and with which seed: a line for each machine."""
    by_machine = {}
    for row in results.values():
        machine = row["machine"]
        hardware = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
        by_machine.setdefault(hardware, []).append(row)
    for hardware, rows in by_machine.items():
        software = _sorted(
            f"{label} {row['machine'][key]}" for row in rows for key, label in SOFTWARE if key in row["machine"]
        )
        dates, seeds = _sorted(row["date"] for row in rows), _sorted(row["seed"] for row in rows)
        seconds = sum(row["seconds"] for row in rows)
        yield (
            f"Measured on {', '.join(dates)}: {hardware}; {', '.join(software)}; seed {', '.join(map(str, seeds))}; "
            f"{seconds / 60:.0f} minutes in all."
        )


def _sorted(values):
    return sorted(set(values))
