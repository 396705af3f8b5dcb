"""Keyset pages: every row exactly once, whatever ties, arrivals and empty values, at the same price on every page."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import TraderFactory
from trading.tests.factories import DeploymentFactory, TradeFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def plenty(settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "read": {"staff user": ["100000/m"]}}


def traders(broker, instants):
    return [TraderFactory(broker=broker, created_at=instant) for instant in instants]


def trades(trader, closings):
    deployment = DeploymentFactory(user=trader)
    return [
        TradeFactory(
            deployment=deployment, taken_at=NOON - timedelta(days=1), closed_at=at, result=None if at is None else 1
        )
        for at in closings
    ]


def pages(api, path, step="next", **query):
    """Each page's answer, following `next` (or `previous`) as given."""
    answer = api.get(path, **query)
    for _ in range(200):  # a walk that never ends must fail, not hang
        assert answer.status_code == 200, answer.content
        yield answer.json()
        if answer.json()[step] is None:
            return
        answer = api.get(answer.json()[step])
    pytest.fail("the pages do not end")


def walk(api, path, **query):
    return [row["id"] for page in pages(api, path, **query) for row in page["results"]]


def newest_first(rows, column):
    """The order promised for "-column": by value, ties by id, rows without a value last, by id."""
    filled = sorted((row for row in rows if getattr(row, column) is not None), key=lambda r: (getattr(r, column), r.id))
    empty = sorted((row for row in rows if getattr(row, column) is None), key=lambda row: row.id)
    return [row.id for row in filled[::-1] + empty[::-1]]


def oldest_first(rows, column):
    filled = sorted((row for row in rows if getattr(row, column) is not None), key=lambda r: (getattr(r, column), r.id))
    return [row.id for row in filled] + [row.id for row in rows if getattr(row, column) is None]


def test_an_empty_list_is_one_empty_page(viewer):
    assert viewer.get("users/").json() == {"next": None, "previous": None, "results": []}


def test_the_default_page_has_100_rows_newest_first(viewer, broker):
    rows = traders(broker, [NOON + timedelta(minutes=n) for n in range(101)])

    page = viewer.get("users/").json()

    assert [row["id"] for row in page["results"]] == newest_first(rows, "created_at")[:100]
    assert page["previous"] is None
    assert [row["id"] for row in viewer.get(page["next"]).json()["results"]] == [rows[0].id]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 12, 13, 1000])
@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_rows_of_one_instant_come_once_each(viewer, broker, size, ordering):
    rows = traders(broker, [NOON] * 7 + [NOON + timedelta(microseconds=1)] * 5)
    expected = (newest_first if ordering.startswith("-") else oldest_first)(rows, "created_at")

    assert walk(viewer, "users/", page_size=size, ordering=ordering) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8])
@pytest.mark.parametrize(("ordering", "order"), [("-closed_at", newest_first), ("closed_at", oldest_first)])
@pytest.mark.parametrize(
    "closings",
    [
        pytest.param([NOON, None, NOON, None, NOON + timedelta(days=1), None, NOON], id="mixed"),
        pytest.param([None] * 7, id="all empty"),
        pytest.param([NOON] * 7, id="none empty"),
    ],
)
def test_rows_without_a_value_come_last_in_both_directions(viewer, trader, size, ordering, order, closings):
    rows = trades(trader, closings)

    assert walk(viewer, "trades/", page_size=size, ordering=ordering) == order(rows, "closed_at")


