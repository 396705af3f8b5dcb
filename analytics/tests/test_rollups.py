"""Figures folded from kept blocks always equal those of the raw rows, whatever happened to these and by whose hand."""

import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from random import Random

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.models import F

from analytics import blocks, latency_blocks, queries, readings, reports, rollups, slippage_blocks
from analytics.models import LatencyBlock, PerformanceBlock, Rollup, SlippageBlock, Touch
from analytics.queries import Span
from analytics.serializers import SlippageSerializer
from support_platform.audit import Actor
from support_platform.tests.commands import run
from trading import operations
from trading.models import Order, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory, TradeFactory

from .shape import assert_shape

START = datetime(2026, 3, 2, tzinfo=UTC)
PATH = "analytics/performance/"
EVER = Span()
# A long run, by hand: HISTORY_STEPS=100000 pytest -k random_history
STEPS = int(os.environ.get("HISTORY_STEPS", 250))

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks of a few rows, for scopes of a few."""
    monkeypatch.setattr(blocks, "BLOCK", 8)
    monkeypatch.setattr(latency_blocks, "BLOCK", 8)
    monkeypatch.setattr(slippage_blocks, "BLOCK", 8)
    monkeypatch.setattr(rollups, "PART", 24)
    monkeypatch.setattr(readings, "GROUP", 3)
    monkeypatch.setattr(readings, "MANY_ORDERS", 20)
    monkeypatch.setattr(readings, "MANY_TRADES", 20)
    monkeypatch.setattr(rollups, "WAITING", 3)


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader, capital=Decimal(100))


def close(deployment, hours, result=1, **values):
    at = START + timedelta(hours=hours)
    when = {"taken_at": at - timedelta(hours=1), "closed_at": at}
    return TradeFactory(deployment=deployment, **{**when, "result": Decimal(result), "fees": Decimal("0.1"), **values})


def fill(deployment, count=60):
    """Trades an hour apart, every third losing."""
    Trade.objects.bulk_create(
        Trade(
            user=deployment.user,
            strategy=deployment.strategy,
            deployment=deployment,
            symbol="EUR/USD",
            side="long",
            quantity=1,
            entry_price=1,
            fees=Decimal("0.1"),
            result=Decimal(3 if n % 3 else -5),
            taken_at=START + timedelta(hours=n, minutes=-7),
            closed_at=START + timedelta(hours=n),
        )
        for n in range(count)
    )
    return list(Trade.objects.filter(deployment=deployment).order_by("closed_at"))


def report(scope, span=EVER, interval="day"):
    """The answer, from blocks."""
    found = reports.performance_report(scope, span, interval, 5)
    assert Rollup.objects.filter(scope_id=next(iter(scope.values()))).exists()
    return found | {"equity_curve": queries.json_ready(found["equity_curve"])}


def raw(scope, span=EVER, interval="day"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings.PerformanceReading, "blocks", lambda self, span: None)
        patch.setattr(readings.PerformanceReading, "fold", lambda self, span, capital: None)
        patch.setattr(readings.PerformanceReading, "keep", lambda self: None)
        found = reports.performance_report(scope, span, interval, 5)
        return found | {"equity_curve": queries.json_ready(found["equity_curve"])}


def assert_equal(scope, *spans):
    for span in spans or [Span()]:
        assert report(scope, span) == raw(scope, span)


def assert_latency(scope, *spans):
    """As assert_equal, for latency: exact but for the percentiles of many, which are within one per cent."""
    for span in spans or [Span()]:
        found = reports.latency_report(scope, span, None, 5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readings, "latency_of", lambda scope, span: nullcontext())
            expected = reports.latency_report(scope, span, None, 5)
        is_exact = found.pop("method") == expected.pop("method")
        assert is_exact == (found["count"] - without_instant(scope, span) < readings.MANY_ORDERS)
        for stage, figures in found["stages"].items():
            # Between a gap below zero and one above, one per cent is of these, not of what lies between.
            near = {"rel": 0, "abs": 0} if is_exact else {"rel": 0.01, "abs": 1 if figures["clock_skew"] else 0}
            for name in ("p50", "p90", "p95", "p99"):
                gap, true = figures.pop(name), expected["stages"][stage].pop(name)
                assert gap == (None if true is None else pytest.approx(true, **near))
        assert found == expected


def assert_slippage(scope, *spans):
    """As assert_latency."""
    for span in spans or [Span()]:
        found = reports.slippage_report(scope, span, None, 5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readings, "slippage_of", lambda scope, span: nullcontext())
            expected = reports.slippage_report(scope, span, None, 5)
        is_exact = found.pop("method") == expected.pop("method")
        # Between two of a few orders of any size one per cent is of these, not of what lies between.
        near = {"rel": 0, "abs": 0} if is_exact else {"rel": 0.01, "abs": abs(expected["worst_bps"] or 0) / 50}
        for name in ("p5_bps", "p50_bps", "p95_bps", "p99_bps"):
            bps, true = found.pop(name), expected.pop(name)
            assert bps == (None if true is None else pytest.approx(true, **near))
        assert found == expected


def without_instant(scope, span):
    return 0 if span.is_limited else queries.orders_without_instant(scope)


def kept(scope="deployment"):
    return list(PerformanceBlock.objects.filter(rollup__scope=scope).order_by("last").values_list("id", flat=True))


def sql(text, *params):
    with connection.cursor() as cursor:
        cursor.execute(text, params)


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


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own way to write")
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


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no TRUNCATE")
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


def send(deployment, hours, **values):
    at = START + timedelta(hours=hours)
    times = {"sent_at": at, "acknowledged_at": at + timedelta(milliseconds=hours + 1)}
    return OrderFactory(user=deployment.user, deployment=deployment, strategy=deployment.strategy, **times | values)


def test_many_orders_are_kept_in_blocks_and_few_have_exact_percentiles(viewer, deployment):
    orders = [send(deployment, hours) for hours in range(60)]

    answer = viewer.get("analytics/latency/", deployment=deployment.pk).json()

    figures = answer["stages"]["acknowledgement"]
    assert (answer["count"], answer["method"]) == (60, "log-bucket, <= 1 %")
    assert (figures["min"], figures["mean"], figures["max"]) == (1, 30.5, 60)
    assert figures["p50"] == pytest.approx(30.5, rel=0.01)
    assert [row["order"] for row in answer["records"][:2]] == [orders[-1].pk, orders[-2].pk]
    assert list(LatencyBlock.objects.values_list("level", "size").order_by("level", "last")) == [
        *[(0, 8)] * 7,
        (0, 4),
        *[(1, 24)] * 2,
    ]
    since = {"since": "2026-03-04T00:00:00Z"}
    answer = viewer.get("analytics/latency/", deployment=deployment.pk, **since).json()
    assert (answer["count"], answer["method"], answer["stages"]["acknowledgement"]["p50"]) == (12, "linear", 54.5)


def test_orders_that_change_anyhow_are_in_the_next_answer(deployment):
    scope = {"deployment": deployment.pk}
    orders = [send(deployment, hours) for hours in range(90)]
    assert_latency(scope)
    spans = [Span(since=START + timedelta(hours=h), until=START + timedelta(hours=h + 40)) for h in (-9, 0, 7, 33, 60)]

    for change in (
        lambda: send(deployment, 200),
        lambda: send(deployment, -3, acknowledged_at=None),
        lambda: send(deployment, 30.5),
        lambda: send(deployment, 50, sent_at=None, acknowledged_at=None),
        lambda: sql("UPDATE trading_order SET acknowledged_at = sent_at WHERE id = %s", orders[40].pk),
        lambda: sql("UPDATE trading_order SET sent_at = NULL WHERE id = %s", orders[41].pk),
        lambda: sql("DELETE FROM trading_order WHERE id = %s", orders[7].pk),
        lambda: Order.objects.filter(pk__in=[order.pk for order in orders[10:40]]).update(deployment=None),
    ):
        change()
        assert_latency(scope, Span(), *spans)
    assert not Touch.objects.filter(kind="latency", scope="deployment", low__lt=orders[80].sent_at).exists()


def test_the_slippage_of_many_orders_comes_from_blocks(viewer, deployment):
    prices = {"expected_price": Decimal(100), "filled_quantity": Decimal(2)}
    orders = [send(deployment, hours, filled_price=100 + Decimal(hours) / 100, **prices) for hours in range(60)]
    send(deployment, 3, sent_at=None, acknowledged_at=None, filled_price=Decimal(90), **prices)
    send(deployment, 9)

    answer = viewer.get("analytics/slippage/", deployment=deployment.pk).json()

    assert (answer["count"], answer["method"], answer["excluded"]["not_filled"]) == (61, "log-bucket, <= 1 %", 1)
    assert (answer["best_bps"], answer["worst_bps"], answer["total_cost"]) == (-1000, 59, "15.4")
    assert answer["p50_bps"] == pytest.approx(29, rel=0.01)
    assert answer["worst"][0] == {"order": orders[-1].pk, "bps": 59, "cost": "1.18"}
    assert_shape(answer, SlippageSerializer())
    answer = viewer.get("analytics/slippage/", deployment=deployment.pk, since="2026-03-04T00:00:00Z").json()
    assert (answer["count"], answer["method"], answer["excluded"]["no_instant"]) == (12, "linear", 1)


def test_orders_whose_prices_change_anyhow_are_in_the_next_answer(deployment):
    scope = {"deployment": deployment.pk}
    prices = {"expected_price": Decimal(100), "filled_price": Decimal(101), "filled_quantity": Decimal(2)}
    orders = [send(deployment, hours, **prices) for hours in range(90)]
    assert_slippage(scope)
    spans = [Span(since=START + timedelta(hours=h), until=START + timedelta(hours=h + 40)) for h in (-9, 0, 7, 33, 60)]

    for change in (
        lambda: send(deployment, -3, **prices),
        lambda: send(deployment, 30.5, **prices | {"side": "sell"}),
        lambda: send(deployment, 50, **prices | {"sent_at": None, "acknowledged_at": None}),
        lambda: sql("UPDATE trading_order SET filled_price = '7' WHERE id = %s", orders[40].pk),
        lambda: sql("UPDATE trading_order SET symbol = 'X' WHERE id = %s", orders[41].pk),
        lambda: sql("UPDATE trading_order SET arrival_price = '100.5' WHERE id = %s", orders[42].pk),
        lambda: sql("UPDATE trading_order SET filled_price = NULL WHERE id = %s", orders[43].pk),
        lambda: Order.objects.filter(pk=orders[43].pk).update(filled_at=orders[43].sent_at),
        lambda: sql("DELETE FROM trading_order WHERE id = %s", orders[7].pk),
    ):
        change()
        assert_slippage(scope, Span(), *spans)


def test_verify_finds_a_latency_block_that_differs(deployment):
    orders = [send(deployment, hours) for hours in range(90)]
    assert_latency({"deployment": deployment.pk})
    sql("UPDATE trading_order SET acknowledged_at = sent_at WHERE id = %s", orders[40].pk)
    Touch.objects.all().delete()

    outcome = StringIO()
    with pytest.raises(CommandError, match="^1 block differs"):
        call_command("rebuild_rollups", "--verify", "--json", stdout=outcome)

    [difference] = json.loads(outcome.getvalue())["differences"]
    assert (difference["kind"], difference["figures"]) == ("latency", ["acknowledgement"])
    assert run("rebuild_rollups") == {"rollups": 1, "blocks": 12 + 3}
    assert run("rebuild_rollups", "--verify")["differences"] == []


class History:
    """Random changes of trades and orders, by the platform and by direct SQL, from one seed."""

    def __init__(self, deployments, seed):
        self.random, self.deployments, self.names = Random(seed), deployments, 0

    def step(self):
        random = self.random
        changes = {
            self.import_trades: 5,
            self.correct: 8,
            self.reopen: 3,
            self.close: 3,
            self.delete: 3,
            self.rewrite: 3,
            self.move: 1,
            self.add_orders: 6,
            self.change_orders: 3,
            self.delete_orders: 1,
        }
        random.choices(list(changes), list(changes.values()))[0]()

    def instant(self):
        """A few are often the same."""
        minutes = self.random.choice([self.random.randrange(60 * 24 * 40), 90 * self.random.randrange(40)])
        return START + timedelta(minutes=minutes, microseconds=self.random.choice([0, 0, 1]))

    def amount(self):
        return Decimal(self.random.randrange(-(10**6), 10**6)).scaleb(-self.random.choice([0, 2, 12]))

    def some(self, model, most):
        ids = list(model.objects.order_by("id").values_list("id", flat=True))
        return self.random.sample(ids, min(len(ids), self.random.randint(1, most)))

    def import_trades(self):
        made = []
        for _ in range(self.random.randint(1, 12)):
            deployment, closed_at = self.random.choice(self.deployments), self.instant()
            is_open = self.random.random() < 0.15
            made.append(
                Trade(
                    user=deployment.user,
                    strategy=deployment.strategy,
                    deployment=deployment,
                    symbol="EUR/USD",
                    side="long",
                    quantity=1,
                    entry_price=1,
                    fees=abs(self.amount()),
                    result=None if is_open else self.amount(),
                    taken_at=closed_at - timedelta(microseconds=self.random.randrange(10**10)),
                    closed_at=None if is_open else closed_at,
                )
            )
        Trade.objects.bulk_create(made)

    def correct(self):
        for trade in Trade.objects.closed().filter(pk__in=self.some(Trade, 2)):
            values = {"result": self.amount()}
            if self.random.random() < 0.5:
                closed_at = self.instant()
                values |= {"closed_at": closed_at, "taken_at": closed_at - timedelta(hours=1)}
            operations.correct_trade(trade, by=Actor("command"), now=START + timedelta(days=99), **values)

    def reopen(self):
        for trade in Trade.objects.closed().filter(pk__in=self.some(Trade, 2)):
            operations.correct_trade(trade, by=Actor("command"), closed_at=None)

    def close(self):
        Trade.objects.open().filter(pk__in=self.some(Trade, 40)).update(
            closed_at=F("taken_at") + timedelta(seconds=5), result=self.amount()
        )

    def delete(self):
        Trade.objects.filter(pk__in=self.some(Trade, 4), orders=None).delete()

    def rewrite(self):
        if self.random.random() < 0.5:
            part = self.random.randint(2, 40)
            sql("UPDATE trading_trade SET fees = %s WHERE id %% %s = 1", str(abs(self.amount())), part)
        else:
            trade = Trade.objects.closed().filter(pk__in=self.some(Trade, 3)).first()
            if trade:
                sql("UPDATE trading_trade SET result = %s WHERE closed_at = %s", str(self.amount()), trade.closed_at)

    def move(self):
        to = self.random.choice(self.deployments)
        Trade.objects.filter(pk__in=self.some(Trade, 3)).update(deployment=to, strategy=to.strategy)

    def add_orders(self):
        made = []
        for trade in Trade.objects.filter(pk__in=self.some(Trade, 5)):
            self.names += 1
            prices = [abs(self.amount()) if self.random.random() < 0.9 else None for _ in range(4)]
            names = ("expected_price", "arrival_price", "filled_price", "filled_quantity")
            made.append(
                Order(
                    user=trade.user,
                    strategy=trade.strategy,
                    deployment=trade.deployment,
                    trade=trade,
                    external_id=f"order {self.names}",
                    symbol=self.random.choice(["EUR/USD", "a, b", "{c}"]),
                    side=self.random.choice(["buy", "sell"]),
                    **self.stamps(),
                    **dict(zip(names, prices, strict=True)),
                )
            )
        Order.objects.bulk_create(made)

    def stamps(self):
        """Sometimes one is missing, or all are; gaps of very different size, some of them negative."""
        at, found = self.instant(), {}
        for name in ("signal_at", "sent_at", "acknowledged_at", "filled_at"):
            at += timedelta(microseconds=int(self.random.lognormvariate(8, 3)) - self.random.choice([0, 0, 0, 900]))
            found[name] = at if self.random.random() < 0.95 else None
        return found if self.random.random() < 0.97 else dict.fromkeys(found)

    def change_orders(self):
        changes = [{"filled_price": abs(self.amount())}, {"trade": None}, {"side": "sell"}, self.stamps()]
        changes += [{"filled_at": self.instant()}, {"signal_at": None}, {"symbol": "EUR/USD"}]
        changes += [{"expected_price": 0}, {"arrival_price": abs(self.amount())}, {"filled_quantity": None}]
        change = self.random.choice(changes)
        Order.objects.filter(pk__in=self.some(Order, 3)).update(**change)
        if self.random.random() < 0.3 and (trades := self.some(Trade, 1)):
            Order.objects.filter(pk__in=self.some(Order, 1)).update(trade=trades[0])

    def delete_orders(self):
        Order.objects.filter(pk__in=self.some(Order, 2)).delete()


def test_a_random_history_leaves_no_difference(deployment):
    other = DeploymentFactory(user=deployment.user, strategy=deployment.strategy, capital=Decimal(50))
    third = DeploymentFactory(user=deployment.user, strategy=StrategyFactory(user=deployment.user), capital=None)
    deployments = [deployment, other, third]
    scopes = [{"user": deployment.user_id}, {"strategy": deployment.strategy_id}]
    scopes += [{"deployment": row.pk} for row in deployments]
    history = History(deployments, seed=STEPS)
    for row in deployments:
        fill(row, 30)
    for scope in scopes:
        report(scope)

    for step in range(STEPS):
        history.step()
        if step % 5 == 0 or STEPS < 1000 and step % 2:
            scope = history.random.choice(scopes)
            edges = sorted([history.instant(), history.instant()])
            span = history.random.choice([Span(), Span(*edges), Span(since=edges[0])])
            assert_equal(scope, span)
            assert_latency(scope, span)
            assert_slippage(scope, span)

    for check in (assert_equal, assert_latency, assert_slippage):
        check({"user": deployment.user_id})
    assert {kind for (kind,) in Rollup.objects.values_list("kind")} == {*Rollup.Kind}
    assert LatencyBlock.objects.filter(level=1).exists() and SlippageBlock.objects.filter(level=1).exists()
    outcome = run("rebuild_rollups", "--verify")
    assert outcome["differences"] == []
    assert outcome["compared"] > 10
