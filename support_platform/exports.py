"""Tables as CSV for spreadsheets: streamed, exact, and without cells that a spreadsheet would run as a formula."""

import csv
import json
from datetime import datetime
from decimal import Decimal

from .decimals import PLAIN, format_decimal
from .instants import format_instant

MAX_ROWS = 50_000

# What begins a formula, or a line break or tab that a spreadsheet strips before it looks; full-width forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # noqa: RUF001


def neutralise(text):
    """
    The text as a cell that no spreadsheet takes for a formula. Plain numbers, also negative ones, stay numbers.

    What looks neutralised already gets one more apostrophe, so that each cell comes from one text.
    """
    is_formula = text.lstrip("'").startswith(_FORMULA_STARTS) and not PLAIN.fullmatch(text)
    return f"'{text}" if is_formula else text


def plain(text):
    """What `neutralise` was given: for a file of ours that comes back."""
    return text[1:] if text[:1] == "'" and neutralise(text[1:]) == text else text


def cell(value):
    """One value as the text of its cell: decimals plain, instants in UTC with Z, documents JSON, unknown empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return neutralise(str(value))


def csv_lines(header, rows):
    """The lines of the file, one by one, so that a table of any size takes the memory of one row."""
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


class _Echo:
    """A file for csv.writer that gives each line back instead of keeping it."""

    def write(self, line):
        return line
