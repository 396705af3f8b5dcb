"""API: list all trades."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from trading.tests.factories import DeploymentFactory, TradeFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
OPEN = {"closed_at": None, "exit_price": None, "result": None}


def at(hours):
    return NOON + timedelta(hours=hours)


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader)


def test_shows_every_field_newest_first(viewer, trader, deployment):
    opened = TradeFactory(deployment=deployment, taken_at=NOON, **OPEN)
    trade = TradeFactory(
        deployment=deployment,
        symbol="SPY",
        side="short",
        quantity=Decimal("10"),
        entry_price=Decimal("1.50"),
        exit_price=Decimal("2.38003"),
        strike=Decimal("400"),
        stop_loss=Decimal("3"),
        target=Decimal("0.5"),
        fees=Decimal("0"),
        result=Decimal("-880.030000"),
        taken_at=at(1),
        closed_at=at(2),
        is_corrected=True,
        external_id="log.csv:2",
    )

    newest, older = viewer.get("trades/").json()["results"]

    assert older["id"] == opened.pk
    assert older["status"] == "open"
    assert older["outcome"] is older["result"] is older["closed_at"] is older["exit_price"] is None
    assert newest == {
        "id": trade.pk,
        "user": trader.pk,
        "strategy": deployment.strategy_id,
        "deployment": deployment.pk,
        "symbol": "SPY",
        "side": "short",
        "quantity": "10",
        "entry_price": "1.5",
        "exit_price": "2.38003",
        "strike": "400",
        "stop_loss": "3",
        "target": "0.5",
        "fees": "0",
        "result": "-880.03",
        "outcome": "loss",
        "status": "closed",
        "taken_at": "2025-06-01T13:00:00Z",
        "closed_at": "2025-06-01T14:00:00Z",
        "is_corrected": True,
        "external_id": "log.csv:2",
        "version": 1,
    }


def test_one_trade_has_an_etag(viewer, deployment):
    trade = TradeFactory(deployment=deployment, version=3)

    answer = viewer.get(f"trades/{trade.pk}/")

    assert answer.json()["id"] == trade.pk
    assert answer["ETag"] == '"3"'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"symbol": "BTC/USDT"}, ["loss"]),
        ({"side": "short"}, ["loss"]),
        ({"side": "long"}, [None, "breakeven", "win"]),
        ({"status": "open"}, [None]),
        ({"status": "closed"}, ["breakeven", "loss", "win"]),
        ({"outcome": "win"}, ["win"]),
        ({"outcome": "loss"}, ["loss"]),
        ({"outcome": "breakeven"}, ["breakeven"]),
        ({"is_corrected": "true"}, ["win"]),
        ({"is_corrected": "false"}, [None, "breakeven", "loss"]),
        ({"taken_after": "2025-06-01T14:00:00Z"}, [None, "breakeven"]),
        ({"taken_before": "2025-06-01T14:00:00Z"}, ["loss", "win"]),
        ({"closed_after": "2025-06-01T13:30:00Z"}, ["breakeven", "loss"]),
        ({"closed_before": "2025-06-01T13:30:00Z"}, ["win"]),
        ({"closed_after": "2025-06-01T13:30:00Z", "outcome": "loss"}, ["loss"]),
    ],
    ids=str,
)
def test_filters(viewer, deployment, query, expected):
    TradeFactory(deployment=deployment, taken_at=at(0), result=Decimal("1"), is_corrected=True)
    TradeFactory(deployment=deployment, taken_at=at(1), result=Decimal("-1"), side="short", symbol="BTC/USDT")
    TradeFactory(deployment=deployment, taken_at=at(2), result=Decimal("0"))
    TradeFactory(deployment=deployment, taken_at=at(3), **OPEN)

    assert [row["outcome"] for row in viewer.get("trades/", **query).json()["results"]] == expected


def test_filters_by_strategy_and_deployment(viewer, trader, deployment, ids):
    sibling = DeploymentFactory(user=trader, strategy=deployment.strategy)
    first = TradeFactory(deployment=deployment, taken_at=at(1))
    second = TradeFactory(deployment=sibling, taken_at=at(0))
    TradeFactory(deployment=DeploymentFactory(user=trader))

    assert ids(viewer, "trades/", deployment=deployment.pk) == [first.pk]
    assert ids(viewer, "trades/", strategy=deployment.strategy_id) == [first.pk, second.pk]


def test_filters_by_trader(viewer, trader, foreign_trader, deployment, ids):
    wanted = TradeFactory(deployment=deployment)
    TradeFactory(deployment__user__broker=trader.broker)

    assert ids(viewer, "trades/", user=trader.pk) == [wanted.pk]
    assert ids(viewer, "trades/", user_email=trader.email.upper()) == [wanted.pk]
    assert viewer.get("trades/", user=foreign_trader.pk).status_code == 404
    assert viewer.get("trades/", user_email=foreign_trader.email).status_code == 404


def test_other_brokers_trades_do_not_exist(viewer, superuser, foreign_trader, ids):
    trade = TradeFactory(deployment__user=foreign_trader)

    assert ids(viewer, "trades/") == []
    assert viewer.get(f"trades/{trade.pk}/").status_code == 404
    assert viewer.get(f"trades/{trade.pk}/corrections/").status_code == 404
    assert ids(superuser, "trades/") == [trade.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("side", "buy"),
        ("status", "active"),
        ("outcome", "null"),
        ("is_corrected", "True"),
        ("deployment", "٣"),
        ("taken_after", "2025-06-01"),
        ("closed_before", "0000-01-01T00:00:00Z"),
        ("ordering", "result"),
        ("ordering", "taken_at,closed_at"),
        ("result__gt", "0"),
        ("page_size", "1e3"),
    ],
)
def test_refuses_what_it_does_not_understand(viewer, refused, name, value):
    assert refused(viewer.get("trades/", **{name: value})) == {name}


@pytest.mark.parametrize("page_size", [1, 3, 5])
@pytest.mark.parametrize("ordering", ["-taken_at", "taken_at"])
def test_pages_visit_every_row_once_however_many_were_taken_at_once(viewer, deployment, walk, ordering, page_size):
    rows = [TradeFactory(deployment=deployment, taken_at=at(n // 7)) for n in range(16)]
    expected = [row.pk for row in rows]
    if ordering == "-taken_at":
        expected.reverse()

    forward, backward = walk(viewer, "trades/", ordering=ordering, page_size=page_size)

    assert sum(forward, []) == expected
    assert backward == forward


@pytest.mark.parametrize("page_size", [1, 3, 4, 7])
@pytest.mark.parametrize("ordering", ["-closed_at", "closed_at"])
def test_open_trades_come_last_in_both_directions(viewer, deployment, walk, ordering, page_size):
    closed, opened = [], []
    for n in range(7):
        closed.append(TradeFactory(deployment=deployment, taken_at=at(0), closed_at=at(1 + n // 3)).pk)
        opened.append(TradeFactory(deployment=deployment, taken_at=at(0), **OPEN).pk)
    expected = closed + opened if ordering == "closed_at" else closed[::-1] + opened[::-1]

    forward, backward = walk(viewer, "trades/", ordering=ordering, page_size=page_size)

    assert sum(forward, []) == expected
    assert backward == forward


def test_rows_that_arrive_meanwhile_hide_none(viewer, deployment):
    rows = [TradeFactory(deployment=deployment, taken_at=at(n)) for n in range(6)]
    first = viewer.get("trades/", page_size=3).json()
    TradeFactory.create_batch(3, deployment=deployment, taken_at=at(10))

    second = viewer.get(first["next"]).json()

    seen = [row["id"] for row in first["results"] + second["results"]]
    assert seen == [row.pk for row in reversed(rows)]


def test_a_cursor_belongs_to_its_filters_and_its_caller(viewer, agent, deployment, refused):
    TradeFactory.create_batch(2, deployment=deployment)
    following = viewer.get("trades/", page_size=1).json()["next"]

    assert viewer.get(following).status_code == 200
    assert refused(viewer.get(f"{following}&side=long")) == {"cursor"}
    assert refused(agent.get(following)) == {"cursor"}


def test_total_counts_what_the_filters_leave(viewer, deployment):
    TradeFactory.create_batch(3, deployment=deployment)
    TradeFactory(deployment=deployment, **OPEN)

    answer = viewer.get("trades/", status="closed", include_total="true", page_size=2, ordering="closed_at")

    assert answer.json()["total"] == 3


@pytest.mark.parametrize("ordering", ["-taken_at", "closed_at"])
def test_costs_the_same_for_one_row_and_for_many(viewer, trader, deployment, count_queries, ordering):
    TradeFactory(deployment=deployment)
    one = count_queries(viewer, f"trades/?ordering={ordering}")
    for _ in range(5):
        TradeFactory.create_batch(4, deployment=DeploymentFactory(user=trader))

    assert count_queries(viewer, f"trades/?ordering={ordering}") == one
