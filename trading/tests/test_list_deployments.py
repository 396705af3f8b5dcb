"""API: list all deployments."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from trading.tests.factories import DeploymentFactory, StrategyFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def test_shows_every_field_newest_first(viewer, trader):
    DeploymentFactory(user=trader, started_at=NOON, symbol="", quantity=None, capital=None)
    deployment = DeploymentFactory(
        user=trader,
        status="stopped",
        mode="paper",
        quantity=Decimal("0.000000000001"),
        stop_loss_pct=Decimal("2.5"),
        take_profit_pct=Decimal("100"),
        max_open_trades=3,
        order_type="limit",
        capital=Decimal("12500.50"),
        started_at=NOON + timedelta(hours=1),
        stopped_at=NOON + timedelta(hours=2, microseconds=1),
    )

    newest, older = viewer.get("deployments/").json()["results"]

    assert older["symbol"] is older["quantity"] is older["capital"] is older["stop_loss_pct"] is None
    assert older["state"] == older["status"] == "active"
    assert newest == {
        "id": deployment.pk,
        "user": trader.pk,
        "strategy": deployment.strategy_id,
        "status": "stopped",
        "state": "inactive",
        "mode": "paper",
        "symbol": "EUR/USD",
        "quantity": "0.000000000001",
        "stop_loss_pct": 2.5,
        "take_profit_pct": 100.0,
        "max_open_trades": 3,
        "order_type": "limit",
        "capital": "12500.5",
        "started_at": "2025-06-01T13:00:00Z",
        "stopped_at": "2025-06-01T14:00:00.000001Z",
        "version": 1,
    }


def test_one_deployment_has_an_etag(viewer, trader):
    deployment = DeploymentFactory(user=trader, version=4)

    answer = viewer.get(f"deployments/{deployment.pk}/")

    assert answer.json()["id"] == deployment.pk
    assert answer["ETag"] == '"4"'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "active"}, ["active"]),
        ({"status": "paused"}, ["paused"]),
        ({"status": "stopped"}, ["stopped"]),
        ({"state": "active"}, ["active"]),
        ({"state": "inactive"}, ["stopped", "paused"]),
        ({"state": "inactive", "status": "paused"}, ["paused"]),
        ({"mode": "paper"}, ["paused"]),
        ({"mode": "live"}, ["stopped", "active"]),
        ({"symbol": "BTC/USDT"}, ["stopped"]),
        ({"symbol": "BTC"}, []),
        ({"started_after": "2025-06-01T13:00:00Z"}, ["stopped", "paused"]),
        ({"started_before": "2025-06-01T13:00:00Z"}, ["active"]),
    ],
    ids=str,
)
def test_filters(viewer, trader, query, expected):
    DeploymentFactory(user=trader, started_at=NOON)
    DeploymentFactory(user=trader, started_at=NOON + timedelta(hours=1), status="paused", mode="paper")
    DeploymentFactory(
        user=trader, started_at=NOON + timedelta(hours=2), status="stopped", stopped_at=NOON, symbol="BTC/USDT"
    )

    assert [row["status"] for row in viewer.get("deployments/", **query).json()["results"]] == expected


def test_filters_by_strategy(viewer, trader, foreign_trader, ids):
    wanted = DeploymentFactory(user=trader)
    DeploymentFactory(user=trader)
    foreign = DeploymentFactory(user=foreign_trader)

    assert ids(viewer, "deployments/", strategy=wanted.strategy_id) == [wanted.pk]
    assert ids(viewer, "deployments/", strategy=foreign.strategy_id) == []


def test_filters_by_trader(viewer, trader, foreign_trader, ids):
    wanted = DeploymentFactory(user=trader)
    DeploymentFactory(user__broker=trader.broker)

    assert ids(viewer, "deployments/", user=trader.pk) == [wanted.pk]
    assert ids(viewer, "deployments/", user_email=trader.email.upper()) == [wanted.pk]
    assert viewer.get("deployments/", user=foreign_trader.pk).status_code == 404
    assert viewer.get("deployments/", user_email=foreign_trader.email).status_code == 404


def test_other_brokers_deployments_do_not_exist(viewer, superuser, foreign_trader, ids):
    deployment = DeploymentFactory(user=foreign_trader)

    assert ids(viewer, "deployments/") == []
    assert viewer.get(f"deployments/{deployment.pk}/").status_code == 404
    assert ids(superuser, "deployments/") == [deployment.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "running"),
        ("state", "paused"),
        ("mode", "LIVE"),
        ("strategy", "-1"),
        ("strategy", "1.0"),
        ("symbol", " "),
        ("started_after", "yesterday"),
        ("ordering", "-created_at"),
        ("search", "x"),
    ],
)
def test_refuses_what_it_does_not_understand(viewer, refused, name, value):
    assert refused(viewer.get("deployments/", **{name: value})) == {name}


@pytest.mark.parametrize("ordering", ["-started_at", "started_at"])
def test_pages_visit_every_row_once(viewer, trader, walk, ordering):
    strategy = StrategyFactory(user=trader)
    rows = [
        DeploymentFactory(user=trader, strategy=strategy, started_at=NOON + timedelta(hours=n // 6)) for n in range(13)
    ]
    expected = [row.pk for row in rows]
    if ordering == "-started_at":
        expected.reverse()

    forward, backward = walk(viewer, "deployments/", ordering=ordering, page_size=4)

    assert sum(forward, []) == expected
    assert [len(page) for page in forward] == [4, 4, 4, 1]
    assert backward == forward


def test_costs_the_same_for_one_row_and_for_many(viewer, trader, count_queries):
    DeploymentFactory(user=trader)
    one = count_queries(viewer, "deployments/")
    DeploymentFactory.create_batch(20, user=trader)

    assert count_queries(viewer, "deployments/") == one
