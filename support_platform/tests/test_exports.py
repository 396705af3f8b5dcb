"""Cells of exported tables: exact values, and nothing a spreadsheet would run."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from support_platform.exports import cell, csv_lines, neutralise


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1+1",
        "-x",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=",
        "-",
        "--1",
        "-.5",
        "-1e5",
        "+4915112345678",
        "＝1",
    ],
)
def test_formulas_get_an_apostrophe(text):
    assert neutralise(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "EUR/USD", "-5.29", "-880.03", "0", "12.5", "a=b", "1-2", "it's", " text"])
def test_numbers_and_plain_text_stay(text):
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (Decimal("-5.290000000000"), "-5.29"),
        (Decimal("1E-12"), "0.000000000001"),
        (datetime(2026, 1, 5, 9, 0, tzinfo=UTC), "2026-01-05T09:00:00Z"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ],
)
def test_values_are_written_exactly(value, text):
    assert cell(value) == text


def test_lines_are_quoted_where_needed_and_made_one_by_one():
    asked = []

    def rows():
        for number in range(3):
            asked.append(number)
            yield [number, 'a "quoted", text']

    lines = csv_lines(["id", "name"], rows())

    assert next(lines) == "id,name\r\n"
    assert asked == []
    assert next(lines) == '0,"a ""quoted"", text"\r\n'
    assert asked == [0]
