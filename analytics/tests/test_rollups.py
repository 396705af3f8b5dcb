"""Figures folded from kept blocks always equal those of the raw rows, whatever happened to these and by whose hand."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import F

from analytics import queries, reports
from analytics.models import PerformanceBlock, Rollup, Touch
from analytics.queries import Span
from support_platform.audit import Actor
from trading import operations
from trading.models import Order, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory

from .rolled import START, assert_equal, close, fill, kept, raw, report, sql

PATH = "analytics/performance/"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_blocks")]


def test_a_large_scope_is_kept_in_blocks_and_a_small_one_is_not(viewer, deployment):
    fill(deployment)
    small = close(DeploymentFactory(user=deployment.user, strategy=deployment.strategy), 1)

    answers = [viewer.get(PATH, deployment=deployment.pk, interval="day").json() for _ in range(2)]

    assert answers[0] | {"as_of": 0} == answers[1] | {"as_of": 0}
    assert (answers[0]["trades"], answers[0]["pnl"], len(answers[0]["series"])) == (60, "20", 3)
    assert list(PerformanceBlock.objects.values_list("size", flat=True).order_by("last")) == [8] * 7 + [4]
    assert viewer.get(PATH, deployment=small.deployment_id).json()["trades"] == 1
    assert Rollup.objects.count() == 1


def test_only_the_blocks_that_a_correction_touches_are_made_anew(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    report(scope)
    before = kept()
    by = Actor("command")

    operations.correct_trade(trades[20], by=by, result=Decimal("77.7"))

    assert_equal(scope)
    after = kept()
    assert [index for index, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1] == [2]
    assert not Touch.objects.filter(scope="deployment").exists()
    operations.correct_trade(trades[20], by=by, closed_at=trades[50].closed_at)
    assert_equal(scope)
    assert len({*kept()} & {*after}) == len(after) - 2


@pytest.mark.parametrize("hours", [-5, 0, 7, 7.5, 30, 59, 100])
def test_late_rows_and_ties_are_in_the_next_answer(deployment, hours):
    scope = {"deployment": deployment.pk}
    fill(deployment)
    report(scope)

    for result in (10, -40):
        close(deployment, hours, result)
        assert_equal(scope)
    assert report(scope)["trades"] == 62


def test_a_new_trade_is_told_at_once_and_written_only_with_others(deployment):
    scope = {"deployment": deployment.pk}
    fill(deployment)
    report(scope)
    before = kept()

    for hour in range(100, 103):
        close(deployment, hour)
        assert_equal(scope)
        assert kept() == before
    close(deployment, 103)
    assert_equal(scope)
    assert kept() != before
    assert not Touch.objects.filter(scope="deployment").exists()


def test_rows_written_straight_into_the_database_are_noticed(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    order = OrderFactory(user=deployment.user, trade=trades[30], expected_price=Decimal(5), filled_price=Decimal(6))
    Order.objects.update(filled_quantity=Decimal(2))
    assert report(scope)["slippage_cost"] == 2

    for statement in (
        "UPDATE trading_trade SET result = '-7' WHERE id = %s",
        "UPDATE trading_trade SET closed_at = NULL, result = NULL WHERE id = %s",
        "DELETE FROM trading_trade WHERE id = %s",
    ):
        sql(statement, trades[17].pk)
        assert_equal(scope)
    sql("UPDATE trading_order SET filled_price = '4' WHERE id = %s", order.pk)
    assert report(scope)["slippage_cost"] == -2
    sql("UPDATE trading_order SET trade_id = %s WHERE id = %s", trades[50].pk, order.pk)
    assert_equal(scope, Span(until=trades[40].closed_at), Span(since=trades[40].closed_at))
    sql("DELETE FROM trading_order WHERE id = %s", order.pk)
    assert_equal(scope)
    assert report(scope)["slippage_cost"] == 0


def test_a_trade_that_moves_between_scopes_leaves_one_and_enters_the_other(deployment):
    other = DeploymentFactory(user=deployment.user, strategy=StrategyFactory(user=deployment.user))
    scopes = [{"deployment": deployment.pk}, {"strategy": deployment.strategy_id}, {"user": deployment.user_id}]
    scopes += [{"deployment": other.pk}, {"strategy": other.strategy_id}]
    trades, _ = fill(deployment), fill(other)
    for scope in scopes:
        report(scope)

    Trade.objects.filter(pk__in=[trades[9].pk, trades[40].pk]).update(deployment=other, strategy=other.strategy)

    for scope in scopes:
        assert_equal(scope)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own way to write")
def test_a_row_that_is_replaced_on_sqlite_is_noticed(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    report(scope)
    columns = [field.column for field in Trade._meta.fields]
    chosen = ", ".join({"closed_at": f"'{START - timedelta(days=1):%Y-%m-%d %H:%M:%S}'"}.get(c, c) for c in columns)
    chosen = chosen.replace("taken_at", "'2020-01-01 00:00:00'")

    sql(f"INSERT OR REPLACE INTO trading_trade ({', '.join(columns)}) SELECT {chosen} FROM trading_trade WHERE id = %s",
        trades[33].pk)  # fmt: skip

    assert_equal(scope)
    assert raw(scope)["records"] == report(scope)["records"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
def test_a_table_that_is_emptied_is_noticed(deployment):
    scope = {"deployment": deployment.pk}
    fill(deployment)
    report(scope)

    sql("TRUNCATE trading_trade, trading_order")

    assert report(scope)["trades"] == 0


def test_spans_cut_blocks_at_any_instant(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    report(scope)
    instants = [
        None,
        START - timedelta(days=1),
        *(trade.closed_at for trade in trades[::7]),
        START + timedelta(hours=90),
    ]

    assert_equal(scope, *(Span(since, until) for since in instants for until in instants))
    assert_equal(scope, Span(since=trades[8].closed_at + timedelta(microseconds=1)))


def test_shorter_intervals_come_from_the_rows(deployment):
    scope = {"deployment": deployment.pk}
    fill(deployment)
    report(scope)

    assert len(reports.performance_report(scope, Span(), "hour", 5)["series"]) == 60


def test_the_impact_of_a_correction_comes_from_blocks_within_its_transaction(deployment, monkeypatch):
    trades = fill(deployment)
    report({"deployment": deployment.pk})
    monkeypatch.setattr(queries, "closed_trades", None)

    _, before_and_after = operations.correct_trade(trades[11], by=Actor("command"), result=Decimal(-100))

    monkeypatch.undo()
    assert before_and_after["before"]["pnl"] == "20"
    assert before_and_after["after"] == queries.deployment_figures(deployment)
    assert before_and_after["after"]["pnl"] != "20"


def test_within_a_transaction_nothing_is_begun_or_written(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    with transaction.atomic():
        reports.performance_report(scope, Span(), None, 5)
    assert not Rollup.objects.exists()

    report(scope)
    before = kept()
    with transaction.atomic():
        Trade.objects.filter(pk=trades[5].pk).update(result=Decimal(9))
        assert_equal(scope)
        transaction.set_rollback(True)

    assert kept() == before
    assert_equal(scope)


def test_what_is_rolled_back_leaves_no_note(deployment):
    scope, trades = {"deployment": deployment.pk}, fill(deployment)
    report(scope)
    Touch.objects.all().delete()

    with transaction.atomic():
        Trade.objects.filter(pk=trades[5].pk).update(result=Decimal(9))
        transaction.set_rollback(True)

    assert not Touch.objects.exists()


def test_a_rewrite_that_changes_nothing_leaves_no_note(deployment):
    scope = {"deployment": deployment.pk}
    fill(deployment)
    report(scope)
    Touch.objects.all().delete()

    Trade.objects.update(version=F("version") + 1, exit_price=Decimal(7))

    assert not Touch.objects.exists()