@pytest.mark.parametrize("ordering", ["-closed_at", "closed_at", "-taken_at", "taken_at"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_previous_goes_back_over_the_same_pages(viewer, trader, size, ordering):
    trades(trader, [NOON, None, NOON, None, NOON + timedelta(days=1), None, NOON, NOON, None])

    there = [page["results"] for page in pages(viewer, "trades/", page_size=size, ordering=ordering)]
    last = list(pages(viewer, "trades/", page_size=size, ordering=ordering))[-1]
    back = [last["results"]]
    if last["previous"]:
        back += [page["results"] for page in pages(viewer, last["previous"], "previous")]

    assert back == there[::-1]


def test_going_back_and_on_again_leads_to_the_same_page(viewer, broker):
    traders(broker, [NOON] * 6)
    first = viewer.get("users/", page_size=2).json()
    second = viewer.get(first["next"]).json()

    again = viewer.get(viewer.get(second["previous"]).json()["next"]).json()

    assert again["results"] == second["results"]


def test_links_keep_the_filters_and_the_size(viewer, broker, trader):
    traders(broker, [NOON] * 3)

    link = viewer.get("users/", page_size=2, status="active", include_total="true").json()["next"]

    assert link.startswith("http://testserver/api/v1/users/?")
    assert all(part in link for part in ("page_size=2", "status=active", "include_total=true", "cursor="))
    assert len(viewer.get(link).json()["results"]) == 2
    assert viewer.get(link).json()["total"] == 4


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
def test_rows_that_arrive_meanwhile_neither_hide_nor_repeat_others(viewer, broker, ordering):
    rows = traders(broker, [NOON] * 10)
    seen = []
    for page in pages(viewer, "users/", page_size=3, ordering=ordering):
        seen += [row["id"] for row in page["results"]]
        traders(broker, [NOON - timedelta(days=1), NOON, NOON + timedelta(days=1)] if len(seen) <= 9 else [])

    assert len(seen) == len(set(seen))
    assert {row.id for row in rows} <= set(seen)


def test_rows_that_go_meanwhile_hide_no_others(viewer, broker):
    rows = traders(broker, [NOON + timedelta(minutes=n) for n in range(6)])
    expected = newest_first(rows, "created_at")
    first = viewer.get("users/", page_size=2).json()
    User.objects.filter(pk__in=expected[1:3]).update(is_staff=True)

    assert [row["id"] for row in viewer.get(first["next"]).json()["results"]] == expected[3:5]


def test_total_counts_what_the_filters_leave_and_only_if_asked(viewer, broker, foreign_trader):
    traders(broker, [NOON] * 5)
    TraderFactory(broker=broker, is_active=False)

    assert "total" not in viewer.get("users/").json()
    assert "total" not in viewer.get("users/", include_total="false").json()
    assert viewer.get("users/", include_total="true", page_size=2).json()["total"] == 6
    assert viewer.get("users/", include_total="true", status="inactive").json()["total"] == 1


def test_a_microsecond_is_kept_in_the_cursor(viewer, broker):
    rows = traders(broker, [NOON + timedelta(microseconds=n) for n in (1, 2, 3, 999_999)])

    assert walk(viewer, "users/", page_size=1) == newest_first(rows, "created_at")


def test_each_page_costs_the_same_few_queries_and_no_offset(viewer, trader):
    trades(trader, [None if n % 3 == 0 else NOON for n in range(30)])
    counts = []
    url = "trades/?page_size=5&ordering=-closed_at"
    while url and len(counts) < 20:
        with CaptureQueriesContext(connection) as queries:
            url = viewer.get(url).json()["next"]
        assert not any("OFFSET" in query["sql"] for query in queries)
        counts.append(len(queries))

    # The page that goes over from the closed to the open trades asks twice.
    assert max(counts) - min(counts) <= 1
    assert max(counts) <= 6


@pytest.mark.parametrize("path", ["users/", "trades/", "strategies/", "deployments/", "scanners/", "audit/"])
def test_more_rows_cost_no_more_queries(superuser, samples, trader, path, django_assert_max_num_queries):
    with CaptureQueriesContext(connection) as few:
        superuser.get(path)
    trades(trader, [NOON] * 20)
    traders(trader.broker, [NOON] * 20)
    with django_assert_max_num_queries(len(few)):
        assert superuser.get(path).status_code == 200


@pytest.mark.parametrize("seed", range(12))
def test_random_walks_visit_every_row_exactly_once(viewer, trader, seed):
    """Random rows with many ties and gaps; forward, then back from a random page, against a plain sort."""
    dice = random.Random(seed)
    instants = [None, *(NOON + timedelta(seconds=n) for n in range(dice.randint(1, 4)))]
    rows = trades(trader, dice.choices(instants, k=dice.randint(0, 25)))
    for ordering, order in (("-closed_at", newest_first), ("closed_at", oldest_first)):
        size = dice.randint(1, 7)
        expected = order(rows, "closed_at")

        found = list(pages(viewer, "trades/", page_size=size, ordering=ordering))

        assert [row["id"] for page in found for row in page["results"]] == expected
        assert all(len(page["results"]) == size for page in found[:-1])
        turn = dice.randrange(len(found))
        back = [page["results"] for page in pages(viewer, found[turn]["previous"], "previous")] if turn else []
        assert [row["id"] for page in back[::-1] for row in page] == expected[: turn * size]
