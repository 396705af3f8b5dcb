"""The arithmetic of a run: the rule for repeating, the ratios, and what a slice costs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import cost, rounds
from benchmarks.rounds import ATTEMPTS, STEAL_LIMIT, Contestant, Slice

CALM = Slice(100, 50.0, 4.0, {"server": 3.0, "database": 1.0}, 20.0, steal=0.0, others=0.1)


def attempts(*steals):
    made = iter([replace(CALM, steal=steal, cpu_ms=number) for number, steal in enumerate(steals)])
    return lambda: next(made)


def test_a_calm_slice_is_not_repeated():
    counted, spare = rounds.repeated(attempts(STEAL_LIMIT, 0.0))

    assert (counted.cpu_ms, counted.attempts, spare) == (0, 1, [])


def test_a_slice_is_repeated_until_the_host_leaves_it_alone():
    counted, spare = rounds.repeated(attempts(0.5, 0.04, 0.01, 0.0))

    assert (counted.cpu_ms, counted.attempts) == (2, 3)
    assert [one.steal for one in spare] == [0.5, 0.04]


def test_after_the_last_attempt_the_one_with_the_least_steal_counts():
    steals = [0.5, 0.1, 0.3, 0.2][:ATTEMPTS]

    counted, spare = rounds.repeated(attempts(*steals))

    assert (counted.steal, counted.attempts) == (0.1, ATTEMPTS)
    assert len(spare) == ATTEMPTS - 1


def test_a_cheap_slice_is_no_reason_to_choose_it():
    stolen_but_cheap = replace(CALM, steal=0.5, cpu_ms=1.0)
    later = iter([stolen_but_cheap, replace(CALM, cpu_ms=9.0)])

    counted, _ = rounds.repeated(lambda: next(later))

    assert counted.cpu_ms == 9.0


def test_ratios_compare_a_round_with_itself():
    ours = [replace(CALM, cpu_ms=cpu) for cpu in (2.0, 4.0, 8.0)]
    theirs = [replace(CALM, cpu_ms=cpu) for cpu in (4.0, 12.0, 8.0)]

    assert rounds.ratios(theirs, ours) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_rounds_with_different_numbers_are_not_compared():
    with pytest.raises(ValueError, match="zip"):
        rounds.ratios([CALM], [CALM, CALM])


def test_each_round_has_everyone_in_another_order(monkeypatch):
    order = []
    monkeypatch.setattr(rounds, "measure", lambda contestant, seconds: order.append(contestant.name) or CALM)
    load = SimpleNamespace(run=lambda seconds: None)
    contestants = [Contestant(name, load, {}) for name in "abc"]

    found, spare = rounds.run(contestants, rounds=4, seconds=1)

    assert "".join(order) == "abcacbcabcba"
    assert {name: len(slices) for name, slices in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert spare == {"a": [], "b": [], "c": []}


def test_the_summary_keeps_every_slice_and_what_did_not_count():
    told = rounds.summary({"a": [CALM, replace(CALM, cpu_ms=6.0)]}, {"a": [replace(CALM, steal=0.4)]})["a"]

    assert told["cpu_ms"] == {"median": 5.0, "min": 4.0, "max": 6.0}
    assert told["by_part_ms"] == {"server": 3.0, "database": 1.0}
    assert [one["cpu_ms"] for one in told["slices"]] == [4.0, 6.0]
    assert [one["steal"] for one in told["not_counted"]] == [0.4]


def stat(folder, pid, name, parent, ticks):
    folder = folder / str(pid)
    folder.mkdir()
    fields = ["S", parent, *[0] * 9, *ticks, *[0] * 30]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(map(str, fields))}\n")


def test_a_process_costs_with_its_children_those_that_ended_included(tmp_path):
    tick = 1 / cost.TICKS
    stat(tmp_path, 10, "server", 1, (1, 2, 30, 40))
    stat(tmp_path, 11, "a worker) S 99 (", 10, (100, 0, 0, 0))
    stat(tmp_path, 12, "grandchild", 11, (0, 1000, 0, 0))
    stat(tmp_path, 13, "someone else", 1, (5000, 0, 0, 0))

    times = cost.processes(tmp_path)

    assert sorted(cost.tree(10, times)) == [10, 11, 12]
    assert cost.tree_seconds(10, times) == pytest.approx(1173 * tick)


def test_the_threads_of_a_process_are_read_in_nanoseconds(tmp_path):
    for thread, text in {"10": "1500000000 3 4", "12": "250000 3 4"}.items():
        folder = tmp_path / "10" / "task" / thread
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"{text}\n")

    assert cost.thread_seconds(10, tmp_path) == {10: 1.5, 12: 0.00025}


def test_a_new_thread_counts_whole_and_one_that_ended_no_more():
    assert cost.since({10: 1.0, 11: 5.0}, {10: 1.5, 12: 9.0}) == 9.5


def test_the_machine_tells_what_its_host_took(tmp_path):
    (tmp_path / "stat").write_text("cpu  10 20 30 400 5 6 7 80 0 0\ncpu0 1 2 3\n")

    busy, steal, everything = cost.machine_seconds(tmp_path)

    assert [round(seconds * cost.TICKS) for seconds in (busy, steal, everything)] == [73, 80, 558]
