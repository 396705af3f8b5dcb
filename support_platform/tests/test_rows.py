"""Lists say what their serializers say, field by field; what cannot be read in SQL is refused by name."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform import rows
from support_platform.audit import Actor, record
from support_platform.decimals import format_decimal
from support_platform.fields import DecimalField, InstantField
from support_platform.instants import format_instant
from support_platform.pagination import KeysetPagination
from support_platform.tests.calls import all_calls
from trading.models import Trade
from trading.serializers import TradeSerializer
from trading.tests.factories import DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory

# Of one table; a trader's timeline merges several, and has no model.
LISTS = [pytest.param(c, id=str(c)) for c in all_calls() if c.is_paged and hasattr(c.serializer_class, "Meta")]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INSTANTS = [
    NOON,
    NOON + timedelta(microseconds=1),
    NOON + timedelta(microseconds=500_000),
    NOON + timedelta(microseconds=999_999),
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 120, tzinfo=UTC),
]
DECIMALS = [
    "3",
    "12.5",
    "100",
    "1000000",
    "0.000000000001",
    "0.1",
    "123456789012345678.123456789012",
    "999999999999999999.999999999999",
]
TEXT = "Ünï ☃ 𝒳 \"quoted\" \\ back\u2028line </script> 'it''s'"


@pytest.fixture
def trade(trader):
    """One of each resource with everything in it, and others with nothing that may be missing; gives one trade."""
    TraderFactory(
        broker=trader.broker,
        first_name=TEXT,
        last_name="",
        phone="+4915112345678",
        pending_email="new@demo.example",
        last_login=INSTANTS[1],
        created_at=INSTANTS[2],
        is_active=False,
    )
    strategy = StrategyFactory(user=trader, name=TEXT, symbol="", timeframe="", definition={}, published_at=INSTANTS[3])
    StrategyFactory(
        user=trader,
        created_at=INSTANTS[1],
        definition={"b": [1, 1.5, 1e-7, None, True, {"ü": TEXT}], "a": 12345678901234567890},
    )
    for status in ("active", "active", "paused"):
        DeploymentFactory(user=trader, strategy=strategy, status=status, quantity=Decimal(DECIMALS[6]))
    bare = DeploymentFactory(user=trader, strategy=strategy, symbol="", quantity=None, capital=None, mode="paper")
    DeploymentFactory(
        user=trader,
        strategy=strategy,
        status="stopped",
        stopped_at=INSTANTS[4],
        started_at=INSTANTS[5],
        stop_loss_pct=Decimal("0.000001"),
        take_profit_pct=Decimal("100"),
        order_type="limit",
    )
    TradeFactory(deployment=bare, closed_at=None, exit_price=None, result=None)
    for number, (text, sign) in enumerate((text, sign) for text in DECIMALS for sign in ("", "-")):
        value, at = Decimal(sign + text), INSTANTS[number % len(INSTANTS)]
        last = TradeFactory(
            deployment=bare,
            symbol=TEXT,
            side="short",
            quantity=value.copy_abs(),
            entry_price=value,
            exit_price=value,
            strike=value.copy_abs(),
            stop_loss=value,
            target=value,
            fees=value,
            result=value,
            taken_at=at,
            closed_at=at,
            is_corrected=bool(number % 2),
            external_id=f"{TEXT}:{number}",
        )
    TradeFactory(deployment=bare, result=Decimal("0.000"), fees=Decimal("0"))
    ScannerFactory(user=trader, criteria={"more than 64 bits": 10**30})
    ScannerFactory(user=trader, name=TEXT, symbol="", criteria={"rsi": {"below": 30.5}})
    changes = {"result": ("1", None), "closed_at": (None, "2026-03-01T12:00:00Z"), "ü": ([1, {"x": TEXT}], {})}
    for ip in (None, "203.0.113.7", "2001:db8::7"):
        with transaction.atomic():
            by = Actor("a@desk.example", reason=TEXT, request_id="r-1", source="api", ip=ip)
            record("trade.corrected", last, by=by, owner=trader, changes=changes)
    return last


@pytest.fixture
def read(monkeypatch):
    """(who read a page, the rows that were read), for each page."""
    seen, read = [], rows.Reader.read

    def seen_reading(reader, *args, **options):
        found = read(reader, *args, **options)
        seen.append((reader, found))
        return found

    monkeypatch.setattr(rows.Reader, "read", seen_reading)
    return seen


@pytest.mark.parametrize("call", LISTS)
def test_a_list_says_what_its_serializer_says(superuser, samples, trade, read, call):
    answer = superuser.get(call.address({**samples, "trades": trade}), page_size=1000)

    assert answer.status_code == 200, answer.content
    ((reader, found),) = read
    assert found
    visible = call.view().rows(User.objects.get(is_superuser=True)) if call.is_list else reader.model.objects.all()
    instances = visible.in_bulk([row["id"] for row in found])
    expected = reader.serializer_class([instances[row["id"]] for row in found], many=True).data
    for row, expected_row in zip(found, expected, strict=True):
        assert list(row) == list(expected_row)
        for name, value in expected_row.items():
            assert (type(row[name]), row[name]) == (type(value), value), name
    assert answer.json()["results"] == json.loads(JSONRenderer().render(expected))
    assert answer.content.isascii() or "\u2028" not in answer.content.decode()


@pytest.mark.parametrize("call", LISTS)
def test_a_list_has_what_its_cursors_are_made_of(call):
    names = rows.reader_of(call.serializer_class).names
    assert {"id", *(ordering.lstrip("-") for ordering in call.orderings)} <= set(names)


@pytest.mark.parametrize("instant", INSTANTS)
def test_an_instant_is_written_as_everywhere(trader, instant):
    User.objects.filter(pk=trader.pk).update(last_login=instant)

    text = User.objects.filter(pk=trader.pk).values_list(rows.InstantText("last_login"), flat=True).get()

    assert rows.instant_of_text(text) == format_instant(instant)


@pytest.mark.parametrize("text", [sign + text for text in DECIMALS for sign in ("", "-")] + ["0", "-0.000"])
def test_a_decimal_is_written_as_everywhere(trader, text):
    trade = TradeFactory(deployment=DeploymentFactory(user=trader), fees=Decimal(text))

    written = Trade.objects.filter(pk=trade.pk).values_list(rows.DecimalText("fees"), flat=True).get()

    assert written == format_decimal(Decimal(text))


class TwiceField(serializers.Field):
    def to_representation(self, value):
        return value * 2


def serializer_of(**fields):
    meta = type("Meta", (), {"model": Trade, "fields": ["id", *fields]})
    return type("Some", (serializers.ModelSerializer,), {**fields, "Meta": meta})


def test_a_field_of_another_kind_converts_by_itself(trade):
    read = rows.Reader(serializer_of(version=TwiceField()))
    assert read(Trade.objects.filter(pk=trade.pk)) == [{"id": trade.pk, "version": 2}]


def test_a_field_of_another_name_reads_its_source(trade):
    read = rows.Reader(serializer_of(at=InstantField(source="taken_at"), cost=DecimalField(source="fees")))
    (row,) = read(Trade.objects.filter(pk=trade.pk))
    assert row == {"id": trade.pk, "at": format_instant(trade.taken_at), "cost": format_decimal(trade.fees)}


@pytest.mark.parametrize(
    "field",
    [serializers.CharField(source="user.email"), serializers.SerializerMethodField(), serializers.CharField()],
)
def test_a_field_that_is_no_column_is_refused_by_name(field):
    with pytest.raises(LookupError, match="whatever"):
        rows.Reader(serializer_of(whatever=field))


def test_an_annotation_that_is_not_there_is_refused_by_name(trade):
    read = rows.Reader(serializer_of(sent=serializers.IntegerField()))
    with pytest.raises(LookupError, match="sent"):
        read(Trade.objects.all())
    assert read(Trade.objects.filter(pk=trade.pk).annotate(sent=F("version") + 6))[0]["sent"] == 7


def test_a_field_that_only_bodies_have_is_not_in_a_list(trade):
    read = rows.Reader(serializer_of(secret=serializers.CharField(write_only=True)))
    assert read(Trade.objects.filter(pk=trade.pk)) == [{"id": trade.pk}]


def test_reading_leaves_the_queryset_as_it_is(trade):
    queryset = Trade.objects.filter(pk=trade.pk)
    rows.Reader(TradeSerializer)(queryset)
    assert queryset.get() == trade


@pytest.mark.parametrize(("name", "number"), [("user", 2), ("user_email", 3)])
def test_a_list_of_one_trader_takes_few_statements(viewer, trader, trade, name, number):
    """Session, account and rights; the trader, where the rows themselves do not tell; the page."""
    query = {name: trader.pk if name == "user" else trader.email}
    with CaptureQueriesContext(connection) as statements:
        assert viewer.get("trades/", **query).json()["results"]
    assert len(statements) == number


def test_a_total_is_exact_as_far_as_it_is_counted(viewer, trader, trade, monkeypatch):
    there = Trade.objects.count()
    monkeypatch.setattr(KeysetPagination, "max_total", there)
    body = viewer.get("trades/", include_total="true", page_size=1).json()
    assert body["total"] == there
    assert "total_is_capped" not in body

    monkeypatch.setattr(KeysetPagination, "max_total", there - 1)
    body = viewer.get("trades/", include_total="true", page_size=1).json()
    assert (body["total"], body["total_is_capped"]) == (there - 1, True)
    assert "total_is_capped" not in viewer.get("trades/").json()


DETAILS = [pytest.param(c, id=str(c)) for c in all_calls() if c.action == "retrieve"]


@pytest.mark.parametrize("call", DETAILS)
def test_a_single_row_is_what_its_serializer_says(superuser, samples, trade, call):
    samples = {**samples, "trades": trade}

    answer = superuser.get(call.address(samples))

    (sample,) = (row for name, row in samples.items() if call.path.startswith(name))
    instance = call.view().rows(User.objects.get(is_superuser=True)).get(pk=sample.pk)
    expected = call.serializer_class(instance).data
    assert answer.json() == json.loads(JSONRenderer().render(expected))
    assert rows.reader_of(call.serializer_class).of(instance) == expected
    assert answer.get("ETag") == (f'"{instance.version}"' if hasattr(instance, "version") else None)


@pytest.mark.parametrize("call", LISTS)
def test_an_instance_is_told_as_its_serializer_does(samples, trade, call):
    read = rows.reader_of(call.serializer_class)
    visible = call.view().rows(User(is_staff=True, is_superuser=True, is_active=True))
    instances = list(visible if call.is_list else read.model.objects.all())
    assert instances
    for instance in instances:
        told, expected = read.of(instance), call.serializer_class(instance).data
        assert list(told) == list(expected)
        assert json.loads(JSONRenderer().render(told)) == json.loads(JSONRenderer().render(expected))


@pytest.mark.parametrize("call", DETAILS)
def test_a_single_row_takes_two_statements(superuser, samples, call):
    """Session, account and rights; and the row."""
    with CaptureQueriesContext(connection) as statements:
        assert superuser.get(call.address(samples)).status_code == 200
    assert len(statements) == 2
