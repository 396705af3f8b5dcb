"""
Money, prices and quantities: 30 digits, 12 of them after the point, exact from the body to the column and back.

PostgreSQL keeps them as numeric. SQLite has no exact decimal: a decimal column of it is a binary float, silently wrong
beyond 15 significant digits. So there a number is kept as its text, which is exact, and compared as a number.
"""

import re
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import lookups

MAX_DIGITS = 30
DECIMAL_PLACES = 12
PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def format_decimal(value):
    """The one way a decimal is written: no exponent, no trailing zeros after the point, no minus zero."""
    if value is None:
        return None
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def check_fits(value):
    """
    Refuse a Decimal that the column would not keep exactly.

    :raises ValidationError: with code ``max_decimal_places`` or ``max_digits``
    """
    if not value.is_finite():
        raise ValidationError("Must be a finite number.", code="invalid")
    if abs(value.adjusted()) > 2 * MAX_DIGITS and value:
        raise ValidationError(f"May have {MAX_DIGITS} digits.", code="max_digits")
    whole, _, fraction = format_decimal(value).lstrip("-").partition(".")
    if len(fraction) > DECIMAL_PLACES:
        raise ValidationError(f"May have {DECIMAL_PLACES} decimal places.", code="max_decimal_places")
    if len(whole) > MAX_DIGITS - DECIMAL_PLACES:
        raise ValidationError(f"May have {MAX_DIGITS - DECIMAL_PLACES} digits before the point.", code="max_digits")


class ExactDecimalField(models.DecimalField):
    """
    A DecimalField of the one size, which never rounds silently: what does not fit raises ValidationError.

    On SQLite, ordering by such a column and summing it in SQL are not to be had; add up in Python, on both databases.
    """

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("max_digits", MAX_DIGITS)
        kwargs.setdefault("decimal_places", DECIMAL_PLACES)
        super().__init__(*args, **kwargs)

    def get_internal_type(self):
        return "ExactDecimalField"  # by another name, so that SQLite's conversion from float stays away

    def db_type(self, connection):
        return "text" if connection.vendor == "sqlite" else f"numeric({self.max_digits}, {self.decimal_places})"

    def get_db_prep_value(self, value, connection, prepared=False):
        value = super().get_db_prep_value(value, connection, prepared)
        return format_decimal(value) if connection.vendor == "sqlite" and isinstance(value, Decimal) else value

    def get_db_prep_save(self, value, connection):
        if value is not None and not hasattr(value, "as_sql"):
            value = self.to_python(value)
            check_fits(value)
        return super().get_db_prep_save(value, connection)

    def from_db_value(self, value, expression, connection):
        return Decimal(value) if isinstance(value, str) else value


class _ComparedAsNumber:
    """On SQLite the text is compared as a float: exact against zero, which is what constraints and filters ask."""

    def process_lhs(self, compiler, connection, lhs=None):
        sql, params = super().process_lhs(compiler, connection, lhs)
        return (f"CAST({sql} AS REAL)" if connection.vendor == "sqlite" else sql), params


for _lookup in (lookups.GreaterThan, lookups.GreaterThanOrEqual, lookups.LessThan, lookups.LessThanOrEqual):
    ExactDecimalField.register_lookup(type(_lookup.__name__, (_ComparedAsNumber, _lookup), {}))
