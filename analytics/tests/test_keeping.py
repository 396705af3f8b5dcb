"""Blocks made before anybody asks, and answers kept while nothing moves: what is due, and that they stay equal."""

import json
from datetime import timedelta
from decimal import Decimal
from threading import Event

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from analytics import columns, keeping, readings, rollups
from analytics.models import Answer, LatencyBlock, PerformanceBlock, Rollup, Touch
from support_platform.tests.commands import fail, run, tell
from trading.models import Deployment, Order, Trade
from trading.tests.factories import DeploymentFactory

from .rolled import (
    assert_equal,
    assert_latency,
    assert_slippage,
    close,
    fill,
    raw,
    report,
    send,
    sql,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_blocks")]


@pytest.fixture
def scope(deployment):
    return {"deployment": deployment.pk}


def make_due():
    """What is made, as (kind, scope)."""
    for page in keeping.large_scopes():
        keeping.begin(page)
    found = list(keeping.due())
    assert all(keeping.bring_up_to_date(rollup) for rollup in found)
    return sorted((rollup.kind, rollup.scope) for rollup in found)


def test_blocks_of_a_large_scope_are_there_before_its_first_answer(deployment, scope, viewer, monkeypatch):
    fill(deployment)
    close(DeploymentFactory(user=deployment.user, strategy=deployment.strategy), 1)

    assert make_due() == [("performance", "deployment"), ("performance", "strategy"), ("performance", "user")]

    expected = raw(scope)
    for reads in ("closed_trades", "add_costs", "packed"):
        monkeypatch.setattr(columns, reads, None)
    answer = viewer.get("analytics/performance/", deployment=deployment.pk).json()
    assert (answer["trades"], Decimal(answer["pnl"])) == (60, expected["pnl"])
    assert answer["equity_curve"] == expected["equity_curve"]
    assert make_due() == []


def test_orders_have_theirs_too(deployment, scope, monkeypatch):
    for hours in range(30):
        send(deployment, hours, expected_price=Decimal(5), filled_price=Decimal(hours), filled_quantity=Decimal(1))

    assert len(make_due()) == 6

    assert LatencyBlock.objects.filter(rollup__scope="user").exists()
    assert Answer.objects.count() == 6
    monkeypatch.setattr(readings.GroupedReading, "refresh", None)
    assert_latency(scope)
    assert_slippage(scope)


def test_scopes_are_looked_at_page_by_page(deployment, monkeypatch):
    monkeypatch.setattr(keeping, "PAGE", 2)
    for _ in range(3):
        fill(DeploymentFactory(user=deployment.user, strategy=deployment.strategy), 20)

    assert [kind for kind, scope in make_due() if scope == "deployment"] == ["performance"] * 3


def test_what_moves_much_is_due_and_single_trades_at_the_end_are_not(deployment, scope):
    trades = fill(deployment)
    make_due()
    assert not Touch.objects.filter(kind="performance").exists()

    close(deployment, 100)
    assert make_due() == []
    Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(9))
    assert len(make_due()) == 3
    for hours in range(101, 105):  # more than WAITING
        close(deployment, hours)
    assert len(make_due()) == 3
    sql("UPDATE trading_trade SET fees = '2' WHERE id >= %s", trades[50].pk)
    assert len(make_due()) == 3
    assert make_due() == []
    assert_equal(scope)


def test_a_rollup_that_somebody_else_makes_is_left_to_them_until_their_claim_is_over(deployment):
    fill(deployment)
    for page in keeping.large_scopes():
        keeping.begin(page)
    rollup = Rollup.objects.get(scope="deployment")
    Rollup.objects.filter(pk=rollup.pk).update(claimed_until=timezone.now() + timedelta(minutes=1))

    assert not keeping.bring_up_to_date(rollup)
    assert not PerformanceBlock.objects.exists()

    Rollup.objects.filter(pk=rollup.pk).update(claimed_until=timezone.now())
    assert keeping.bring_up_to_date(rollup)
    assert PerformanceBlock.objects.count() == 8
    assert Rollup.objects.get(pk=rollup.pk).claimed_until is None


def test_an_answer_is_kept_while_nothing_moves_and_never_longer(deployment, scope, monkeypatch):
    trades = fill(deployment)
    report(scope)

    with monkeypatch.context() as patch:
        patch.setattr(readings.PerformanceReading, "load", None)
        assert report(scope, interval=None) == raw(scope, interval=None)

    for statement in (
        "UPDATE trading_trade SET result = '-7' WHERE id = %s",
        "UPDATE trading_trade SET closed_at = NULL, result = NULL WHERE id = %s",
        "DELETE FROM trading_trade WHERE id = %s",
    ):
        sql(statement, trades[17].pk)
        assert report(scope, interval=None) == raw(scope, interval=None)
        assert report(scope, interval=None) == raw(scope, interval=None)
    close(deployment, 300)
    assert report(scope, interval=None) == raw(scope, interval=None)


