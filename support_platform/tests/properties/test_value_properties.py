"""What the ground makes of any text, any bytes and any number: exact, in one spelling, or refused in words."""

import csv
import io
from datetime import UTC
from decimal import Decimal
from ipaddress import ip_address

import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError, ValidationError

from accounts import links, tokens
from support_platform import throttling
from support_platform.decimals import PLAIN, check_fits, format_decimal
from support_platform.exports import csv_lines, neutralise, plain
from support_platform.fields import DecimalField, InstantField, IntegerField, PercentField, TextField
from support_platform.ids import is_id
from support_platform.instants import format_instant, parse_instant, parse_window
from support_platform.parsers import StrictJSONParser
from trading.models import Trade

from .strategies import MANY, any_json, any_text, decimals, instants

FORMULA_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # noqa: RUF001
# Texts about the characters that matter to a spreadsheet.
cells = any_text | st.text(st.sampled_from("'\"=+-@\t\r\n,;0123456789. a\uff1d"), max_size=8)


# --- decimals -------------------------------------------------------------------------------------------
@MANY
@given(value=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_a_decimal_has_one_spelling_and_keeps_its_value(value, tried):
    tried()
    text = format_decimal(value)

    assert PLAIN.fullmatch(text)
    assert Decimal(text) == value
    assert format_decimal(Decimal(text)) == text
    assert not (text.endswith("0") and "." in text)


@MANY
@given(value=decimals)
def test_what_has_30_digits_fits(value, tried):
    tried()
    check_fits(value)


@MANY
@given(value=st.decimals() | st.builds(lambda value, by: value.scaleb(by), decimals, st.integers(-40, 40)))
def test_what_is_said_to_fit_is_written_in_30_digits(value, tried):
    tried()
    try:
        check_fits(value)
    except DjangoValidationError:
        return

    whole, _, fraction = format_decimal(abs(value)).partition(".")
    assert len(whole) <= 18
    assert len(fraction) <= 12


@pytest.mark.django_db
@given(value=decimals)
def test_the_database_keeps_every_digit(value, samples, tried):
    tried()
    rows = Trade.objects.filter(pk=samples["trades"].pk)

    rows.update(result=value)

    assert rows.get().result == value
    assert rows.filter(result=value).exists()


@MANY
@given(value=any_json | any_text | st.from_regex(PLAIN, fullmatch=True) | st.decimals())
@pytest.mark.parametrize(
    "field",
    [DecimalField(), PercentField(), IntegerField(), InstantField(), TextField(max_length=20)],
    ids=lambda field: type(field).__name__,
)
def test_a_field_takes_a_value_exactly_or_refuses_it(field, value, tried):
    tried()
    try:
        taken = field.to_internal_value(value)
    except ValidationError:
        return

    if isinstance(taken, Decimal):
        assert taken == Decimal(value)
        check_fits(taken)
    elif isinstance(field, InstantField):
        assert taken.tzinfo is UTC
    else:
        assert (taken, type(taken)) == (value, type(value))


# --- instants and ids -----------------------------------------------------------------------------------
@MANY
@given(value=instants)
def test_an_instant_keeps_its_microsecond_and_loses_its_zone(value, tried):
    tried()
    text = format_instant(value)

    assert text.endswith("Z")
    assert parse_instant(text) == parse_instant(value.isoformat()) == value


@MANY
@given(text=any_text | st.from_regex(r"[0-9T:Z.+-]{0,40}", fullmatch=True))
def test_any_text_is_an_instant_or_refused(text, tried):
    tried()
    for parse in (parse_instant, parse_window):
        try:
            parse(text)
        except ValueError:
            continue
    assert not is_id(text) or str(int(text)) == text


# --- bodies ---------------------------------------------------------------------------------------------
@MANY
@given(raw=st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_one_json_object_or_refused(raw, tried):
    tried()
    try:
        data = StrictJSONParser().parse(io.BytesIO(raw), "application/json")
    except ParseError:
        return

    assert isinstance(data, dict)
    str(data).encode()


# --- credentials ----------------------------------------------------------------------------------------
@MANY
@given(text=any_text | st.from_regex(r"[A-Za-z0-9_-]{1,30}(:[A-Za-z0-9_-]{1,30}){0,3}", fullmatch=True))
def test_no_text_is_a_link_or_a_token(text, tried):
    tried()
    for purpose in (links.RESET, links.EMAIL):
        assert not links.is_genuine(text, purpose)
    for kind in tokens.TYPES:
        assert tokens.read(text, kind=kind) is None
        assert tokens.read(text.encode("utf-8", "surrogatepass"), kind=kind) is None


@MANY
@given(
    forwarded=st.text(st.characters(max_codepoint=255)) | st.lists(st.ip_addresses().map(str)).map(", ".join),
    hops=st.integers(0, 3),
)
def test_an_address_is_an_address_whatever_is_claimed(forwarded, hops, tried):
    tried()
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.7", headers={"X-Forwarded-For": forwarded})

    with override_settings(TRUSTED_PROXY_HOPS=hops):
        address, key = throttling.client_address(request), throttling.address_key(request)

    assert str(ip_address(address)) == address
    assert hops or address == "192.0.2.7"
    assert key


# --- CSV ------------------------------------------------------------------------------------------------
@MANY
@given(text=cells)
def test_no_cell_begins_a_formula_and_each_comes_back(text, tried):
    tried()
    cell = neutralise(text)

    assert cell[:1] not in FORMULA_STARTS or cell == "" or PLAIN.fullmatch(cell)
    assert plain(cell) == text
    assert cell == text or cell == f"'{text}"


@MANY
@given(rows=st.lists(st.lists(cells, min_size=2, max_size=2)))
def test_a_table_reads_back_cell_by_cell(rows, tried):
    tried()
    lines = "".join(csv_lines(["a", "b"], rows))

    read = list(csv.reader(io.StringIO(lines, newline="")))

    assert read == [["a", "b"], *([neutralise(text) for text in row] for row in rows)]
