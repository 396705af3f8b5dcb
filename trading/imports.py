"""
Reading trades and orders from CSV files: strictly, row by row, every fault named by its line and column.

Knows files and columns, not the database. Numbers may be written as logs of programs have them, with an exponent or
with the noise of binary fractions; what is longer than 12 places is rounded half-even and counted.
"""

import csv
import re
from contextlib import closing
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from io import TextIOWrapper

from django.core.exceptions import ValidationError

from support_platform.decimals import DECIMAL_PLACES, MAX_DIGITS, check_fits
from support_platform.exports import neutralise, plain
from support_platform.instants import format_instant, parse_instant
from support_platform.text import check_text

from .models import Order, Strategy, Trade

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_CELL = 100
# Most cells are of these two forms, which keep every rule as they stand; only the others are looked at more closely.
_PLAIN_NUMBER = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS - DECIMAL_PLACES}}}(\.[0-9]{{1,{DECIMAL_PLACES}}})?", re.ASCII)
_PLAIN_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)
# The last column of a file of rejected rows. Mended, such a file can be imported as it is.
_ERROR = "error"
_ZERO = Decimal(0)
_PLACE = Decimal(1).scaleb(-DECIMAL_PLACES)
_ROUNDING = Context(prec=4 * MAX_DIGITS, rounding=ROUND_HALF_EVEN)


class Unreadable(Exception):
    """The file as a whole cannot be taken: not there, not CSV, or not with these columns."""


@dataclass(slots=True)
class Row:
    """One line: its `values`, or `faults` as (column, what is wrong). `rounded` counts shortened fractions."""

    line: int
    values: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)
    rounded: int = 0


@dataclass(frozen=True)
class Column:
    """`required`: never empty. `optional`: the whole column may be missing. `empty`: what an empty cell means."""

    required: bool = False
    optional: bool = False
    empty: str | Decimal | None = None

    def read(self, cell, row, now):
        """
        :raises ValueError: saying what the cell must be
        """
        raise NotImplementedError


@dataclass(frozen=True)
class TextColumn(Column):
    max_length: int = 200

    def read(self, cell, row, now):
        if len(cell) <= self.max_length and _PLAIN_TEXT.fullmatch(cell):
            return cell
        return check_text(cell, self.max_length)


@dataclass(frozen=True)
class ChoiceColumn(Column):
    choices: tuple = ()

    def read(self, cell, row, now):
        if cell not in self.choices:
            raise ValueError(f"Must be one of: {', '.join(self.choices)}.")
        return cell


@dataclass(frozen=True)
class InstantColumn(Column):
    def read(self, cell, row, now):
        instant = parse_instant(cell)
        if instant > now:
            raise ValueError(f"Must not be in the future; it is {format_instant(now)}.")
        return instant


@dataclass(frozen=True)
class NumberColumn(Column):
    """`above`, `least`: bounds, the first exclusive, the second inclusive."""

    above: int | None = None
    least: int | None = None

    def read(self, cell, row, now):
        value = Decimal(cell) if _PLAIN_NUMBER.fullmatch(cell) else self._read_closely(cell, row)
        if self.above is not None and value <= self.above:
            raise ValueError(f"Must be greater than {self.above}.")
        if self.least is not None and value < self.least:
            raise ValueError(f"Must be at least {self.least}.")
        return value or _ZERO  # a log's -0.0 is 0

    def _read_closely(self, cell, row):
        if len(cell) > _MAX_CELL or not _NUMBER.fullmatch(cell):
            raise ValueError("Give a number such as 12.5 or 1e-05.")
        exact = Decimal(cell)
        value = exact
        if exact.as_tuple().exponent < -DECIMAL_PLACES and exact.adjusted() < MAX_DIGITS:
            value = exact.quantize(_PLACE, context=_ROUNDING)
        try:
            check_fits(value)
        except ValidationError as error:
            raise ValueError(error.message) from None
        row.rounded += value != exact
        return value


def _length(model, name):
    return model._meta.get_field(name).max_length


TRADE_COLUMNS = {
    "strategy": TextColumn(required=True, max_length=_length(Strategy, "name")),
    "symbol": TextColumn(required=True, max_length=_length(Trade, "symbol")),
    "side": ChoiceColumn(required=True, choices=tuple(Trade.Side.values)),
    "quantity": NumberColumn(required=True, above=0),
    "entry_price": NumberColumn(required=True),
    "exit_price": NumberColumn(),
    "strike": NumberColumn(above=0),
    "fees": NumberColumn(empty=Decimal(0)),
    "result": NumberColumn(),
    "taken_at": InstantColumn(required=True),
    "closed_at": InstantColumn(),
    "stop_loss": NumberColumn(optional=True),
    "target": NumberColumn(optional=True),
    "external_id": TextColumn(optional=True, max_length=_length(Trade, "external_id")),
}
ORDER_COLUMNS = {
    "order_id": TextColumn(required=True, max_length=_length(Order, "external_id")),
    "symbol": TextColumn(required=True, max_length=_length(Order, "symbol")),
    "side": ChoiceColumn(required=True, choices=tuple(Order.Side.values)),
    "quantity": NumberColumn(above=0),
    "expected_price": NumberColumn(),
    "filled_price": NumberColumn(),
    "signal_at": InstantColumn(),
    "sent_at": InstantColumn(),
    "acknowledged_at": InstantColumn(),
    "filled_at": InstantColumn(),
    "arrival_price": NumberColumn(optional=True),
    "filled_quantity": NumberColumn(optional=True, least=0),
    "order_type": ChoiceColumn(optional=True, choices=tuple(Order.OrderType.values), empty=""),
    "trade": TextColumn(optional=True, max_length=_length(Trade, "external_id")),
}


