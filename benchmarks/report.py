"""Results: one JSON file for each figure, and the tables and plots of docs/performance.md made from them."""

import json
from datetime import UTC, datetime

from faults.report import machine
from faults.stand import ROOT

from . import figures, plot
from .servers import KINDS

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "plots"
BEGIN, END = "<!-- made by `python -m benchmarks report` -->\n", "<!-- end -->\n"


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
    """Four digits: more were never measured."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def kept(folder=None):
    """The full results by figure."""
    rows = [json.loads(path.read_text()) for path in sorted((folder or RESULTS).glob("*.json"))]
    return {row["figure"]: row for row in rows if not row["quick"]}


def render(page=PAGE, plots=PLOTS):
    results = kept()
    page.write_text(with_tables(page.read_text(), results))
    plots.mkdir(exist_ok=True)
    for name, drawn in drawings(results).items():
        (plots / f"{name}.svg").write_text(drawn)


def with_tables(text, results):
    """The page's text with what stands between the markers made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables(results)}\n{END}{tail}"


def tables(results):
    lines = ["| figure | reach | measured |", "|---|---|---|"]
    for name in figures.NAMES:
        reach = figures.load(name).REACH
        lines.append(f"| [{name}](../benchmarks/figures/{name}.py) | {reach} | {_said(results.get(name))} |")
    if "list_page" in results:
        lines += ["", *_list_page(results["list_page"])]
    if "growth" in results:
        lines += ["", *_growth(results["growth"])]
    return "\n".join([*lines, "", *_circumstances(results)])


def contestants(row):
    """The lines of a table for the terminal, of a result that has contestants."""
    found = row["numbers"].get("contestants", {})
    width = max(map(len, found), default=0)
    if found:
        yield f"  {'':{width}}  CPU ms a request        server  database  cache    a second  steal at most"
    for name, told in found.items():
        parts = "".join(f"{told['by_part_ms'].get(part, 0):9.2f}" for part in ("server", "database", "cache"))
        per_second, steal = told["per_second"]["median"], told["steal"]["max"]
        yield f"  {name:{width}}  {_spread(told['cpu_ms']):22}{parts}  {per_second:9.0f}  {steal:12.1%}"


def _said(row):
    if row is None:
        return "not measured yet"
    return row["said"] if row["reached"] else f"**not reached:** {row['said']}"


def _list_page(row):
    """One line for each server: the median with the least and greatest round."""
    numbers = row["numbers"]
    yield f"One page of 100 trades, of {row['sizes']['trades']:,}: processor time of server, database and cache"
    yield "together, medians of the rounds with the least and the greatest."
    yield ""
    yield "| server | CPU ms a page | server / database / cache | its cost / ours | requests a second | steal at most |"
    yield "|---|---|---|---|---|---|"
    for name, found in numbers["contestants"].items():
        parts = " / ".join(f"{found['by_part_ms'].get(part, 0):.2f}" for part in ("server", "database", "cache"))
        times = _spread(numbers["times_of_peers"][name]) if name != "platform" else "1"
        per_second, steal = found["per_second"]["median"], found["steal"]["max"]
        yield f"| {_label(name)} | {_spread(found['cpu_ms'])} | {parts} | {times} | {per_second:.0f} | {steal:.1%} |"
    yield ""
    yield "![Processor time of a page](plots/list_page.svg)"


def _growth(row):
    sizes = row["sizes"]["sizes"]
    contestants = row["numbers"]["contestants"]
    deep = f"page {row['numbers']['page']:,}"
    yield "How the cost of a page grows with the rows, and with its depth at the trader who has most (CPU ms):"
    yield ""
    yield f"| server | {' | '.join(f'{size:,} trades' for size in sizes)} | largest trader, page 1 | {deep} |"
    yield f"|---|{'---|' * (len(sizes) + 2)}"
    for kind in row["numbers"]["times"]:
        names = [*(f"{kind}:{size}" for size in sizes), f"{kind}:first", f"{kind}:deep"]
        cells = [_spread(contestants[name]["cpu_ms"]) for name in names]
        yield f"| {KINDS[kind].label} | {' | '.join(cells)} |"
    yield ""
    yield "![How the cost of a page grows](plots/growth.svg)"


def drawings(results):
    """{name: the plot as SVG}"""
    found = {}
    if "list_page" in results:
        contestants = results["list_page"]["numbers"]["contestants"]
        rows = [(_label(name), told["by_part_ms"]) for name, told in contestants.items()]
        found["list_page"] = plot.bars("Processor time of a page of 100 trades", rows, "ms")
    if "growth" in results:
        row = results["growth"]
        contestants, sizes = row["numbers"]["contestants"], row["sizes"]["sizes"]
        series = {
            KINDS[kind].label: [(size, contestants[f"{kind}:{size}"]["cpu_ms"]["median"]) for size in sizes]
            for kind in row["numbers"]["times"]
        }
        found["growth"] = plot.lines("Processor time of the first page, by trades in the table", series, "ms")
    return found


def _label(name):
    return "the SQL alone (pgbench)" if name == "sql" else KINDS[name].label


def _spread(found):
    return f"{found['median']:.3g} ({found['min']:.3g} to {found['max']:.3g})"


def _circumstances(results):
    """Where, when and with which seed: a line for each machine."""
    by_machine = {}
    for row in results.values():
        by_machine.setdefault(json.dumps(row["machine"]), []).append(row)
    for rows in by_machine.values():
        found = rows[0]["machine"]
        dates = ", ".join(sorted({row["date"] for row in rows}))
        yield (
            f"Measured on {dates}: {found['processor']}, {found['cores']} cores, {found['memory_gib']} GiB; PostgreSQL "
            f"{found['postgresql']}, Redis {found['redis']}, Python {found['python']}; "
            f"seed {', '.join(sorted({str(row['seed']) for row in rows}))}; "
            f"{sum(row['seconds'] for row in rows) / 60:.0f} minutes in all."
        )
