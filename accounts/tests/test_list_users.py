"""API: list traders, and read one."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import BrokerFactory, StaffFactory, SuperuserFactory, TraderFactory

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = {
    "id",
    "email",
    "pending_email",
    "phone",
    "first_name",
    "last_name",
    "broker",
    "status",
    "created_at",
    "last_login",
    "version",
}


@pytest.fixture
def people(broker):
    """Four traders of the broker, an hour apart."""
    rows = [
        {"email": "ada@demo.example", "first_name": "Ada", "last_name": "Stone", "phone": "+4915112345678"},
        {"email": "ben@demo.example", "first_name": "Ben", "last_name": "Österreich", "is_active": False},
        {"email": "cleo@mail.example", "first_name": "Cleo", "last_name": "Stone"},
        {"email": "dan_100%@mail.example", "first_name": "Dan", "last_name": ""},
    ]
    return [
        TraderFactory(broker=broker, created_at=START + timedelta(hours=hour), **row) for hour, row in enumerate(rows)
    ]


def names(answer):
    assert answer.status_code == 200, answer.content
    return [row["first_name"] for row in answer.json()["results"]]


def test_newest_first_with_the_fields_of_the_contract(viewer, people):
    answer = viewer.get("users/")

    assert names(answer) == ["Dan", "Cleo", "Ben", "Ada"]
    assert all(row.keys() == FIELDS for row in answer.json()["results"])
    ada = answer.json()["results"][-1]
    assert (ada["status"], ada["created_at"], ada["phone"]) == ("active", "2026-03-01T12:00:00Z", "+4915112345678")
    assert (ada["broker"], ada["last_login"], ada["version"]) == (people[0].broker_id, None, 1)
    assert names(viewer.get("users/", ordering="created_at")) == ["Ada", "Ben", "Cleo", "Dan"]


def test_one_trader_with_its_etag(viewer, people):
    User.objects.filter(pk=people[0].pk).update(version=4)

    answer = viewer.get(f"users/{people[0].pk}/")

    assert answer.status_code == 200
    assert answer.json().keys() == FIELDS
    assert answer["ETag"] == '"4"'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"email": "ADA@demo.example"}, ["Ada"]),
        ({"email": "ada"}, []),
        ({"email": "%@demo.example"}, []),
        ({"phone": "+4915112345678"}, ["Ada"]),
        ({"phone": "+4915112345679"}, []),
        ({"status": "inactive"}, ["Ben"]),
        ({"status": "active"}, ["Dan", "Cleo", "Ada"]),
        ({"broker": "demo"}, ["Dan", "Cleo", "Ben", "Ada"]),
        ({"broker": "Other"}, []),
        ({"broker": "99999999999999999999999"}, []),
        ({"search": "stone"}, ["Cleo", "Ada"]),
        ({"search": "stone demo"}, ["Ada"]),
        ({"search": "Österreich"}, ["Ben"]),
        ({"search": "511234"}, ["Ada"]),
        ({"search": "100%"}, ["Dan"]),
        ({"search": "_"}, ["Dan"]),
        ({"created_after": "2026-03-01T13:00:00Z"}, ["Dan", "Cleo", "Ben"]),
        ({"created_before": "2026-03-01T13:00:00Z"}, ["Ada"]),
        ({"created_after": "2026-03-01T14:00:00+01:00", "created_before": "2026-03-01T14:00:00Z"}, ["Ben"]),
        ({"status": "active", "search": "stone", "created_after": "2026-03-01T12:30:00Z"}, ["Cleo"]),
    ],
)
def test_filters(viewer, people, query, expected):
    assert names(viewer.get("users/", **query)) == expected


def test_a_broker_is_named_by_its_id_too(superuser, people, foreign_trader):
    assert names(superuser.get("users/", broker=str(people[0].broker_id))) == ["Dan", "Cleo", "Ben", "Ada"]
    assert len(names(superuser.get("users/"))) == 5


@pytest.mark.parametrize(
    "query",
    [
        {"status": "deleted"},
        {"status": ""},
        {"status": ["active", "inactive"]},
        {"phone": "015112345678"},
        {"created_after": "2026-03-01"},
        {"created_after": "2026-03-01T12:00:00"},
        {"created_after": "0000-03-01T12:00:00Z"},
        {"created_after": "2026-03-02T12:00:00Z", "created_before": "2026-03-01T12:00:00Z"},
        {"search": "x" * 101},
        {"search": "  "},
        {"search": "a\u202eb"},
        {"email": "x" * 255},
        {"ordering": "email"},
        {"page_size": "0"},
        {"page_size": "1001"},
        {"cursor": "x"},
        {"include_total": "1"},
        {"first_name": "Ada"},
        {"password__startswith": "md5"},
        {"is_staff": "true"},
        {"dry_run": "true"},
    ],
)
def test_what_is_not_valid_is_named(viewer, people, query):
    answer = viewer.get("users/", **query)

    assert answer.status_code == 400, answer.content
    assert {error["field"] for error in answer.json()["errors"]} & query.keys()


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_following_next_visits_everyone_once_though_all_tie_and_some_arrive(viewer, broker, ordering):
    ids = {TraderFactory(broker=broker, created_at=START).pk for _ in range(23)}
    seen, pages = [], 0
    answer = viewer.get("users/", page_size="5", ordering=ordering, include_total="true").json()
    assert answer["total"] == 23

    while True:
        pages += 1
        seen += [row["id"] for row in answer["results"]]
        newer = START + timedelta(days=pages if ordering == "-created_at" else -pages)
        TraderFactory(broker=broker, created_at=newer)
        if answer["next"] is None:
            break
        answer = viewer.get(answer["next"]).json()

    assert len(seen) == len(set(seen)) == 23
    assert set(seen) == ids
    assert pages == 5


def test_a_list_costs_as_many_queries_for_twenty_as_for_two(viewer, broker):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert viewer.get("users/").status_code == 200
        return len(captured)

    for _ in range(2):
        TraderFactory(broker=broker)
    few = queries()
    for _ in range(18):
        TraderFactory(broker=broker)

    assert queries() == few


def test_staff_see_the_traders_of_their_broker_only_and_never_staff(viewer, superuser, people, foreign_trader, broker):
    StaffFactory(broker=broker, first_name="Staff")
    SuperuserFactory(first_name="Root")

    assert names(viewer.get("users/")) == ["Dan", "Cleo", "Ben", "Ada"]
    everyone = {row["id"] for row in superuser.get("users/").json()["results"]}
    assert everyone == {*(user.pk for user in people), foreign_trader.pk}
    assert names(viewer.get("users/", email=foreign_trader.email)) == []
    assert names(viewer.get("users/", search="other")) == []


@pytest.mark.parametrize("target", ["foreign", "staff", "superuser", "self", "nobody", "other broker's staff"])
def test_out_of_reach_is_404_and_reading_leaves_no_trace(viewer, broker, foreign_trader, target, events):
    pk = {
        "foreign": lambda: foreign_trader.pk,
        "staff": lambda: StaffFactory(broker=broker).pk,
        "superuser": lambda: SuperuserFactory(broker=broker).pk,
        "self": lambda: viewer.user.pk,
        "nobody": lambda: 10**9,
        "other broker's staff": lambda: StaffFactory(broker=BrokerFactory()).pk,
    }[target]()

    answer = viewer.get(f"users/{pk}/")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no such resource within your reach."
    assert events() == []


@pytest.mark.parametrize("pk", ["0", "-1", "01", "+1", "1.0", "%201", "%D9%A1", "9223372036854775808", "1" * 30, "%00"])
def test_one_trader_has_one_address(viewer, pk):
    TraderFactory(pk=1) if not User.objects.filter(pk=1).exists() else None

    assert viewer.get(f"users/{pk}/").status_code == 404


def test_an_email_is_found_by_the_unique_index(viewer, people):
    with CaptureQueriesContext(connection) as captured:
        viewer.get("users/", email="ADA@demo.example")

    [found] = [query["sql"] for query in captured if "ada@demo.example" in query["sql"].lower()]
    assert "UPPER" not in found and "LIKE" not in found


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_traders_are_neither_made_nor_deleted_here(superuser, trader, method):
    answer = getattr(superuser, method)(f"users/{trader.pk}/" if method != "post" else "users/", {})

    assert answer.status_code == 405
    assert answer["Allow"]
