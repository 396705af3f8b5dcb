"""The report without servers: figures are complete, tables admit what is missing, the page says what was measured."""

import json
from xml.etree import ElementTree

import pytest

from benchmarks import figures, plot, report
from benchmarks.pgbench import told
from benchmarks.rounds import Slice, summary

MACHINE = {
    "processor": "A processor",
    "cores": 2,
    "memory_gib": 8.0,
    "python": "3.11.0",
    "postgresql": "15.1",
    "redis": "7.0.1",
}


def result(figure="list_page", **values):
    slices = [Slice(100, 50.0, 4.0, {"server": 3.0, "database": 0.75, "cache": 0.25}, 20.0, 0.01, 0.1)]
    names = ("platform", "floor", "stock", "sql")
    numbers = {
        "contestants": summary(dict.fromkeys(names, slices), {name: [] for name in names}),
        "times_of_peers": {name: {"median": 2.5, "min": 2.0, "max": 3.0} for name in names[1:]},
    }
    made = {
        "figure": figure,
        "reached": True,
        "said": "4.00 ms a page",
        "numbers": numbers,
        "sizes": {"trades": 5_000_000},
        "seed": 1,
        "seconds": 90.0,
        "date": "2026-01-05",
        "machine": MACHINE,
        "quick": False,
    }
    return made | values


def growth():
    slices = [Slice(100, 50.0, 4.0, {"server": 4.0}, 20.0, 0.0, 0.0)]
    names = [f"{kind}:{what}" for kind in ("platform", "stock") for what in (50, 500, "first", "deep")]
    numbers = {
        "contestants": summary(dict.fromkeys(names, slices), {name: [] for name in names}),
        "times": {kind: {} for kind in ("platform", "stock")},
        "page": 1000,
    }
    return result("growth", numbers=numbers, sizes={"sizes": [50, 500]})


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_figure_says_what_it_measures_and_what_is_to_be_reached(name):
    figure = figures.load(name)

    assert "reached" in figure.__doc__.lower()
    assert len(figure.__doc__.strip().splitlines()[0]) <= 120
    assert figure.REACH
    assert figure.FULL.keys() == figure.QUICK.keys()


def test_a_full_result_is_kept_and_a_quick_one_beside_it(tmp_path):
    report.keep(result(), folder=tmp_path)
    report.keep(result(said="quick", quick=True), folder=tmp_path)

    assert {name: row["said"] for name, row in report.kept(tmp_path).items()} == {"list_page": "4.00 ms a page"}


def test_no_more_digits_are_kept_than_were_measured():
    kept = report.rounded({"a": [1.23456, (0.000123456, 7)], "b": True})

    assert kept == {"a": [1.235, [0.0001235, 7]], "b": True}


def test_the_table_admits_what_is_missing_and_what_was_not_reached():
    rows = report.tables({"list_page": result(reached=False)}).splitlines()

    for name in figures.NAMES:
        [row] = [row for row in rows if row.startswith(f"| [{name}]")]
        assert ("**not reached:** 4.00 ms a page" in row) == (name == "list_page")
        assert ("not measured yet" in row) == (name != "list_page")


def test_each_server_has_its_cost_with_its_spread_and_its_ratio():
    rows = report.tables({"list_page": result()}).splitlines()

    row = "| 4 (4 to 4) | 3.00 / 0.75 / 0.25 | {} | 50 | 1.0% |"
    assert f"| the platform {row.format(1)}" in rows
    assert f"| stock DRF {row.format('2.5 (2 to 3)')}" in rows
    assert f"| the SQL alone (pgbench) {row.format('2.5 (2 to 3)')}" in rows


def test_the_terminal_shows_each_contestant_and_nothing_where_there_are_none():
    head, *rows = report.contestants(result())

    assert head.split()[:4] == ["CPU", "ms", "a", "request"]
    assert rows[1].split() == ["floor", "4", "(4", "to", "4)", "3.00", "0.75", "0.25", "50", "1.0%"]
    assert list(report.contestants(result(numbers={}))) == []


def test_growth_has_a_line_for_each_server_and_a_column_for_each_size():
    rows = report.tables({"growth": growth()}).splitlines()

    assert "| server | 50 trades | 500 trades | largest trader, page 1 | page 1,000 |" in rows
    assert "| stock DRF | 4 (4 to 4) | 4 (4 to 4) | 4 (4 to 4) | 4 (4 to 4) |" in rows


def test_the_machine_is_named_with_seed_and_time():
    [told] = [line for line in report.tables({"list_page": result()}).splitlines() if line.startswith("Measured on")]

    assert told == (
        "Measured on 2026-01-05: A processor, 2 cores, 8.0 GiB; PostgreSQL 15.1, Redis 7.0.1, Python 3.11.0; seed 1; "
        "2 minutes in all."
    )


def test_making_the_tables_anew_leaves_the_rest_of_the_page():
    page = f"before\n{report.BEGIN}old\n{report.END}after\n"

    made = report.with_tables(page, {})

    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "old" not in made
    assert report.with_tables(made, {}) == made


def test_the_page_says_what_was_measured():
    page = report.PAGE.read_text()

    assert page == report.with_tables(page, report.kept()), "Run `python -m benchmarks report`."


def test_the_plots_show_what_was_measured():
    drawn = report.drawings(report.kept())

    assert {path.stem: path.read_text() for path in report.PLOTS.glob("*.svg")} == drawn, "python -m benchmarks report"


def test_results_are_of_figures_there_are():
    rows = [json.loads(path.read_text()) for path in report.RESULTS.glob("*.json")]

    assert {row["figure"] for row in rows} <= set(figures.NAMES)


def test_plots_are_wellformed_and_as_long_as_their_values():
    drawn = report.drawings({"list_page": result(), "growth": growth()})

    bars = ElementTree.fromstring(drawn["list_page"])  # noqa: S314  our own
    widths = [float(found.get("width")) for found in bars.findall(".//{*}rect") if found.get("height") == "20"]
    assert widths[:3] == pytest.approx([widths[0], widths[0] / 4, widths[0] / 12], abs=0.1)
    assert len(ElementTree.fromstring(drawn["growth"]).findall(".//{*}polyline")) == 2  # noqa: S314


def test_a_label_cannot_break_a_plot():
    assert "a &lt;b&gt; &amp; c" in plot.bars("title", [("a <b> & c", {"x": 1.0})], "ms")


def test_pgbenchs_report_is_read():
    output = "number of transactions actually processed: 1234\nlatency average = 8.250 ms\ntps = 969.6 (without)\n"

    assert told(output) == (1234, 0.00825)