class CsvFile:
    """
    A CSV file (UTF-8, with or without BOM, any line ends) whose header names `columns` in any order.

    `complete` is called with each row, to check and fill in what no single column can.

    :raises Unreadable: on making it and while reading
    """

    def __init__(self, path, columns, complete):
        self.path, self.columns, self.complete = path, columns, complete
        self.header = self._checked_header()
        self._order = [columns.get(name) for name in self.header]  # None: the column of errors
        self.size = path.stat().st_size
        self.position = 0

    def records(self):
        """The header and every line after it as (line number, cells); empty lines are no records."""
        line = 1
        try:
            with open(self.path, "rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
                reader = csv.reader(text, strict=True)
                for cells in reader:
                    if cells:
                        self.position = raw.tell()
                        yield line, cells
                    line = reader.line_num + 1
        except OSError as error:
            raise Unreadable(f"{self.path}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise Unreadable(f"{self.path}: not UTF-8 text, at or after line {line}. Save it as UTF-8.") from None
        except csv.Error as error:
            raise Unreadable(f"{self.path}: line {line} is not CSV: {error}.") from None

    def rows(self, now):
        """Each record after the header as a Row; `position` tells how many bytes of `size` are read."""
        records = self.records()
        next(records)
        row = None
        for line, cells in records:
            row = self._read(line, cells, now)
            self.complete(row)
            yield row
        if row is None:
            raise Unreadable(f"{self.path}: a header and no rows.")

    def _checked_header(self):
        with closing(self.records()) as records:
            _, header = next(records, (0, None))
        if header is None:
            raise Unreadable(f"{self.path}: the file is empty.")
        unknown = [name for name in header if name not in self.columns and name != _ERROR]
        missing = [name for name, column in self.columns.items() if name not in header and not column.optional]
        twice = sorted({name for name in header if header.count(name) > 1} - set(unknown))
        found = [
            f"{what} {', '.join(name[:40] or '(empty)' for name in names[:20])}"
            for what, names in (("unknown columns:", unknown), ("missing columns:", missing), ("twice:", twice))
            if names
        ]
        if found:
            raise Unreadable(f"{self.path}: {'; '.join(found)}.")
        return header

    def _read(self, line, cells, now):
        row = Row(line)
        if len(cells) != len(self.header):
            row.faults.append(("line", f"Has {len(cells)} cells; the header has {len(self.header)}."))
            return row
        is_returned = _ERROR in self.header
        for name, column, cell in zip(self.header, self._order, cells, strict=True):
            if column is None:
                continue
            cell = plain(cell) if is_returned else cell
            if cell == "":
                row.values[name] = column.empty
                if column.required:
                    row.faults.append((name, "Must not be empty."))
                continue
            try:
                row.values[name] = column.read(cell, row, now)
            except ValueError as error:
                row.faults.append((name, f"{error} Given: {cell if len(cell) <= 40 else cell[:40] + '…'}"))
        return row


def trades_file(path, source):
    """A file of trades. One without an external_id is named by where it stands: `source`:line."""

    def complete(row):
        if not row.values.get("external_id"):
            row.values["external_id"] = f"{source}:{row.line}"
        if not row.faults:
            _check_trade(row)

    return CsvFile(path, TRADE_COLUMNS, complete)


def orders_file(path):
    return CsvFile(path, ORDER_COLUMNS, _fill_quantity)


def _check_trade(row):
    """What no column of a trade can tell alone: the rules of the table's constraints."""
    taken_at, closed_at, result = (row.values[name] for name in ("taken_at", "closed_at", "result"))
    if closed_at is not None and closed_at < taken_at:
        row.faults.append(("closed_at", f"Is before taken_at, {format_instant(taken_at)}."))
    if closed_at is not None and result is None:
        row.faults.append(("result", "A closed trade has a result."))
    if closed_at is None and result is not None:
        row.faults.append(("closed_at", "A trade with a result is closed; say when."))


def _fill_quantity(row):
    """What is filled is filled whole, unless the log says otherwise."""
    values = row.values
    if values.get("filled_quantity") is None:
        is_filled = values.get("filled_at") is not None or values.get("filled_price") is not None
        values["filled_quantity"] = values.get("quantity") if is_filled else None


def write_rejected(file, faults, path):
    """
    Write the bad records of a CsvFile with what is wrong in one more column `error`, safe to open in a spreadsheet.

    `faults` maps a line to its (column, what is wrong) pairs.
    """
    kept = [index for index, name in enumerate(file.header) if name != _ERROR]
    with open(path, "w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow([*(file.header[index] for index in kept), _ERROR])
        for line, cells in file.records():
            if line in faults:
                told = "; ".join(f"{name}: {text}" for name, text in faults[line])
                shown = [cells[index] if index < len(cells) else "" for index in kept] + cells[len(file.header) :]
                writer.writerow([neutralise(cell) for cell in [*shown, told]])
