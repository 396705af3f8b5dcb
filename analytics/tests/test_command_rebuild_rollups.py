"""Command: rebuild_rollups; and what `purge` does with rollups."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import F

from analytics import rollups
from analytics.models import PerformanceBlock, Rollup, Touch
from support_platform.tests.commands import fail, run, tell
from trading.models import Trade

from .rolled import assert_equal, close, fill, report

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_blocks")]


@pytest.fixture
def scope(deployment):
    fill(deployment)
    report({"user": deployment.user_id})
    report({"deployment": deployment.pk})
    return {"deployment": deployment.pk}


def test_an_empty_database_has_nothing_to_rebuild(db):
    assert run("rebuild_rollups") == {"rollups": 0, "blocks": 0}
    assert run("rebuild_rollups", "--verify") == {"rollups": 0, "blocks": 0, "compared": 0, "differences": []}


def test_verify_compares_every_block_with_the_rows(scope):
    assert run("rebuild_rollups", "--verify") == {"rollups": 2, "blocks": 16, "compared": 20, "differences": []}
    # What the journal calls moved is made anew by the next answer, and is no difference.
    trade = Trade.objects.order_by("closed_at")[20]
    Trade.objects.filter(pk=trade.pk).update(result=Decimal(9))
    assert run("rebuild_rollups", "--verify") == {"rollups": 2, "blocks": 16, "compared": 16, "differences": []}


def test_verify_names_each_difference_and_rebuilding_mends_it(scope):
    trade = Trade.objects.order_by("closed_at")[20]
    Trade.objects.filter(pk=trade.pk).update(result=Decimal(9))
    close(trade.deployment, 999)
    Touch.objects.filter(scope="deployment").delete()

    out = StringIO()
    with pytest.raises(
        CommandError, match="^2 blocks differ from the raw rows. Run rebuild_rollups without --verify.$"
    ):
        call_command("rebuild_rollups", "--verify", stdout=out)

    *_, first, second = out.getvalue().splitlines()
    assert first.startswith(
        f"performance of deployment {scope['deployment']}, from 2026-03-02T16:00:00Z to 2026-03-02T23"
    )
    assert {"pnl", "best", "equity_curve", "series"} <= set(first.split(": ")[1].split(", "))
    assert second.endswith(", behind the last block: size")
    assert run("rebuild_rollups") == {"rollups": 2, "blocks": 16}
    assert run("rebuild_rollups", "--verify")["differences"] == []
    assert_equal(scope)


def test_verify_finds_any_figure_of_a_block_that_was_tampered_with(scope):
    block = PerformanceBlock.objects.filter(rollup__scope="user").order_by("last")[3]
    whole = block.steps
    PerformanceBlock.objects.filter(pk=block.pk).update(steps=bytes(whole)[:-8] + b"\1" * 8)
    # The block, and what was kept of all of them.
    assert "2 blocks differ" in fail("rebuild_rollups", "--verify")
    PerformanceBlock.objects.filter(pk=block.pk).update(steps=whole, first=F("first") - 1)
    assert "1 block differs" in fail("rebuild_rollups", "--verify")


def test_tells_people(scope):
    assert tell("rebuild_rollups").splitlines() == ["rollups  2", "blocks   16"]
    assert tell("rebuild_rollups", "--verify").splitlines()[-1] == "compared  20"


def test_purge_forgets_rollups_that_nobody_reads_and_notes_that_nobody_needs(scope, monkeypatch):
    trade = Trade.objects.order_by("closed_at")[20]
    Touch.objects.all().delete()
    monkeypatch.setattr(rollups, "MANY_TOUCHES", 2)
    for result in (1, 2):
        Trade.objects.filter(pk=trade.pk).update(result=Decimal(result))
    run("purge")
    assert (Rollup.objects.count(), Touch.objects.exclude(scope="strategy").count()) == (2, 4)

    Trade.objects.filter(pk=trade.pk).update(result=Decimal(3))
    removed = run("purge")

    assert removed["rollups"] == 2
    assert (Rollup.objects.count(), PerformanceBlock.objects.count(), Touch.objects.count()) == (0, 0, 0)
    assert_equal(scope)


def test_purge_forgets_the_rollups_of_a_scope_that_is_gone(scope):
    Rollup.objects.create(kind="performance", scope="strategy", scope_id=10**9)

    assert run("purge")["rollups"] == 1
    assert Rollup.objects.count() == 2
