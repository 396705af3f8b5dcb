"""Decimals: exact into the column and back, or refused by name; and one way to write them."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from support_platform.decimals import check_fits, format_decimal, significant_digits
from trading.models import Trade
from trading.tests.factories import TradeFactory

only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="what SQLite cannot keep")
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL keeps all 30 digits")

FIFTEEN_DIGITS = [
    "123456789012345",
    "-123456789012345",
    "999999999999999",
    "0.999999999999",
    "0.000000000001",
    "-0.000000000001",
    "123.456789012345",
    "12345.6789012345",
    "100000000000000000",
    "999999999999999000",
    "0.1",
    "0.3",
    "1.1",
    "2.675",
    "4503599627370.49",
    "0",
]
BEYOND = [
    "1234567890123456",
    "9007199254740993",
    "1234.567890123456",
    "123456789012345678.123456789012",
    "-999999999999999999.999999999999",
    "999999999999999999",
    "1000000000000000.1",
]


def kept(value):
    pk = TradeFactory(strike=None, result=Decimal(value)).pk
    return Trade.objects.get(pk=pk).result


@pytest.mark.django_db
@pytest.mark.parametrize("value", FIFTEEN_DIGITS)
def test_fifteen_digits_are_kept_on_every_database(value):
    assert format_decimal(kept(value)) == value


@only_sqlite
@pytest.mark.django_db
@pytest.mark.parametrize("value", BEYOND)
def test_sqlite_refuses_what_it_would_change(value):
    with (
        pytest.raises(ValidationError, match="SQLite keeps 15 significant digits.*PostgreSQL") as refused,
        transaction.atomic(),
    ):
        kept(value)

    assert refused.value.code == "precision_not_kept"
    assert not Trade.objects.exists()


@only_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("value", BEYOND)
def test_postgresql_keeps_all_thirty_digits(value):
    assert format_decimal(kept(value)) == value


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("0.1234567890123", "max_decimal_places"),
        ("1e-13", "max_decimal_places"),
        ("1e-999999", "max_digits"),
        ("1e18", "max_digits"),
        ("1234567890123456789", "max_digits"),
        ("1e999999", "max_digits"),
        ("NaN", "invalid"),
        ("sNaN", "invalid"),
        ("Infinity", "invalid"),
        ("-Infinity", "invalid"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_what_fits_no_column_is_refused_and_never_rounded(value, code, as_text):
    trade = TradeFactory()
    trade.result = value if as_text else Decimal(value)

    with pytest.raises(ValidationError) as refused, transaction.atomic():
        trade.save()

    assert refused.value.code == code
    trade.refresh_from_db()
    assert trade.result == Decimal("12.5")


@pytest.mark.django_db
def test_an_update_of_many_rows_is_checked_too():
    trade = TradeFactory()

    with pytest.raises(ValidationError), transaction.atomic():
        Trade.objects.update(result=Decimal("0.1234567890123"))

    trade.refresh_from_db()
    assert trade.result == Decimal("12.5")


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
@pytest.mark.parametrize("value", ["0", "0E+50", "0E-50", "1.000000000000000000000", "1E+17", "-0"])
def test_zeros_cost_no_digits(vendor, value):
    check_fits(Decimal(value), vendor)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.5", "12.5"),
        ("12.50", "12.5"),
        ("3.000000000000", "3"),
        ("-880.03", "-880.03"),
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("-0.000", "0"),
        ("0E+3", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("1E-12", "0.000000000001"),
        ("-1.20E-7", "-0.00000012"),
        ("123456789012345678.123456789012", "123456789012345678.123456789012"),
    ],
)
def test_format_decimal(value, text):
    assert format_decimal(Decimal(value)) == text


def test_no_value_is_no_text():
    assert format_decimal(None) is None


@pytest.mark.parametrize(
    ("value", "digits"), [("0", 0), ("1000", 1), ("0.001", 1), ("1.010", 3), ("-12.5", 3), ("1E+9", 1), ("100.001", 6)]
)
def test_significant_digits(value, digits):
    assert significant_digits(Decimal(value)) == digits
