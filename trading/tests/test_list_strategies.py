"""API: list all strategies."""

from datetime import UTC, datetime, timedelta

import pytest

from trading.models import Deployment
from trading.tests.factories import DeploymentFactory, StrategyFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def test_shows_every_field_newest_first(viewer, trader):
    StrategyFactory(user=trader, name="Older", created_at=NOON)
    strategy = StrategyFactory(
        user=trader,
        name="Breakout",
        symbol="",
        timeframe="",
        definition={"rules": [{"rsi": 0.5}]},
        published_at=NOON + timedelta(hours=2),
        created_at=NOON + timedelta(hours=1),
    )
    DeploymentFactory.create_batch(2, user=trader, strategy=strategy)
    DeploymentFactory(user=trader, strategy=strategy, status="paused")

    answer = viewer.get("strategies/")

    assert answer.status_code == 200
    assert answer.json()["next"] is answer.json()["previous"] is None
    newest, older = answer.json()["results"]
    assert older["name"] == "Older"
    assert older["symbol"] == "EUR/USD"
    assert older["active_deployments"] == 0
    assert newest == {
        "id": strategy.pk,
        "user": trader.pk,
        "name": "Breakout",
        "symbol": None,
        "timeframe": None,
        "definition": {"rules": [{"rsi": 0.5}]},
        "status": "active",
        "is_published": True,
        "published_at": "2025-06-01T14:00:00Z",
        "active_deployments": 2,
        "created_at": "2025-06-01T13:00:00Z",
        "deleted_at": None,
        "version": 1,
    }


def test_one_strategy_has_an_etag(viewer, trader):
    strategy = StrategyFactory(user=trader, version=7)

    answer = viewer.get(f"strategies/{strategy.pk}/")

    assert answer.json()["id"] == strategy.pk
    assert answer["ETag"] == '"7"'


def test_deleted_ones_are_listed_on_request_and_readable_by_id(viewer, trader, ids):
    kept = StrategyFactory(user=trader)
    deleted = StrategyFactory(user=trader, deleted_at=NOON)

    assert ids(viewer, "strategies/") == [kept.pk]
    assert ids(viewer, "strategies/", status="active") == [kept.pk]
    assert ids(viewer, "strategies/", status="deleted") == [deleted.pk]
    assert viewer.get(f"strategies/{deleted.pk}/").json()["status"] == "deleted"


@pytest.mark.parametrize(
    "query",
    [
        {"symbol": "BTC/USDT"},
        {"timeframe": "5m"},
        {"is_published": "true"},
        {"search": "MOMENT"},
        {"created_after": "2025-06-01T12:00:00Z", "created_before": "2025-06-01T14:00:01+02:00"},
    ],
    ids=lambda query: next(iter(query)),
)
def test_filters(viewer, trader, ids, query):
    wanted = StrategyFactory(
        user=trader, name="Momentum", symbol="BTC/USDT", timeframe="5m", published_at=NOON, created_at=NOON
    )
    StrategyFactory(user=trader, name="Other", created_at=NOON - timedelta(microseconds=1))
    StrategyFactory(user=trader, name="Other", symbol="BTC/USDT2", created_at=NOON + timedelta(seconds=1))

    assert ids(viewer, "strategies/", **query) == [wanted.pk]


def test_filter_on_unpublished(viewer, trader, ids):
    StrategyFactory(user=trader, published_at=NOON)
    wanted = StrategyFactory(user=trader)

    assert ids(viewer, "strategies/", is_published="false") == [wanted.pk]


def test_filters_by_trader(viewer, trader, foreign_trader, ids):
    wanted = StrategyFactory(user=trader)
    StrategyFactory(user__broker=trader.broker)

    assert ids(viewer, "strategies/", user=trader.pk) == [wanted.pk]
    assert ids(viewer, "strategies/", user_email=trader.email.upper()) == [wanted.pk]
    assert viewer.get("strategies/", user=foreign_trader.pk).status_code == 404
    assert viewer.get("strategies/", user_email="nobody@demo.example").status_code == 404


def test_other_brokers_strategies_do_not_exist(viewer, superuser, foreign_trader, ids):
    strategy = StrategyFactory(user=foreign_trader)

    assert ids(viewer, "strategies/") == []
    assert viewer.get(f"strategies/{strategy.pk}/").status_code == 404
    assert ids(superuser, "strategies/") == [strategy.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "all"),
        ("is_published", "1"),
        ("user", "0"),
        ("user", "01"),
        ("user", str(2**63)),
        ("created_after", "2025-06-01T12:00:00"),
        ("created_before", "99999-01-01T00:00:00Z"),
        ("search", "x" * 101),
        ("search", ""),
        ("ordering", "name"),
        ("user__password", "x"),
        ("name__regex", "x"),
        ("page_size", "1001"),
        ("cursor", "junk"),
        ("dry_run", "true"),
    ],
)
def test_refuses_what_it_does_not_understand(viewer, refused, name, value):
    assert refused(viewer.get("strategies/", **{name: value})) == {name}


def test_refuses_a_span_that_ends_before_it_begins(viewer, refused):
    answer = viewer.get("strategies/", created_after="2025-06-02T00:00:00Z", created_before="2025-06-01T00:00:00Z")

    assert refused(answer) == {"created_after"}


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_pages_visit_every_row_once(viewer, trader, walk, ordering):
    rows = [StrategyFactory(user=trader, created_at=NOON + timedelta(hours=n // 5)) for n in range(12)]
    expected = [row.pk for row in rows]
    if ordering == "-created_at":
        expected.reverse()

    forward, backward = walk(viewer, "strategies/", ordering=ordering, page_size=5)

    assert sum(forward, []) == expected
    assert [len(page) for page in forward] == [5, 5, 2]
    assert backward == forward


def test_total_on_request(viewer, trader):
    StrategyFactory.create_batch(3, user=trader)

    assert viewer.get("strategies/", include_total="true", page_size=1).json()["total"] == 3
    assert "total" not in viewer.get("strategies/").json()


def test_costs_the_same_for_one_row_and_for_many(viewer, trader, count_queries):
    DeploymentFactory(user=trader, status=Deployment.Status.PAUSED)
    one = count_queries(viewer, "strategies/")
    DeploymentFactory.create_batch(20, user=trader)

    assert count_queries(viewer, "strategies/") == one
