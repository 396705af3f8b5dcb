"""Imported files: what is read a column or a chunk of lines at once is what one cell, one record alone would be."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given, strategies

from support_platform.instants import parse_instant
from trading import import_columns, imports

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NUMBERS = strategies.from_regex(r"[-+]?[0-9]{0,20}(\.[0-9]{0,14})?([eE]-?[0-9])?", fullmatch=True)
TEXTS = strategies.one_of(strategies.text(max_size=12), strategies.text(" !~a\x7f\t", max_size=12))
INSTANTS = strategies.from_regex(
    r"(0000|0001|2026|9999)-(0[1-6]|13|00)-(01|2[89]|30|31)T(00|23|24):(00|59):(00|60)(\.[0-9]{1,7})?(Z|z|[+-]01:30)?",
    fullmatch=True,
)


def assert_each_is_read_as_it_is_alone(column, cells):
    meaning = {import_columns.NumberColumn: Decimal, import_columns.InstantColumn: parse_instant}.get(type(column), str)
    values, wrong, rounded = column.read_all(cells, NOW)

    for cell, value in zip(cells, values, strict=True):
        shortened = set()
        try:
            expected = column.read(cell, NOW, shortened) if cell else column.empty
        except ValueError as error:
            assert (value, wrong[cell]) == (None, f"{error} Given: {cell}")
        else:
            assert value is expected is None or meaning(value) == meaning(expected)
            assert (cell in wrong, cell in rounded) == (False, cell in shortened)


@given(strategies.lists(NUMBERS, min_size=1, max_size=4))
@example(["1" * 18])
@example(["1" * 19])
@example(["0." + "1" * 12, "2"])
@example(["0." + "1" * 13, "2"])
@example(["-0", ""])
@example(["1\n2", "3"])
@example(["٣"])
def test_plain_numbers_are_read_as_one_alone_is(cells):
    bounds = ({}, {"above": 0}, {"least": 0}, {"empty": "0"})
    for column in (import_columns.NumberColumn(**bound) for bound in bounds):
        assert_each_is_read_as_it_is_alone(column, cells)


@given(strategies.lists(TEXTS, min_size=1, max_size=4))
@example(["a\x7f"])
@example(["a\u202e", "b"])
@example(["12345678", "123456789"])
@example([" ", "a"])
@example(["", "\\"])
def test_plain_texts_are_read_as_one_alone_is(cells):
    assert_each_is_read_as_it_is_alone(import_columns.TextColumn(max_length=8), cells)


@given(strategies.lists(INSTANTS, min_size=1, max_size=4))
@example(["2026-01-05T09:00:00Z", "2026-01-05T09:00:00.5Z", ""])
@example(["2026-02-30T09:00:00Z"])
@example(["2026-06-01T00:00:00Z", "2026-06-01T00:00:00.000001Z"])
@example(["2026-W01-1T09:00:00Z"])
def test_plain_instants_are_read_as_one_alone_is(cells):
    assert_each_is_read_as_it_is_alone(import_columns.InstantColumn(), cells)


@given(strategies.lists(INSTANTS, min_size=2, max_size=2))
@example(["2026-01-05T09:00:00Z", "2026-01-05T09:00:00.5Z"])
@example(["2026-01-05T09:00:00.49Z", "2026-01-05T09:00:00.5Z"])
@example(["2026-01-05T09:00:00.50Z", "2026-01-05T09:00:00.5Z"])
def test_instants_are_compared_by_time(cells):
    values, wrong, _ = import_columns.InstantColumn().read_all(cells, NOW)
    if wrong:
        return

    earlier, later = sorted(values, key=import_columns.by_time)

    assert parse_instant(earlier) <= parse_instant(later)


CELLS = strategies.sampled_from(["", "a", "1.5", " ", "ö", '"', '""', ",", "\n", "\r", "\r\n", "x,y"])


@given(strategies.lists(strategies.lists(CELLS, min_size=1, max_size=5).map("".join), max_size=8), CELLS)
@example(["a,b", "c,d"], "\n")
@example(["a,b", '"c\n', 'd",e', "f,g"], "\n")
@example(["a,b", "", "f,g"], "\r\n")
@example(["a,b", "c"], "\n")
def test_lines_are_split_as_the_reader_of_csv_splits_them(tmp_path_factory, lines, end):
    path = tmp_path_factory.getbasetemp() / "split.csv"
    path.write_text("\n".join(["a,b", *lines]) + end, newline="")
    columns = {"a": import_columns.TextColumn(), "b": import_columns.TextColumn()}

    def found(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(imports, "BATCH", size)
            seen, faults = [], {}
            try:
                file = imports.CsvFile(path, columns, lambda batch: None)
                for batch in file.batches(NOW):
                    seen += zip(batch.lines, batch.values["a"], batch.values["b"], strict=True)
                    faults |= batch.faults
            except imports.Unreadable as error:
                return str(error)
        return seen, faults

    by_reader = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports.CsvFile, "_split", lambda self, taken: None)
        by_reader = found(5000)

    assert [found(size) for size in (1, 3, 5000)] == [by_reader] * 3
