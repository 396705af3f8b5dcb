"""What the harness can be held to without servers: its figures are complete, and its page says what was measured."""

import json

import pytest

from faults import figures, report

MACHINE = {"processor": "A processor", "cores": 2, "memory_gib": 8.0, "python": "3.11.0", "postgresql": "15.1"}


def result(**values):
    made = {
        "figure": "increments",
        "target": "platform",
        "reached": True,
        "said": "800 of 800",
        "seed": 1,
        "seconds": 90.0,
        "date": "2026-01-05",
        "machine": MACHINE,
    }
    return made | values


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_figure_says_what_it_measures_and_what_is_to_be_reached(name):
    figure = figures.load(name)

    assert "reached" in figure.__doc__.lower()
    assert len(figures.title(figure)) <= 120
    assert figure.REACH
    assert figure.FULL.keys() == figure.QUICK.keys()
    assert {"platform"} <= set(figure.TARGETS) <= {"platform", "sqlite", "peer"}
    assert figure.OWN_SERVICES in (True, False)


def test_a_full_result_is_kept_and_a_quick_one_beside_it(tmp_path):
    report.keep(result(), quick=False, folder=tmp_path)
    report.keep(result(said="8 of 8"), quick=True, folder=tmp_path)
    report.keep(result(target="peer", said="300 of 800"), quick=False, folder=tmp_path)

    kept = report.kept(tmp_path)

    assert {key: row["said"] for key, row in kept.items()} == {
        ("increments", "platform"): "800 of 800",
        ("increments", "peer"): "300 of 800",
    }


def test_the_table_has_a_row_for_each_figure_and_admits_what_is_missing():
    rows = report.tables({("increments", "platform"): result()}).splitlines()

    for name in figures.NAMES:
        [row] = [row for row in rows if row.startswith(f"| [{name}]")]
        assert ("800 of 800" in row) == (name == "increments")
        assert "not measured yet" in row


def test_a_figure_that_was_not_reached_stands_there_as_it_is():
    missed = result(reached=False, said="799 of 800")

    assert "**not reached:** 799 of 800" in report.tables({("increments", "platform"): missed})


def test_the_machines_are_named_with_their_seed_and_time():
    other = {**MACHINE, "processor": "Another processor"}
    rows = {
        ("increments", "platform"): result(),
        ("two_fields", "platform"): result(seconds=30.0, date="2026-01-06"),
        ("increments", "peer"): result(machine=other),
    }

    told = [line for line in report.tables(rows).splitlines() if line.startswith("Measured on")]

    assert told == [
        "Measured on 2026-01-05, 2026-01-06: A processor, 2 cores, 8.0 GiB; PostgreSQL 15.1, Python 3.11.0; seed 1; "
        "2 minutes in all.",
        "Measured on 2026-01-05: Another processor, 2 cores, 8.0 GiB; PostgreSQL 15.1, Python 3.11.0; seed 1; "
        "2 minutes in all.",
    ]


def test_making_the_tables_anew_leaves_the_rest_of_the_page():
    page = f"before\n{report.BEGIN}old\n{report.END}after\n"

    made = report.with_tables(page, {})

    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "old" not in made
    assert report.with_tables(made, {}) == made


def test_the_page_says_what_was_measured():
    page = report.PAGE.read_text()

    assert page == report.with_tables(page, report.kept()), "Run `python -m faults report`."


def test_results_are_of_figures_there_are():
    rows = [json.loads(path.read_text()) for path in report.RESULTS.glob("*.json")]

    assert {row["figure"] for row in rows} <= set(figures.NAMES)
