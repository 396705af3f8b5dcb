"""Reads that cost the same however many rows there are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Value

from accounts.tests.factories import TraderFactory
from support_platform import bounded
from support_platform.bounded import CappedCount, few, rows_of_all
from trading.models import Scanner, Trade
from trading.tests.factories import DeploymentFactory, ScannerFactory, TradeFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "shown", "total", "is_cut", "counted"),
    [(0, 0, 0, False, "0"), (2, 2, 2, False, "2"), (3, 2, 3, True, "3"), (6, 2, 5, True, "4+")],
)
def test_few_are_the_first_with_a_capped_count_in_one_statement(
    trader, monkeypatch, django_assert_num_queries, rows, shown, total, is_cut, counted
):
    monkeypatch.setattr(bounded, "COUNTED", 4)
    monkeypatch.setattr(CappedCount.__init__, "__defaults__", (4,))
    made = ScannerFactory.create_batch(rows, user=trader)
    ScannerFactory(user=TraderFactory(broker=trader.broker))

    with django_assert_num_queries(1):
        found = few(Scanner.objects.filter(user=trader.pk).order_by("-created_at", "-id"), 2)

    assert found.rows == made[::-1][:shown]
    assert (found.total, found.is_cut, found.counted) == (total, is_cut, counted)


def trades(symbol):
    return Trade.objects.filter(symbol=symbol).order_by("-taken_at").values_list("taken_at", Value(symbol), "quantity")


def test_rows_of_several_bounded_querysets_come_in_one_statement_with_their_types(trader, django_assert_num_queries):
    deployment = DeploymentFactory(user=trader)
    for number in range(3):
        for symbol in ("A", "B"):
            at, quantity = NOON + timedelta(microseconds=number), Decimal(f"0.{number + 1}00000000001")
            TradeFactory(deployment=deployment, symbol=symbol, taken_at=at, quantity=quantity)

    with django_assert_num_queries(1):
        found = rows_of_all([trades("A")[:2], Trade.objects.none().values_list("pk"), trades("B")[:1]])

    latest = NOON + timedelta(microseconds=2)
    assert sorted(found) == [
        (NOON + timedelta(microseconds=1), "A", Decimal("0.200000000001")),
        (latest, "A", Decimal("0.300000000001")),
        (latest, "B", Decimal("0.300000000001")),
    ]


def test_nothing_to_read_is_no_statement(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert rows_of_all([]) == rows_of_all([Trade.objects.none().values_list("pk")]) == []
