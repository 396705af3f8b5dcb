"""The database refuses what no operation writes, whoever writes it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from trading.models import Deployment, Order, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory, TradeFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def refuses_update(row, **values):
    rows = type(row).objects.filter(pk=row.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "running"},
        {"status": "stopped"},
        {"stopped_at": NOON},
        {"mode": "demo"},
        {"order_type": "stop"},
        {"quantity": Decimal("0")},
        {"quantity": Decimal("-1")},
        {"capital": Decimal("0")},
        {"stop_loss_pct": Decimal("0")},
        {"stop_loss_pct": Decimal("100.000001")},
        {"take_profit_pct": Decimal("-5")},
        {"take_profit_pct": Decimal("101")},
        {"max_open_trades": 0},
        {"max_open_trades": 1001},
    ],
    ids=str,
)
def test_deployment(db, values):
    refuses_update(DeploymentFactory(), **values)


def test_a_stopped_deployment_has_its_instant(db):
    deployment = DeploymentFactory()

    Deployment.objects.filter(pk=deployment.pk).update(status="stopped", stopped_at=NOON)

    refuses_update(deployment, status="active")
    refuses_update(deployment, stopped_at=None)


@pytest.mark.parametrize(
    "values",
    [
        {"side": "buy"},
        {"quantity": Decimal("0")},
        {"quantity": Decimal("-2")},
        {"strike": Decimal("0")},
        {"strike": Decimal("-1")},
        {"taken_at": NOON.replace(hour=14)},
        {"closed_at": NOON.replace(hour=11)},
        {"closed_at": None},
        {"result": None},
    ],
    ids=str,
)
def test_trade(db, values):
    trade = TradeFactory(taken_at=NOON, closed_at=NOON.replace(hour=13))

    refuses_update(trade, **values)


def test_an_open_trade_has_no_result(db):
    refuses_update(TradeFactory(closed_at=None, result=None, exit_price=None), result=Decimal("1"))


def test_bulk_create_is_no_way_around(db):
    deployment = DeploymentFactory()
    good = TradeFactory.build(deployment=deployment, user=deployment.user, strategy=deployment.strategy)
    bad = TradeFactory.build(
        deployment=deployment, user=deployment.user, strategy=deployment.strategy, quantity=Decimal("-1")
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        Trade.objects.bulk_create([good, bad])

    assert not Trade.objects.exists()


def test_an_external_id_is_one_trades_of_a_trader(db, trader):
    deployment = DeploymentFactory(user=trader)
    TradeFactory(deployment=deployment, external_id="log.csv:1")
    TradeFactory(external_id="log.csv:1")  # another trader's
    TradeFactory.create_batch(2, deployment=deployment, external_id=None)

    with pytest.raises(IntegrityError), transaction.atomic():
        TradeFactory(deployment=deployment, external_id="log.csv:1")


def test_a_deleted_strategy_is_unpublished(db):
    strategy = StrategyFactory(published_at=NOON)

    refuses_update(strategy, deleted_at=NOON)
    Strategy.objects.filter(pk=strategy.pk).update(deleted_at=NOON, published_at=None)
    refuses_update(strategy, published_at=NOON)


@pytest.mark.parametrize(
    "values",
    [{"side": "long"}, {"order_type": "stop"}, {"quantity": Decimal("0")}, {"filled_quantity": Decimal("-1")}],
    ids=str,
)
def test_order(db, values):
    refuses_update(OrderFactory(), **values)


def test_an_external_id_is_one_orders_of_a_trader(db, trader):
    OrderFactory(user=trader, external_id="A")
    OrderFactory(external_id="A")

    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.bulk_create([OrderFactory.build(user=trader, external_id="A")])


def test_what_others_stand_on_cannot_be_removed(db):
    trade = TradeFactory()

    for row in (trade.deployment, trade.strategy, trade.user):
        with pytest.raises(IntegrityError), transaction.atomic():
            type(row).objects.filter(pk=row.pk)._raw_delete("default")
            transaction.get_connection().check_constraints()


@pytest.mark.parametrize("name", ["user", "strategy", "deployment"])
def test_a_trade_is_its_deployments(db, name):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has a foreign key for each of them")
    trade, other = TradeFactory(), TradeFactory()
    TradeFactory(deployment=trade.deployment)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    refuses_update(trade, **{name: getattr(other, name)})
    Trade.objects.filter(pk=trade.pk).update(user=other.user, strategy=other.strategy, deployment=other.deployment)


def test_what_a_trade_refers_to_stays(db):
    trade = TradeFactory()

    for table, pk in (("trading_deployment", trade.deployment_id), ("trading_strategy", trade.strategy_id)):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id = %s", [pk])  # noqa: S608
            connection.check_constraints()
