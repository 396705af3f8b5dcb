"""Latency and slippage of many orders from kept blocks: as of the raw rows, whatever happened to these."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from analytics.models import LatencyBlock, Touch
from analytics.queries import Span
from analytics.serializers import SlippageSerializer
from support_platform.tests.commands import run
from trading.models import Order

from .rolled import START, assert_latency, assert_slippage, send, sql
from .shape import assert_shape

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_blocks")]


def test_many_orders_are_kept_in_blocks_and_few_have_exact_percentiles(viewer, deployment):
    orders = [send(deployment, hours) for hours in range(60)]

    answer = viewer.get("analytics/latency/", deployment=deployment.pk).json()

    figures = answer["stages"]["acknowledgement"]
    assert (answer["count"], answer["method"]) == (60, "log-bucket, <= 1 %")
    assert (figures["min"], figures["mean"], figures["max"]) == (1, 30.5, 60)
    assert figures["p50"] == pytest.approx(30.5, rel=0.01)
    assert [row["order"] for row in answer["records"][:2]] == [orders[-1].pk, orders[-2].pk]
    assert list(LatencyBlock.objects.values_list("level", "size").order_by("level", "last")) == [
        *[(0, 8)] * 7,
        (0, 4),
        *[(1, 24)] * 2,
    ]
    since = {"since": "2026-03-04T00:00:00Z"}
    answer = viewer.get("analytics/latency/", deployment=deployment.pk, **since).json()
    assert (answer["count"], answer["method"], answer["stages"]["acknowledgement"]["p50"]) == (12, "linear", 54.5)


def test_orders_that_change_anyhow_are_in_the_next_answer(deployment):
    scope = {"deployment": deployment.pk}
    orders = [send(deployment, hours) for hours in range(90)]
    assert_latency(scope)
    spans = [Span(since=START + timedelta(hours=h), until=START + timedelta(hours=h + 40)) for h in (-9, 0, 7, 33, 60)]

    for change in (
        lambda: send(deployment, 200),
        lambda: send(deployment, -3, acknowledged_at=None),
        lambda: send(deployment, 30.5),
        lambda: send(deployment, 50, sent_at=None, acknowledged_at=None),
        lambda: sql("UPDATE trading_order SET acknowledged_at = sent_at WHERE id = %s", orders[40].pk),
        lambda: sql("UPDATE trading_order SET sent_at = NULL WHERE id = %s", orders[41].pk),
        lambda: sql("DELETE FROM trading_order WHERE id = %s", orders[7].pk),
        lambda: Order.objects.filter(pk__in=[order.pk for order in orders[10:40]]).update(deployment=None),
    ):
        change()
        assert_latency(scope, Span(), *spans)
    assert not Touch.objects.filter(kind="latency", scope="deployment", low__lt=orders[80].sent_at).exists()


def test_the_slippage_of_many_orders_comes_from_blocks(viewer, deployment):
    prices = {"expected_price": Decimal(100), "filled_quantity": Decimal(2)}
    orders = [send(deployment, hours, filled_price=100 + Decimal(hours) / 100, **prices) for hours in range(60)]
    send(deployment, 3, sent_at=None, acknowledged_at=None, filled_price=Decimal(90), **prices)
    send(deployment, 9)

    answer = viewer.get("analytics/slippage/", deployment=deployment.pk).json()

    assert (answer["count"], answer["method"], answer["excluded"]["not_filled"]) == (61, "log-bucket, <= 1 %", 1)
    assert (answer["best_bps"], answer["worst_bps"], answer["total_cost"]) == (-1000, 59, "15.4")
    assert answer["p50_bps"] == pytest.approx(29, rel=0.01)
    assert answer["worst"][0] == {"order": orders[-1].pk, "bps": 59, "cost": "1.18"}
    assert_shape(answer, SlippageSerializer())
    answer = viewer.get("analytics/slippage/", deployment=deployment.pk, since="2026-03-04T00:00:00Z").json()
    assert (answer["count"], answer["method"], answer["excluded"]["no_instant"]) == (12, "linear", 1)


def test_orders_whose_prices_change_anyhow_are_in_the_next_answer(deployment):
    scope = {"deployment": deployment.pk}
    prices = {"expected_price": Decimal(100), "filled_price": Decimal(101), "filled_quantity": Decimal(2)}
    orders = [send(deployment, hours, **prices) for hours in range(90)]
    assert_slippage(scope)
    spans = [Span(since=START + timedelta(hours=h), until=START + timedelta(hours=h + 40)) for h in (-9, 0, 7, 33, 60)]

    for change in (
        lambda: send(deployment, -3, **prices),
        lambda: send(deployment, 30.5, **prices | {"side": "sell"}),
        lambda: send(deployment, 50, **prices | {"sent_at": None, "acknowledged_at": None}),
        lambda: sql("UPDATE trading_order SET filled_price = '7' WHERE id = %s", orders[40].pk),
        lambda: sql("UPDATE trading_order SET symbol = 'X' WHERE id = %s", orders[41].pk),
        lambda: sql("UPDATE trading_order SET arrival_price = '100.5' WHERE id = %s", orders[42].pk),
        lambda: sql("UPDATE trading_order SET filled_price = NULL WHERE id = %s", orders[43].pk),
        lambda: Order.objects.filter(pk=orders[43].pk).update(filled_at=orders[43].sent_at),
        lambda: sql("DELETE FROM trading_order WHERE id = %s", orders[7].pk),
    ):
        change()
        assert_slippage(scope, Span(), *spans)


def test_verify_finds_a_latency_block_that_differs(deployment):
    orders = [send(deployment, hours) for hours in range(90)]
    assert_latency({"deployment": deployment.pk})
    sql("UPDATE trading_order SET acknowledged_at = sent_at WHERE id = %s", orders[40].pk)
    Touch.objects.all().delete()

    outcome = StringIO()
    with pytest.raises(CommandError, match="^1 block differs"):
        call_command("rebuild_rollups", "--verify", "--json", stdout=outcome)

    [difference] = json.loads(outcome.getvalue())["differences"]
    assert (difference["kind"], difference["figures"]) == ("latency", ["acknowledgement"])
    assert run("rebuild_rollups") == {"rollups": 1, "blocks": 12 + 3}
    assert run("rebuild_rollups", "--verify")["differences"] == []
