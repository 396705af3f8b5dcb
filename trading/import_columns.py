"""
The columns of imported files: what a cell must be, and the value it stands for.

A value is text that the database takes as it stands: a number without an exponent, an instant in UTC with its Z. In a
file, numbers may be written as logs of programs have them, with an exponent or with the noise of binary fractions; what
is longer than 12 places is rounded half-even and counted.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from django.core.exceptions import ValidationError

from support_platform.decimals import DECIMAL_PLACES, MAX_DIGITS, check_fits, format_decimal
from support_platform.instants import format_instant, parse_instant
from support_platform.text import check_text

from .models import Order, Strategy, Trade

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_CELL = 100
_PLACE = Decimal(1).scaleb(-DECIMAL_PLACES)
_ROUNDING = Context(prec=4 * MAX_DIGITS, rounding=ROUND_HALF_EVEN)
# Most cells are of these forms, which keep every rule as they stand. Only the form is looked at, every digit a 0.
_PLAIN_NUMBER = re.compile(rf"-?0{{1,{MAX_DIGITS - DECIMAL_PLACES}}}(\.0{{1,{DECIMAL_PLACES}}})?")
_PLAIN_INSTANT = re.compile(r"0000-00-00T00:00:00(\.0{1,6})?Z")
_FORM = str.maketrans("123456789", "000000000")


@dataclass(frozen=True)
class Column:
    """`required`: never empty. `optional`: the whole column may be missing. `empty`: what an empty cell means."""

    required: bool = False
    optional: bool = False
    empty: str | None = None

    def read(self, cell, now, rounded):
        """
        The value of a cell; one that is not kept to its last digit is put among `rounded`.

        :raises ValueError: saying what the cell must be
        """
        raise NotImplementedError

    def read_plain(self, cells, now):
        """The values of cells that are all plain and good, in their order; or None, and each is to be read alone."""

    def read_all(self, cells, now):
        """(values, {cell: what is wrong with it}, the cells that were rounded); equal cells are read once."""
        distinct = set(cells)
        values, wrong, rounded = {}, {}, set()
        if "" in distinct:
            distinct.discard("")
            values[""] = self.empty
            if self.required:
                wrong[""] = "Must not be empty."
        distinct = list(distinct)
        plain = self.read_plain(distinct, now) if distinct else []
        if plain is not None:
            if plain is distinct and not values:
                return list(cells), wrong, rounded
            values.update(zip(distinct, plain, strict=True))
        else:
            for cell in distinct:
                try:
                    values[cell] = self.read(cell, now, rounded)
                except ValueError as error:
                    wrong[cell] = f"{error} Given: {cell if len(cell) <= 40 else cell[:40] + '…'}"
        return list(map(values.get, cells)), wrong, rounded


@dataclass(frozen=True)
class TextColumn(Column):
    max_length: int = 200

    def read(self, cell, now, rounded):
        return check_text(cell, self.max_length)

    def read_plain(self, cells, now):
        text = "".join(cells)
        is_plain = text.isascii() and text.isprintable() and all(map(str.strip, cells))
        return cells if is_plain and len(max(cells, key=len)) <= self.max_length else None


@dataclass(frozen=True)
class ChoiceColumn(Column):
    choices: tuple = ()

    def read(self, cell, now, rounded):
        if cell not in self.choices:
            raise ValueError(f"Must be one of: {', '.join(self.choices)}.")
        return cell


@dataclass(frozen=True)
class InstantColumn(Column):
    def read(self, cell, now, rounded):
        instant = parse_instant(cell)
        if instant > now:
            raise ValueError(f"Must not be in the future; it is {format_instant(now)}.")
        return format_instant(instant)

    def read_plain(self, cells, now):
        if not _have_form(cells, _PLAIN_INSTANT):
            return None
        try:
            latest = max(map(datetime.fromisoformat, cells))
        except ValueError:
            return None
        return cells if latest <= now else None


@dataclass(frozen=True)
class NumberColumn(Column):
    """`above`, `least`: bounds, the first exclusive, the second inclusive."""

    above: int | None = None
    least: int | None = None

    def read(self, cell, now, rounded):
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
        if self.above is not None and value <= self.above:
            raise ValueError(f"Must be greater than {self.above}.")
        if self.least is not None and value < self.least:
            raise ValueError(f"Must be at least {self.least}.")
        if value != exact:
            rounded.add(cell)
        return format_decimal(value)

    def read_plain(self, cells, now):
        if not _have_form(cells, _PLAIN_NUMBER):
            return None
        if self.above is not None and min(map(Decimal, cells)) <= self.above:
            return None
        if self.least is not None and min(map(Decimal, cells)) < self.least:
            return None
        return cells


def by_time(instant):
    """Sorts the values of instants by time; among equal ones those with more zeros come later."""
    return instant[:-1]


def _have_form(cells, form):
    """Whether all have this form. There are few forms, however many cells."""
    forms = "\n".join(cells).translate(_FORM).split("\n")
    # A cell may hold line ends of its own.
    return len(forms) == len(cells) and all(map(form.fullmatch, set(forms)))


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
    "fees": NumberColumn(empty="0"),
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
