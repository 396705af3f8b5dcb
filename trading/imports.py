"""
Reading trades and orders from CSV files: strictly, by batches, every fault named by its line and column.

Knows files and columns, not the database. A batch is read column by column, which takes a fraction of
what it takes cell by cell.
"""

import csv
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain, compress, islice, repeat

from support_platform.exports import neutralise, plain
from support_platform.instants import format_instant, parse_instant

from .import_columns import ORDER_COLUMNS, TRADE_COLUMNS, by_time

BATCH = 5000
# The last column of a file of rejected rows. Mended, such a file can be imported as it is.
_ERROR = "error"


class Unreadable(Exception):
    """The file as a whole cannot be taken: not there, not CSV, or not with these columns."""


@dataclass
class Batch:
    """
    Some lines of a file. The good ones are `lines`, with their `values` column by column; `faults` maps the others to
    their (column, what is wrong) pairs. `rounded` counts shortened fractions by line. `is_named_by_line`: no row has a
    name of its own, so that no two have the same.
    """

    lines: list
    values: dict
    faults: dict = field(default_factory=dict)
    rounded: dict = field(default_factory=dict)
    is_named_by_line: bool = False

    def reject(self, faults):
        """Take out the rows at these positions, each for the pairs it maps to."""
        self.faults |= {self.lines[position]: pairs for position, pairs in faults.items()}
        self.leave_out(faults)

    def leave_out(self, positions):
        if positions:
            kept = [position not in positions for position in range(len(self.lines))]
            self.lines = list(compress(self.lines, kept))
            self.values = {name: list(compress(values, kept)) for name, values in self.values.items()}


class CsvFile:
    """
    A CSV file (UTF-8, with or without BOM, any line ends) whose header names `columns` in any order.

    `complete` is called with each batch, to check and fill in what no single column can.

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
        with self._opened() as text:
            for line, _, cells in self._records(text, 1):
                yield line, cells

    def batches(self, now):
        """The records after the header as one Batch after the other; `position` tells how many bytes are read."""
        batch = None
        for lines, columns, faults in self._chunks():
            batch = self._read(lines, columns, now)
            batch.faults |= faults
            self.complete(batch)
            yield batch
        if batch is None:
            raise Unreadable(f"{self.path}: a header and no rows.")

    @contextmanager
    def _opened(self):
        try:
            with open(self.path, "rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
                yield text
        except OSError as error:
            raise Unreadable(f"{self.path}: {error.strerror}.") from None

    def _records(self, text, line):
        """(line number, number of the line after it, cells) of each record; the first line of `text` is `line`."""
        reader, before = csv.reader(text, strict=True), line
        try:
            for cells in reader:
                after = before + reader.line_num
                if cells:
                    yield line, after, cells
                line = after
        except UnicodeDecodeError:
            raise self._undecodable(line) from None
        except csv.Error as error:
            raise Unreadable(f"{self.path}: line {line} is not CSV: {error}.") from None

    def _undecodable(self, line):
        return Unreadable(f"{self.path}: not UTF-8 text, at or after line {line}. Save it as UTF-8.")

    def _chunks(self):
        """(line numbers, columns of cells, faults of lines that are not among them) for BATCH lines each."""
        with self._opened() as text:
            line = self._first
            deque(islice(text, line - 1), maxlen=0)
            while True:
                taken = []
                try:
                    taken.extend(islice(text, BATCH))
                except UnicodeDecodeError:
                    raise self._undecodable(line + len(taken)) from None
                if not taken:
                    return
                self.position = text.buffer.tell()
                end = line + len(taken)
                if columns := self._split(taken):
                    yield list(range(line, end)), columns, {}
                    line = end
                    continue
                records = []
                # The last of them may go on in lines that are not taken yet.
                for begins, line, cells in self._records(chain(taken, text), line):  # noqa: B020
                    records.append((begins, cells))
                    if line >= end:
                        break
                if records:
                    yield self._columns(records)

    def _split(self, taken):
        """The columns of lines without quotes, each with as many cells as the header; None if they are any others."""
        commas = len(self.header) - 1
        whole = "".join(taken).replace("\r\n", "\n")
        if '"' in whole or "\r" in whole or set(map(str.count, taken, repeat(","))) != {commas}:
            return None
        if len(max(taken, key=len)) > csv.field_size_limit():
            return None
        cells = whole.removesuffix("\n").replace("\n", ",").split(",")
        return [cells[place :: commas + 1] for place in range(commas + 1)]

    def _columns(self, records):
        width, faults = len(self.header), {}
        for line, cells in records:
            if len(cells) != width:
                faults[line] = [("line", f"Has {len(cells)} cells; the header has {width}.")]
        good = [(line, cells) for line, cells in records if line not in faults]
        columns = list(zip(*(cells for _, cells in good), strict=True)) or [()] * width
        return [line for line, _ in good], columns, faults

    def _checked_header(self):
        with self._opened() as text:
            _, self._first, header = next(self._records(text, 1), (0, 0, None))
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

    def _read(self, lines, columns, now):
        batch, faults = Batch(lines, {}, rounded=Counter()), defaultdict(list)
        for name, column, cells in zip(self.header, self._order, columns, strict=True):
            if column is None:
                continue
            if _ERROR in self.header:
                cells = list(map(plain, cells))
            batch.values[name], wrong, rounded = column.read_all(cells, now)
            for position in _places(cells, wrong):
                faults[position].append((name, wrong[cells[position]]))
            batch.rounded.update(lines[position] for position in _places(cells, rounded))
        batch.reject(faults)
        return batch


def _places(cells, among):
    return [position for position, cell in enumerate(cells) if cell in among] if among else ()


def trades_file(path, source):
    """A file of trades. One without an external_id is named by where it stands: `source`:line."""

    def complete(batch):
        batch.is_named_by_line = "external_id" not in batch.values
        given = batch.values.get("external_id") or [None] * len(batch.lines)
        batch.values["external_id"] = [
            name or f"{source}:{line}" for name, line in zip(given, batch.lines, strict=True)
        ]
        batch.reject(_faults_of_trades(batch.values))

    return CsvFile(path, TRADE_COLUMNS, complete)


def orders_file(path):
    return CsvFile(path, ORDER_COLUMNS, _fill_quantities)


def _faults_of_trades(values):
    """What no column of a trade can tell alone: the rules of the table's constraints."""
    faults = {}
    columns = zip(values["taken_at"], values["closed_at"], values["result"], strict=True)
    for position, (taken_at, closed_at, result) in enumerate(columns):
        if closed_at is None:
            if result is not None:
                faults[position] = [("closed_at", "A trade with a result is closed; say when.")]
        elif result is None or by_time(closed_at) < by_time(taken_at):
            told = []
            if parse_instant(closed_at) < parse_instant(taken_at):
                told.append(("closed_at", f"Is before taken_at, {format_instant(parse_instant(taken_at))}."))
            if result is None:
                told.append(("result", "A closed trade has a result."))
            if told:
                faults[position] = told
    return faults


def _fill_quantities(batch):
    """What is filled is filled whole, unless the log says otherwise."""
    values = batch.values
    given = values.get("filled_quantity") or [None] * len(batch.lines)
    columns = zip(given, values["quantity"], values["filled_at"], values["filled_price"], strict=True)
    values["filled_quantity"] = [
        quantity if known is None and (at is not None or price is not None) else known
        for known, quantity, at, price in columns
    ]


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
