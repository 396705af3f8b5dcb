"""A list's SQL is written once for each shape of a request, and is what would be written for each request alone."""

import itertools
import random
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.http import QueryDict

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform import shapes
from support_platform.filters import BooleanFilter, ChoiceFilter, IdFilter, InstantFilter
from support_platform.statements import Given, Written
from support_platform.tests.calls import all_calls
from trading.models import Deployment, Strategy, Trade
from trading.tests.factories import DeploymentFactory, StrategyFactory, TradeFactory
from trading.views import TradeViewSet

# Of one table; a trader's timeline merges several.
LISTS = [pytest.param(c.view, id=str(c)) for c in all_calls() if c.is_list and hasattr(c.serializer_class, "Meta")]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = ["abc", "100% of 'x' %s", "ü_\\", "%%"]


@pytest.fixture(autouse=True)
def written(db, monkeypatch):
    """The shapes that are known, none at first; on PostgreSQL their constants stay among the parameters."""
    monkeypatch.setattr(shapes, "_written", {})
    monkeypatch.setattr(Written, "_write_constants", lambda written: None)
    return shapes._written


def caller(pk=1, broker_id=1, may=True):
    return SimpleNamespace(pk=pk, broker_id=broker_id, has_perm=lambda right: may)


def listing(view, staff, **query):
    given = QueryDict(mutable=True)
    given.update(query)
    request = SimpleNamespace(query_params=given, user=staff, method="GET")
    view = view(request=request, action="list", kwargs={}, format_kwarg=None)
    return shapes.Listing(view, staff, view.filters())


def some_value(name, declared, dice):
    if isinstance(declared, IdFilter):
        return str(dice.choice([1, 7, 2**62]))
    if isinstance(declared, InstantFilter):
        return (NOON + timedelta(days=name.endswith("_before"), seconds=dice.randrange(99))).isoformat()
    if isinstance(declared, ChoiceFilter):
        return dice.choice(declared.extra["choices"])
    if isinstance(declared, BooleanFilter):
        return dice.choice(["true", "false"])
    return dice.choice(TEXTS)


def some_filters(view, dice):
    """Such as can be written once: not those that ask the database whom they mean, nor a phone or an address."""
    filters = {
        name: declared
        for name, declared in view.filterset_class.base_filters.items()
        if name not in ("user_email", "phone", "ip")
    }
    return {name: some_value(name, filters[name], dice) for name in dice.sample(sorted(filters), dice.randrange(4))}


def some_part(view, dice):
    column = dice.choice(view.orderings).lstrip("-")
    is_nullable = view.serializer_class.Meta.model._meta.get_field(column).null
    is_empty = is_nullable and dice.random() < 0.5
    return shapes.Part(column, dice.random() < 0.5, is_nullable, is_empty, dice.random() < 0.5)


@pytest.mark.parametrize("view", LISTS)
def test_what_was_written_once_is_what_would_be_written_for_each_request(view, written, monkeypatch):
    ran = []
    monkeypatch.setattr(Written, "rows", lambda made, _, given, **how: ran.append((made, given)) or [])
    dice = random.Random(view.__name__)
    for _ in range(120):
        staff = caller(dice.randrange(9), dice.choice([None, 1, 2]), dice.random() < 0.5)
        asked = listing(view, staff, **some_filters(view, dice))
        part, at, row_id, limit = some_part(view, dice), NOON + timedelta(seconds=dice.randrange(9)), 5, 101

        asked.read(part, at, row_id, limit)

        made, given = ran.pop()
        alone = asked.read_by.written(part.of(asked.queryset, at, row_id), connection, is_limited=True)
        if asked.filters.shape(asked.given) is None:
            alone = asked.read_by.written(part.of(asked.queryset, at, row_id)[:limit], connection)
        assert without_brackets(made.sql) == without_brackets(alone.sql)
        assert made.values(given) == alone.values({"limit": limit})
    assert written


def without_brackets(sql):
    """Django puts an expression into brackets, and a Given is one."""
    return sql.replace("(%s)", "%s")


def test_requests_of_one_shape_share_what_is_written(written):
    first = shapes.Part("taken_at", True, False, False, True)
    for staff in (caller(1, 1), caller(2, 2)):
        for trader in ("7", "8"):
            listing(TradeViewSet, staff, user=trader, symbol=trader).read(first, None, None, 5)
    assert len(written) == 1

    listing(TradeViewSet, caller(1, None), user="7", symbol="x").read(first, None, None, 5)
    listing(TradeViewSet, caller(1, 1), user="7").read(first, None, None, 5)
    listing(TradeViewSet, caller(1, 1), user="7", symbol="x").read(first._replace(is_first=False), NOON, 5, 5)
    assert len(written) == 4


