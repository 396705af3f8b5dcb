"""API: list all scanners."""

from datetime import UTC, datetime, timedelta

import pytest

from trading.tests.factories import ScannerFactory

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def test_shows_every_field_newest_first(viewer, trader):
    ScannerFactory(user=trader, name="Older", symbol="EUR/USD", created_at=NOON)
    scanner = ScannerFactory(
        user=trader, name="Volume", criteria={"volume": {"above": 1000}}, created_at=NOON + timedelta(hours=1)
    )

    newest, older = viewer.get("scanners/").json()["results"]

    assert (older["name"], older["symbol"]) == ("Older", "EUR/USD")
    assert newest == {
        "id": scanner.pk,
        "user": trader.pk,
        "name": "Volume",
        "symbol": None,
        "criteria": {"volume": {"above": 1000}},
        "status": "active",
        "created_at": "2025-06-01T13:00:00Z",
        "deleted_at": None,
        "version": 1,
    }


def test_one_scanner_has_an_etag(viewer, trader):
    scanner = ScannerFactory(user=trader, version=2)

    answer = viewer.get(f"scanners/{scanner.pk}/")

    assert answer.json()["id"] == scanner.pk
    assert answer["ETag"] == '"2"'


def test_deleted_ones_are_listed_on_request_and_readable_by_id(viewer, trader, ids):
    kept = ScannerFactory(user=trader)
    deleted = ScannerFactory(user=trader, deleted_at=NOON)

    assert ids(viewer, "scanners/") == [kept.pk]
    assert ids(viewer, "scanners/", status="active") == [kept.pk]
    assert ids(viewer, "scanners/", status="deleted") == [deleted.pk]
    assert viewer.get(f"scanners/{deleted.pk}/").json()["deleted_at"] == "2025-06-01T12:00:00Z"


def test_search_finds_a_part_of_the_name(viewer, trader, ids):
    wanted = ScannerFactory(user=trader, name="50% gap up")
    ScannerFactory(user=trader, name="500 gap up")

    assert ids(viewer, "scanners/", search="0% GAP") == [wanted.pk]
    assert ids(viewer, "scanners/", search="gap down") == []


def test_filters_by_trader(viewer, trader, foreign_trader, ids):
    wanted = ScannerFactory(user=trader)
    ScannerFactory(user__broker=trader.broker)

    assert ids(viewer, "scanners/", user=trader.pk) == [wanted.pk]
    assert ids(viewer, "scanners/", user_email=trader.email.upper()) == [wanted.pk]
    assert viewer.get("scanners/", user=foreign_trader.pk).status_code == 404
    assert viewer.get("scanners/", user_email=foreign_trader.email).status_code == 404


def test_other_brokers_scanners_do_not_exist(viewer, superuser, foreign_trader, ids):
    scanner = ScannerFactory(user=foreign_trader)

    assert ids(viewer, "scanners/") == []
    assert viewer.get(f"scanners/{scanner.pk}/").status_code == 404
    assert ids(superuser, "scanners/") == [scanner.pk]


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "kept"), ("search", "x" * 101), ("user", "1,2"), ("symbol", "EUR/USD"), ("ordering", "id")],
)
def test_refuses_what_it_does_not_understand(viewer, refused, name, value):
    assert refused(viewer.get("scanners/", **{name: value})) == {name}


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_pages_visit_every_row_once(viewer, trader, walk, ordering):
    rows = [ScannerFactory(user=trader, created_at=NOON + timedelta(hours=n // 4)) for n in range(9)]
    expected = [row.pk for row in rows]
    if ordering == "-created_at":
        expected.reverse()

    forward, backward = walk(viewer, "scanners/", ordering=ordering, page_size=3)

    assert sum(forward, []) == expected
    assert backward == forward


def test_costs_the_same_for_one_row_and_for_many(viewer, trader, count_queries):
    ScannerFactory(user=trader)
    one = count_queries(viewer, "scanners/")
    ScannerFactory.create_batch(20, user__broker=trader.broker)

    assert count_queries(viewer, "scanners/") == one
