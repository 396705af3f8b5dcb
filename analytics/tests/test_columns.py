"""Columns as they are read, against the rows: amounts of any size, and what is unknown."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from analytics import columns
from analytics.blocks import microseconds, units
from analytics.latency_blocks import UNKNOWN
from analytics.models import PerformanceBlock
from trading.models import Order, Trade
from trading.tests.factories import DeploymentFactory

from .rolled import START, close, send

pytestmark = pytest.mark.django_db
AMOUNTS = ["0", "-0.000001", "3.25", "9223372.03686", "-9223372.03686", "123456789012345", "-12345678901234"]


@pytest.fixture
def deployment():
    return DeploymentFactory()


@pytest.mark.parametrize("amounts", [AMOUNTS, []], ids=["some", "none"])
def test_amounts_of_any_size_are_exact(deployment, amounts):
    for hours, amount in enumerate(amounts):
        close(deployment, hours, amount, fees=abs(Decimal(amount)))
    scope, rows = {"deployment": deployment.pk}, list(Trade.objects.order_by("closed_at"))
    found = columns.closed_trades(scope, None, None)
    assert list(found.results) == [units(row.result) for row in rows]
    assert list(found.fees) == [units(row.fees) for row in rows]
    assert list(found.closed) == [microseconds(row.closed_at) for row in rows]
    assert list(found.taken) == [microseconds(row.taken_at) for row in rows]
    assert columns.results(deployment.pk) == list(zip(found.closed, found.results, strict=True))


def test_an_unknown_price_is_none(deployment):
    for hours, amount in enumerate(AMOUNTS):
        send(deployment, hours, expected_price=Decimal(amount), filled_price=None, filled_quantity=None)
        send(deployment, hours, expected_price=None, filled_price=Decimal(amount), filled_at=None)
    rows = list(Order.objects.order_by("placed_at"))
    found = columns.order_prices({"deployment": deployment.pk}, None, None)
    told = set(zip(found.order, found.expected_price, found.filled_price, found.filled_quantity, strict=True))
    assert told == {(row.pk, *(price if price is None else units(price) for price in prices(row))) for row in rows}
    assert dict(zip(found.order, found.is_filled, strict=True)) == {row.pk: row.filled_at is not None for row in rows}


def prices(order):
    return order.expected_price, order.filled_price, order.filled_quantity


def test_differences_of_stamps_are_those_of_the_rows(deployment):
    send(deployment, 3, signal_at=START, filled_at=START + timedelta(hours=4, microseconds=7))
    send(deployment, 4, acknowledged_at=None)
    first, second = Order.objects.order_by("placed_at")
    found = columns.order_stamps({"deployment": deployment.pk}, None, None)
    assert list(found.placed_at) == [microseconds(first.placed_at), microseconds(second.placed_at)]
    assert found.filled_at[0] - found.signal_at[0] == (first.filled_at - first.signal_at) // timedelta(microseconds=1)
    assert found.acknowledged_at[1] == found.signal_at[1] == UNKNOWN


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite compresses nothing")
def test_the_steps_of_blocks_are_kept_as_they_are():
    table = PerformanceBlock._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'steps'", [table]
        )
        assert cursor.fetchone()[0] in ("e", b"e")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans are PostgreSQL's")
def test_a_read_is_planned_for_its_values(db):
    plan = columns._found("EXPLAIN SELECT id FROM trading_trade WHERE user_id = %s AND symbol = %s", (7, "100%"))

    told = "\n".join(line for (line,) in plan)
    assert "user_id = 7" in told and "100%" in told
