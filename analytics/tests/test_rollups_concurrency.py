"""Rollups while others write and read: nobody is waited for, and no change is lost."""

from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import OperationalError, connection, connections, transaction

from analytics import blocks, readings, rollups
from analytics.models import PerformanceBlock, Rollup, Touch
from analytics.queries import Span
from support_platform.tests.commands import run
from trading.models import Trade
from trading.tests.factories import DeploymentFactory

from .rolled import assert_equal, close, fill, raw, report

EVER = Span()
pytestmark = pytest.mark.usefixtures("real_database", "small_blocks")


@pytest.fixture
def deployment(real_database, trader):
    return DeploymentFactory(user=trader, strategy__user=trader, capital=Decimal(100))


@pytest.fixture
def scope(deployment):
    return {"deployment": deployment.pk}


def while_uncommitted(change, meanwhile):
    """What `meanwhile` gives, while another connection has made a change that it commits only afterwards."""
    made, over = Event(), Event()

    def work():
        with transaction.atomic():
            change()
            made.set()
            over.wait(30)
        connections.close_all()

    thread = Thread(target=work)
    thread.start()
    try:
        assert made.wait(10)
        return meanwhile()
    finally:
        over.set()
        thread.join(30)


def test_a_builder_that_did_not_see_a_writer_is_corrected_by_the_writers_note(deployment, scope):
    """The blocks are built and kept between the write and its commit."""
    trades = fill(deployment)

    seen = while_uncommitted(
        lambda: Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(1000)),
        lambda: raw(scope) if connection.vendor == "sqlite" else report(scope),
    )

    assert seen["pnl"] == 20
    assert report(scope)["best"] == 1000
    assert_equal(scope)


def test_a_late_row_that_commits_after_the_blocks_were_made_anew_is_in_the_next_answer(deployment, scope):
    trades = fill(deployment)
    report(scope)
    Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(7))

    seen = while_uncommitted(lambda: close(deployment, 20, 500), lambda: report(scope))

    assert (seen["trades"], seen["best"]) == (60, 7)
    assert (report(scope)["trades"], report(scope)["best"]) == (61, 500)
    assert_equal(scope)


def test_only_notes_that_were_read_are_taken_away(deployment, scope):
    trades = fill(deployment)
    report(scope)
    Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(7))
    with rollups.snapshot():
        reading = readings.PerformanceReading(Rollup.objects.get(), scope).refresh()
    Trade.objects.filter(pk=trades[21].pk).update(result=Decimal(70))

    reading.keep()

    assert Touch.objects.filter(scope="deployment").count() == 1
    assert report(scope)["best"] == 70
    assert_equal(scope)


def test_of_two_builders_the_first_one_wins(deployment, scope):
    trades = fill(deployment)
    report(scope)
    Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(7))
    with rollups.snapshot():
        slow = readings.PerformanceReading(Rollup.objects.get(), scope).refresh()
    Trade.objects.filter(pk=trades[21].pk).update(result=Decimal(70))
    report(scope)
    kept = set(PerformanceBlock.objects.values_list("id", flat=True))

    slow.keep()

    assert set(PerformanceBlock.objects.values_list("id", flat=True)) == kept
    assert report(scope)["best"] == 70
    assert_equal(scope)


def test_many_readers_and_writers_at_once(deployment, scope, race):
    trades = fill(deployment)

    def write(number):
        for trade in trades[number::20]:
            Trade.objects.filter(pk=trade.pk).update(result=Decimal(number))

    def read():
        for _ in range(10):
            assert report(scope)["trades"] == 60

    results = race(read, lambda: write(1), read, lambda: write(2), read)

    assert results == [None] * 5
    assert_equal(scope)
    assert run("rebuild_rollups", "--verify")["differences"] == []


def test_the_answer_comes_while_the_database_takes_no_writes(deployment, scope, monkeypatch):
    trades = fill(deployment)

    def refuse(execute, sql, params, many, context):
        if sql.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            raise OperationalError("attempt to write a readonly database")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        assert raw(scope)["trades"] == 60
    report(scope)
    before = list(PerformanceBlock.objects.values_list("id", flat=True))
    Trade.objects.filter(pk=trades[20].pk).update(result=Decimal(7))
    with connection.execute_wrapper(refuse):
        assert_equal(scope)

    assert list(PerformanceBlock.objects.values_list("id", flat=True)) == before
    assert_equal(scope)
    assert list(PerformanceBlock.objects.values_list("id", flat=True)) != before


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite keeps a whole transaction to one moment itself")
def test_all_that_an_answer_tells_is_of_one_moment(deployment, scope, monkeypatch):
    fill(deployment)
    report(scope)
    read = readings.PerformanceReading.blocks

    def write_in_between(self, span):
        found = read(self, span)
        thread = Thread(target=lambda: (close(deployment, 200, 9), connections.close_all()))
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(readings.PerformanceReading, "blocks", write_in_between)
    answer = report(scope)

    assert answer["trades"] == 60
    assert answer["records"][0]["result"] != 9


def test_blocks_packed_before_are_read_after(deployment, scope):
    """What stands in the database is bytes: their order is fixed."""
    fill(deployment, 21)
    report(scope)

    row = PerformanceBlock.objects.order_by("last").first()

    assert bytes(row.steps[:8]) == blocks.microseconds(Trade.objects.earliest("closed_at").closed_at).to_bytes(
        8, "little"
    )