def test_an_answer_goes_with_the_capital_it_was_made_for(deployment, scope):
    fill(deployment)
    report(scope)

    for capital in (Decimal(7), None, Decimal("0.5")):
        Deployment.objects.filter(pk=deployment.pk).update(capital=capital)
        for _ in range(2):
            assert report(scope, interval=None) == raw(scope, interval=None)
            kept = json.loads(Answer.objects.get().folded)[0]
            assert capital == (kept and Decimal(kept))


def test_open_trades_are_counted_anew_for_a_kept_answer(deployment, scope):
    fill(deployment)
    report(scope)

    sql("UPDATE trading_trade SET closed_at = NULL, result = NULL WHERE id = %s", close(deployment, 3).pk)
    report(scope)

    assert report(scope, interval=None)["open_trades"] == 1


def test_verify_compares_kept_answers(deployment, scope):
    fill(deployment)
    make_due()
    assert run("rebuild_rollups", "--verify")["differences"] == []

    answer = Answer.objects.get(rollup__scope="user")
    Answer.objects.filter(pk=answer.pk).update(folded=answer.folded.replace("[60,", "[61,"))

    assert "1 block differs" in fail("rebuild_rollups", "--verify")
    run("rebuild_rollups")
    assert run("rebuild_rollups", "--verify")["differences"] == []


def test_the_command_makes_what_is_due(deployment):
    fill(deployment)

    assert run("rebuild_rollups", "--due") == {"begun": 3, "made_anew": 3}
    assert run("rebuild_rollups", "--due") == {"begun": 0, "made_anew": 0}
    assert tell("rebuild_rollups", "--due").splitlines() == ["begun      0", "made_anew  0"]
    assert run("rebuild_rollups", "--verify")["differences"] == []


@pytest.fixture
def keeper(real_database, monkeypatch):
    """Starts a keeper, and ends it before its database goes."""
    started = []

    def start():
        started.append(keeping.start_keeper(0.02))
        return started[-1]

    yield start
    for thread in started:
        thread.stop(30)
        assert not thread.is_alive()


def test_a_server_makes_them_by_itself(keeper, deployment, monkeypatch):
    fill(deployment)
    made, bring = Event(), keeping.bring_up_to_date

    def watched(rollup, rest):
        done = bring(rollup, rest)
        if PerformanceBlock.objects.values("rollup").distinct().count() == 3:
            made.set()
        return done

    monkeypatch.setattr(keeping, "bring_up_to_date", watched)

    keeper()

    assert made.wait(60)


def test_it_outlives_a_database_that_is_away(keeper, deployment, monkeypatch):
    again, calls = Event(), []

    def due():
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("away")
        again.set()
        return []

    monkeypatch.setattr(keeping, "due", due)

    keeper()

    assert again.wait(60)


def test_a_server_that_ends_forgets_what_it_has_in_hand(deployment, monkeypatch):
    fill(deployment)
    for page in keeping.large_scopes():
        keeping.begin(page)
    keeper = keeping.Keeper()
    keeper.is_ending = True
    keeper.woken.set()

    keeper.go_round()

    assert not PerformanceBlock.objects.exists()
    assert not Rollup.objects.exclude(claimed_until=None).exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite notes nothing of scopes without a rollup")
def test_what_came_in_at_once_is_begun_before_all_are_looked_at(deployment, monkeypatch):
    other, one_by_one, seen = DeploymentFactory(), DeploymentFactory(), {}
    fill(deployment)
    fill(other, 5)
    for hours in range(30):
        close(one_by_one, hours)

    begun = {("performance", name, pk) for name, pk in scopes_of(deployment)}
    assert {scope for page in keeping.noted_scopes(seen) for scope in page} == begun
    assert list(keeping.noted_scopes(seen)) == []
    fill(other, 20)
    begun = {("performance", name, pk) for name, pk in scopes_of(other)}
    assert {scope for page in keeping.noted_scopes(seen) for scope in page} == begun

    monkeypatch.setattr(keeping, "PAGES", 0)
    keeper = keeping.Keeper()
    keeper.go_round()
    assert Rollup.objects.filter(version__gt=0).count() == 6
    assert not any(keeping.noted_scopes(seen))


def scopes_of(deployment):
    return ("user", deployment.user_id), ("strategy", deployment.strategy_id), ("deployment", deployment.pk)


def test_orders_of_trades_far_apart_are_looked_up_as_a_range(deployment, scope, monkeypatch):
    trades = fill(deployment)
    prices = {"expected_price": Decimal(5), "filled_price": Decimal(6), "filled_quantity": Decimal(1)}
    orders = [send(deployment, hours, trade=trades[hours], **prices) for hours in (3, 20, 50)]
    make_due()

    Order.objects.filter(pk__in=[order.pk for order in orders]).update(filled_price=Decimal(9))
    assert_equal(scope)
    assert report(scope)["slippage_cost"] == 12
    monkeypatch.setattr(rollups, "MANY_IDS", 10)
    Order.objects.filter(pk__in=[order.pk for order in orders]).update(filled_price=Decimal(4))
    assert_equal(scope)
    assert report(scope)["slippage_cost"] == -3


def test_ranges_that_overlap_are_one():
    assert rollups.merged([(5, 9), (1, 2), (2, 4), (6, 7), (11, 12)]) == [(1, 4), (5, 9), (11, 12)]
