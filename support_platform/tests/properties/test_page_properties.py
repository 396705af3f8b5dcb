"""Keyset pages under any ties, orderings and page sizes: every row once, there and back, also while rows arrive."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from support_platform.instants import format_instant
from support_platform.pagination import KeysetPagination
from trading.models import Trade
from trading.tests.factories import START, TradeFactory

from .strategies import FEW, MANY, any_text

ORDERINGS = ("-taken_at", "taken_at", "-closed_at", "closed_at")
# Minutes after START at which a trade closes, None for an open one: few values, so that most are tied.
closings = st.lists(st.none() | st.integers(0, 3), max_size=9)


def make_trades(deployment, minutes):
    made = [
        TradeFactory.build(
            deployment=deployment,
            user=deployment.user,
            strategy=deployment.strategy,
            taken_at=START + timedelta(minutes=-(minute or 0)),
            closed_at=None if minute is None else START + timedelta(minutes=minute),
            result=None if minute is None else 1,
        )
        for minute in minutes
    ]
    Trade.objects.bulk_create(made)
    return list(Trade.objects.filter(deployment=deployment))


def in_order(trades, ordering):
    """Ids in the promised order: by value, ties by id in the same direction, without a value last."""
    column, is_descending = ordering.lstrip("-"), ordering.startswith("-")
    filled = [row for row in trades if getattr(row, column) is not None]
    empty = [row for row in trades if getattr(row, column) is None]
    filled.sort(key=lambda row: (getattr(row, column), row.id), reverse=is_descending)
    empty.sort(key=lambda row: row.id, reverse=is_descending)
    return [row.id for row in filled + empty]


def walk(api, url, step, *, between=lambda: None, **query):
    pages, answer = [], api.get(url, **query).json()
    while True:
        pages.append([row["id"] for row in answer["results"]])
        assert len(pages) < 50, "the pages do not end"
        if answer[step] is None:
            return pages, answer
        between()
        answer = api.get(answer[step]).json()


@FEW
@given(minutes=closings, ordering=st.sampled_from(ORDERINGS), size=st.integers(1, 10))
def test_every_row_once_there_and_back(minutes, ordering, size, samples, viewer, unlimited, tried):
    tried()
    with transaction.atomic():
        wanted = in_order(make_trades(samples["deployments"], minutes), ordering)

        there, last = walk(viewer, "trades/", "next", ordering=ordering, page_size=size)
        back, _ = walk(viewer, last["previous"], "previous") if last["previous"] else ([], None)

        transaction.set_rollback(True)
    assert sum(there, []) == wanted
    assert sum(back[::-1], []) + there[-1] == wanted
    assert all(len(page) == size for page in there[:-1])


@FEW
@given(
    minutes=closings,
    arriving=st.lists(st.none() | st.integers(-2, 5), min_size=1, max_size=3),
    ordering=st.sampled_from(ORDERINGS),
    size=st.integers(1, 4),
)
def test_rows_that_arrive_meanwhile_hide_and_repeat_no_other(
    minutes, arriving, ordering, size, samples, viewer, unlimited, tried
):
    tried()
    waiting = list(arriving)

    def arrive():
        if waiting:
            make_trades(
                samples["deployments"], [max(0, minute) if minute is not None else None for minute in [waiting.pop()]]
            )

    with transaction.atomic():
        wanted = in_order(make_trades(samples["deployments"], minutes), ordering)

        pages, _ = walk(viewer, "trades/", "next", between=arrive, ordering=ordering, page_size=size)

        transaction.set_rollback(True)
    seen = sum(pages, [])
    assert len(set(seen)) == len(seen)
    assert [pk for pk in seen if pk in set(wanted)] == wanted


@MANY
@given(cursor=any_text | st.from_regex(r"[A-Za-z0-9_=.-]{0,40}(:[A-Za-z0-9_-]{0,40}){0,3}", fullmatch=True))
def test_no_text_is_a_cursor(cursor, tried):
    tried()
    page = KeysetPagination()
    page.seal = ["anyone", "/api/v1/users/", "-created_at", []]

    with pytest.raises(ValidationError):
        page._position(cursor)


@MANY
@given(seconds=st.none() | st.integers(-(10**9), 10**9), pk=st.integers(1, 2**63 - 1), backward=st.booleans())
def test_a_cursor_says_where_it_was_made(seconds, pk, backward, tried):
    tried()
    page = KeysetPagination()
    page.request = Request(APIRequestFactory().get("/api/v1/trades/"))
    page.ordering, page.seal = "-closed_at", ["anyone", "/api/v1/trades/", "-closed_at", []]
    at = None if seconds is None else START + timedelta(seconds=seconds)

    link = page._link({"id": pk, "closed_at": at and format_instant(at)}, backward=backward)
    position = page._position(Request(APIRequestFactory().get(link)).query_params["cursor"])

    assert (position.value, position.id, position.backward) == (at, pk, backward)