@pytest.mark.parametrize(
    ("query", "column", "is_prepared"),
    [
        ({"user": "7"}, "taken_at", True),
        ({"user": "7", "taken_after": "2026-01-01T00:00:00Z"}, "closed_at", False),
        ({"user": "7", "taken_after": "2026-01-01T00:00:00Z"}, "taken_at", True),
        ({"user": "7", "symbol": "BTC"}, "taken_at", False),
        ({"user": "7", "side": "long"}, "taken_at", False),
        ({"taken_after": "2026-01-01T00:00:00Z"}, "taken_at", False),
        ({}, "taken_at", False),
    ],
)
def test_one_plan_serves_all_values_where_an_index_has_the_rows_in_order(written, query, column, is_prepared):
    listing(TradeViewSet, caller(), **query).read(shapes.Part(column, True, False, False, True), None, None, 5)

    [[[_, made]]] = written.values()
    assert made.is_prepared is is_prepared


@pytest.fixture
def many_with_little(broker):
    """Hundreds of traders with three trades each, and one with very many: statistics say that a trader has few."""
    traders = [TraderFactory.build(broker=broker) for _ in range(400)]
    User.objects.bulk_create(traders)
    strategies = Strategy.objects.bulk_create(StrategyFactory.build(user=trader) for trader in traders)
    deployments = Deployment.objects.bulk_create(
        DeploymentFactory.build(strategy=one, user=one.user) for one in strategies
    )
    Trade.objects.bulk_create(
        TradeFactory.build(deployment=one, taken_at=NOON + timedelta(seconds=number), external_id=f"{number}")
        for one in deployments
        for number in range(3000 if one is deployments[0] else 3)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans are PostgreSQL's")
def test_the_plan_for_all_values_never_sorts_what_one_trader_has(written, many_with_little):
    for owner, column, is_first in itertools.product(
        ("user", "strategy", "deployment"), ("taken_at", "closed_at"), (True, False)
    ):
        written.clear()
        part = shapes.Part(column, True, column == "closed_at", False, is_first)
        listing(TradeViewSet, caller(), **{owner: "7"}).read(part, NOON, 5, 101)

        [[[_, made]]] = written.values()
        plan = plan_for_all_values(made)
        assert f"using trade_{owner}_{column.removesuffix('_at')}" in plan
        assert "Sort" not in plan


def plan_for_all_values(made):
    places = itertools.count(1)
    sql = re.sub("%s", lambda place: f"${next(places)}", made.sql)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE page AS {sql}")
        cursor.execute(f"EXPLAIN EXECUTE page({', '.join(['NULL'] * len(made.params))})")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE page")
    return plan


def test_one_broker_never_reads_what_was_written_for_another(trader, foreign_trader, written):
    ours, theirs = (TradeFactory(deployment=DeploymentFactory(user=user)) for user in (trader, foreign_trader))
    first = shapes.Part("taken_at", True, False, False, True)

    def seen(**who):
        return {row["id"] for row in listing(TradeViewSet, caller(**who)).read(first, None, None, 9)}

    for _ in range(2):
        assert seen(broker_id=trader.broker_id) == {ours.pk}
        assert seen(broker_id=foreign_trader.broker_id) == {theirs.pk}
        assert seen(broker_id=None) == {ours.pk, theirs.pk}
        assert seen(broker_id=10**9) == set()


def test_sql_cannot_ask_anything_else_of_the_caller():
    stand_in = shapes.Caller(caller())
    for name in ("email", "is_superuser", "groups", "is_staff"):
        with pytest.raises(AttributeError):
            getattr(stand_in, name)
    assert type(stand_in.pk) is type(stand_in.broker_id) is Given
    assert shapes.Caller(caller(broker_id=None)).broker_id is None


def test_shapes_do_not_pile_up(written, monkeypatch):
    monkeypatch.setattr(shapes, "MOST", 2)
    first = shapes.Part("taken_at", True, False, False, True)
    for filters in ({}, {"user": "1"}, {"symbol": "x"}, {"side": "long"}, {"side": "short"}):
        listing(TradeViewSet, caller(), **filters).read(first, None, None, 1)
    assert len(written) <= 3
