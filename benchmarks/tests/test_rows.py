"""Whether answers are the same: by their values, not by how a library writes them."""

import pytest

from benchmarks.rows import DifferentRows, compare, results
from benchmarks.truth import share_off

ROW = {"id": 1, "quantity": "12.5", "strike": None, "taken_at": "2026-01-05T10:00:00Z", "symbol": "AAPL"}


def test_the_same_value_written_otherwise_is_the_same():
    theirs = {**ROW, "quantity": "12.500000000000", "taken_at": "2026-01-05T11:00:00.000000+01:00"}

    compare([ROW], [theirs], "peer")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"quantity": "12.500000000001"}, "quantity"),
        ({"quantity": 12.5}, "no decimal string"),
        ({"strike": "0"}, "strike"),
        ({"taken_at": "2026-01-05T10:00:00.000001Z"}, "taken_at"),
        ({"symbol": "aapl"}, "symbol"),
        ({"more": 1}, "more"),
    ],
)
def test_another_value_is_named(change, told):
    with pytest.raises(DifferentRows, match=told):
        compare([ROW], [{**ROW, **change}], "peer")


def test_rows_in_another_order_are_other_rows():
    other = {**ROW, "id": 2}

    with pytest.raises(DifferentRows, match="row 1: id"):
        compare([ROW, other], [other, ROW], "peer")


def test_a_missing_row_is_a_difference():
    with pytest.raises(DifferentRows, match="0 rows where 1 are due"):
        compare([ROW], [], "peer")


def test_a_page_is_found_under_each_librarys_name_for_it():
    assert results({"results": [ROW], "next": None}) == results({"items": [ROW], "count": 1}) == [ROW]
    with pytest.raises(DifferentRows, match="detail"):
        results({"detail": "no"})


@pytest.mark.parametrize(
    ("said", "true", "off"),
    [
        (100.0, 100.0, 0),
        (100.00001, 100.0, 0),
        (101.0, 100.0, 0.01),
        (-99.0, -100.0, 0.01),
        (0.0, 0.0, 0),
        (0.5, 0.0, 5e5),
    ],
)
def test_a_percentile_is_off_by_a_share_of_what_it_should_be(said, true, off):
    assert share_off(said, true) == pytest.approx(off)
