"""
Money, prices and quantities: 30 digits, 12 of them after the point, exact from the body to the column and back.

SQLite keeps a decimal column as a binary float, which is exact for 15 significant digits and silently wrong
beyond. So there a number that needs more is refused, by name, instead of being changed. PostgreSQL keeps all 30.
"""

import re

from django.core.exceptions import ValidationError
from django.db import connection, models

MAX_DIGITS = 30
DECIMAL_PLACES = 12
SQLITE_DIGITS = 15
PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def format_decimal(value):
    """The one way a decimal is written: no exponent, no trailing zeros after the point, no minus zero."""
    if value is None:
        return None
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def significant_digits(value):
    return len("".join(map(str, value.as_tuple().digits)).strip("0"))


def check_fits(value, vendor=None):
    """
    Refuse a Decimal that the column would not keep exactly.

    :raises ValidationError: with code ``max_decimal_places``, ``max_digits`` or ``precision_not_kept``
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
    if (vendor or connection.vendor) == "sqlite" and significant_digits(value) > SQLITE_DIGITS:
        raise ValidationError(
            f"SQLite keeps {SQLITE_DIGITS} significant digits exactly and this has "
            f"{significant_digits(value)}. Run on PostgreSQL (DATABASE_URL) to keep all {MAX_DIGITS}.",
            code="precision_not_kept",
        )


class ExactDecimalField(models.DecimalField):
    """A DecimalField of the one size, which never rounds silently: what does not fit raises ValidationError."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("max_digits", MAX_DIGITS)
        kwargs.setdefault("decimal_places", DECIMAL_PLACES)
        super().__init__(*args, **kwargs)

    def get_db_prep_save(self, value, connection):
        if value is not None and not hasattr(value, "as_sql"):
            value = self.to_python(value)
            check_fits(value, connection.vendor)
        return super().get_db_prep_save(value, connection)
