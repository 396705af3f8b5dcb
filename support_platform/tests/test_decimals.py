"""Decimals: exact into the column and back, or refused by name; and one way to write them."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import IntegrityError

from support_platform.decimals import check_fits, format_decimal
from trading.models import Trade
from trading.tests.factories import TradeFactory

DECIMALS = [
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
@pytest.mark.parametrize("value", DECIMALS)
def test_all_thirty_digits_are_kept_on_every_database(value):
    assert format_decimal(kept(value)) == value


@pytest.mark.django_db
def test_a_column_is_compared_as_a_number_not_as_text():
    for value in ("-20", "-3", "-0.000000000001", "0", "0.000000000001", "9", "10", "100.5"):
        TradeFactory(result=Decimal(value))

    def found(**lookup):
        return sorted(Trade.objects.filter(**lookup).values_list("result", flat=True))

    assert found(result__gt=0) == [Decimal("0.000000000001"), 9, 10, Decimal("100.5")]
    assert found(result__gte=9) == [9, 10, Decimal("100.5")]
    assert found(result__lt=Decimal("-0.5")) == [-20, -3]
    assert found(result__lte=-3) == [-20, -3]
    assert found(result=Decimal("10.0")) == [10]
    assert found(result=0) == [0]


@pytest.mark.django_db
@pytest.mark.parametrize("quantity", ["0", "-0.000000000001", "-10"])
def test_constraints_hold_on_the_column(quantity):
    with pytest.raises(IntegrityError), transaction.atomic():
        TradeFactory(quantity=Decimal(quantity))


@pytest.mark.django_db
def test_nothing_is_written_in_two_ways():
    """What compares equal must be found, so the column holds the one form of a number."""
    trade = TradeFactory(result=Decimal("1.50E+1"), fees=0)

    with connection.cursor() as cursor:
        cursor.execute("SELECT result, fees FROM trading_trade WHERE id = %s", [trade.pk])
        assert [format_decimal(Decimal(value)) for value in cursor.fetchone()] == ["15", "0"]
    assert Trade.objects.filter(result=15, fees=Decimal("0.00")).exists()


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


@pytest.mark.parametrize("value", ["0", "0E+50", "0E-50", "1.000000000000000000000", "1E+17", "-0"])
def test_zeros_cost_no_digits(value):
    check_fits(Decimal(value))


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
