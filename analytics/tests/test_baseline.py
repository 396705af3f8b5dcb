"""A trader beside everyone else: the figures by hand, whom they are of, and what nobody can learn from them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import TraderFactory
from analytics import baseline
from analytics.baseline import Placed, Side
from support_platform.tests.console import Console, text_of
from trading.models import Order
from trading.tests.factories import OrderFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ME = 1
OTHERS = (11, 12, 13, 14, 15)


def gaps(**known):
    return dict.fromkeys(baseline.STAGES) | known


def placed(user, number, symbol="EUR/USD", bps=None, **stages):
    return Placed(number, user, symbol, NOON + timedelta(seconds=number), gaps(**stages), bps)


def own(count, factor=1.0, stage="acknowledgement", symbol="EUR/USD"):
    return [placed(ME, n, symbol, **{stage: n * factor}) for n in range(1, count + 1)]


def others(count, factor=1.0, stage="acknowledgement", symbol="EUR/USD", users=OTHERS):
    return [placed(users[n % len(users)], 1000 + n, symbol, **{stage: n * factor}) for n in range(1, count + 1)]


# --- figures --------------------------------------------------------------------------------------------
def test_medians_and_percentiles_are_those_computed_by_hand():
    """Of 10, 20 ... 200: the median lies between 100 and 110; the p95 5 hundredths of the way from 190 to 200."""
    found = baseline.compare(own(20, 10.0), others(40, 1.0))

    [acknowledgement, *rest] = found.stages
    assert acknowledgement.own == Side(20, 1, p50=105.0, p95=190.5)
    assert acknowledgement.others == Side(40, 5, p50=20.5, p95=38.05)  # of 1, 2 ... 40
    assert [(figure.own, figure.others) for figure in rest] == [(Side(0, 0, None, None), Side(0, 0))] * 4
    assert (found.orders, found.other_orders, found.other_traders) == (20, 40, 5)
    assert (found.since, found.until) == (NOON + timedelta(seconds=1), NOON + timedelta(seconds=20))


def test_each_symbol_has_the_same_share_on_both_sides():
    """30 of A and 10 of B beside 60 of A and 10 of B: of each as many, so 30 and 10, those of A evenly chosen."""
    mine = own(30, symbol="A") + own(10, symbol="B")
    theirs = others(60, symbol="A") + others(10, 100.0, symbol="B")

    found = baseline.compare(mine, theirs)

    assert (found.orders, found.other_orders, found.symbols) == (40, 40, ["A", "B"])
    # Every second of A from the newest on (60, 58 ... 2), and 100, 200 ... 1000: the middle of the 40 is 40 and 42.
    assert found.stages[0].others.p50 == 41.0


@pytest.mark.parametrize(
    "of_b", [others(10, symbol="B", users=OTHERS[:4]), others(4, symbol="B"), []], ids=["traders", "orders", "nobody"]
)
def test_a_symbol_that_too_few_others_trade_is_left_out_on_both_sides(of_b):
    found = baseline.compare(own(20, symbol="A") + own(10, 1000.0, symbol="B"), others(20, symbol="A") + of_b)

    assert (found.orders, found.other_orders) == (20, 20)
    assert (found.symbols, found.lone_symbols) == (["A"], ["B"])
    assert found.stages[0].own.p95 == 19.05


# --- verdicts -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (own(20, 20), others(20, 10), "Slower than others: acknowledgement p95 381 ms against 190 ms."),
        (own(20, 10), others(20, 20), "Faster than others: acknowledgement p95 190 ms against 381 ms."),
        (own(20, 10), others(20, 9), "As fast as others: acknowledgement p95 190 ms against 171 ms."),
        # 1.5 times as slow, by less than 20 ms
        (own(20, 1.5), others(20, 1), "As fast as others: acknowledgement p95 28.6 ms against 19.1 ms."),
        (own(20, 100), others(20, 99), "Everyone is slow: acknowledgement p95 1,905 ms against 1,886 ms."),
        (
            own(20, 200),
            others(20, 100),
            "Slower than others, who are slow too: acknowledgement p95 3,810 ms against 1,905 ms.",
        ),
        (own(20, 9, "decision"), others(20, 1, "decision"), "Slower than others: decision p95 171 ms against 19.1 ms."),
        (own(19), others(40), "Too few orders to say: 19 of this trader's newest, and it takes 20."),
        (own(20), others(19), "Nobody to compare with: 19 orders of 5 others, and it takes 20 orders of 5."),
        (own(20), [], "Nobody to compare with: 0 orders of 0 others, and it takes 20 orders of 5."),
        ([], [], "Nobody to compare with: 0 orders of 0 others, and it takes 20 orders of 5."),
    ],
)
def test_the_verdict_on_latency_is_one_sentence(mine, theirs, told):
    assert baseline.compare(mine, theirs).latency_verdict == told


def test_a_later_stage_that_is_slower_is_told_though_the_first_is_not():
    mine = [order._replace(gaps=gaps(acknowledgement=5.0, fill=300.0)) for order in own(20)]
    theirs = [order._replace(gaps=gaps(acknowledgement=5.0, fill=30.0)) for order in others(20)]

    assert baseline.compare(mine, theirs).latency_verdict == "Slower than others: fill p95 300 ms against 30.0 ms."


def test_a_median_that_is_slower_is_told_though_the_p95_is_not():
    mine = [order._replace(gaps=gaps(fill=200.0)) for order in own(20)]
    theirs = [order._replace(gaps=gaps(fill=200.0 if n < 5 else 20.0)) for n, order in enumerate(others(20))]

    assert baseline.compare(mine, theirs).latency_verdict == "Slower than others: fill median 200 ms against 20.0 ms."


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (5.0, 2.0, "Costlier than for others: slippage p95 5.0 bps against 2.0 bps."),
        (2.0, 5.0, "Cheaper than for others: slippage p95 2.0 bps against 5.0 bps."),
        (-1.0, -3.0, "Costlier than for others: slippage p95 -1.0 bps against -3.0 bps."),
        (2.5, 2.0, "As for others: slippage p95 2.5 bps against 2.0 bps."),
        (30.0, 29.0, "Costly for everyone: slippage p95 30.0 bps against 29.0 bps."),
        (90.0, 30.0, "Costlier than for others, for whom it is costly too: slippage p95 90.0 bps against 30.0 bps."),
    ],
)
def test_the_verdict_on_slippage_knows_costs_from_gains(mine, theirs, told):
    found = baseline.compare(
        [order._replace(bps=mine) for order in own(20)], [order._replace(bps=theirs) for order in others(20)]
    )

    assert found.slippage_verdict == told


# --- nobody can be recognised ---------------------------------------------------------------------------
def test_of_a_figure_that_fewer_than_five_others_have_nothing_is_told():
    """All five have an acknowledgement, but only four of them a fill."""
    theirs = [
        order._replace(gaps=gaps(acknowledgement=7.0, fill=None if order.user == 15 else 9.0)) for order in others(50)
    ]
    found = baseline.compare(own(20, stage="fill"), theirs)

    figures = {figure.name: figure.others for figure in found.stages}
    assert figures["acknowledgement"] == Side(50, 5, 7.0, 7.0)
    assert figures["fill"] == Side(40, 4, None, None)


# --- which orders ---------------------------------------------------------------------------------------
def order_of(user, at, milliseconds=50, **values):
    stamps = {"sent_at": at, "acknowledged_at": at + timedelta(milliseconds=milliseconds)}
    return OrderFactory(user=user, **{"signal_at": None, **stamps, **values})


@pytest.fixture
def crowd(broker, other_broker):
    """Five traders, two of them of another broker."""
    return [TraderFactory(broker=broker if number < 3 else other_broker) for number in range(5)]


def test_others_are_those_of_any_broker_on_the_same_symbol_shortly_before(trader, crowd):
    for number in range(20):
        order_of(trader, NOON + timedelta(seconds=number), 100)
    for number in range(20):
        order_of(crowd[number % 5], NOON - timedelta(seconds=number), 10)
    order_of(crowd[0], NOON + timedelta(seconds=20))  # after the newest of the trader's
    order_of(crowd[0], NOON - timedelta(hours=24))  # just too long before the oldest
    order_of(crowd[0], NOON, symbol="GBP/USD")

    found = baseline.baseline_of(trader.pk)

    assert (found.orders, found.other_orders, found.other_traders) == (20, 20, 5)
    assert found.stages[0].others == Side(20, 5, 10.0, 10.0)
    assert found.latency_verdict == "Slower than others: acknowledgement p95 100 ms against 10.0 ms."


def test_slippage_is_that_of_the_metrics(trader, crowd):
    prices = {"expected_price": Decimal(100), "filled_quantity": 1, "filled_at": NOON + timedelta(seconds=60)}
    for number in range(20):
        order_of(trader, NOON + timedelta(seconds=number), filled_price=Decimal("100.05"), **prices)
        order_of(crowd[number % 5], NOON, side="sell", filled_price=Decimal("100.01"), **prices)

    found = baseline.baseline_of(trader.pk).slippage

    assert (found.own.p95, found.others.p95) == (5.0, -1.0)


def test_a_limit_order_counts_up_to_its_acknowledgement_only(trader):
    order_of(trader, NOON, order_type="limit", filled_at=NOON + timedelta(days=3))
    order_of(trader, NOON, order_type="market", filled_at=NOON + timedelta(seconds=1))
    [row, other] = [baseline._placed(*row) for row in Order.objects.order_by("id").values_list(*baseline._COLUMNS)]

    assert {stage for stage, gap in row.gaps.items() if gap is not None} == {"acknowledgement"}
    assert {stage for stage, gap in other.gaps.items() if gap is not None} == {"acknowledgement", "execution", "fill"}


def test_orders_without_an_instant_are_left_out(trader):
    order_of(trader, NOON, sent_at=None, acknowledged_at=None)

    assert baseline.baseline_of(trader.pk).orders == 0


def test_it_reads_no_more_of_many_orders_than_of_few_and_by_the_index(trader, crowd, monkeypatch):
    rows = []
    for user, count in [(trader, 3000), *((other, 1000) for other in crowd)]:
        rows += [
            Order(
                user=user,
                external_id=f"{user.pk}-{number}",
                symbol=f"S{number % 3}",
                side="buy",
                sent_at=NOON - timedelta(seconds=7 * number + user.pk),
                acknowledged_at=NOON - timedelta(seconds=7 * number + user.pk - 1),
            )
            for number in range(count)
        ]
    Order.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    asked = []
    read = baseline.rows_of_all
    monkeypatch.setattr(baseline, "rows_of_all", lambda parts: asked.append(read(parts)) or asked[-1])

    with CaptureQueriesContext(connection) as captured:
        found = baseline.baseline_of(trader.pk)

    assert len(captured) == 2
    assert (found.orders, found.other_traders) == (baseline.OWN, 5)
    assert len(asked[0]) == baseline.ASKED * baseline.NEAREST
    part = captured.captured_queries[1]["sql"].split(" UNION ALL ")[0]
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {part}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "order_symbol_placed" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


# --- the panel ------------------------------------------------------------------------------------------
def test_the_panel_tells_the_verdict_and_no_name_of_others(viewer, trader, crowd):
    for number in range(20):
        order_of(trader, NOON + timedelta(seconds=number), 100)
        order_of(crowd[number % 5], NOON, 10, external_id=f"secret-{number}")

    answer = Console(viewer.user).page(trader)
    words = text_of(answer)

    assert "Slower than others: acknowledgement p95 100 ms against 10.0 ms." in words
    assert "Acknowledgement ms 100 100 20 10 10 20 5" in words
    assert baseline.RULE in words
    assert "secret" not in words
    for other in User.objects.filter(pk__in=[other.pk for other in crowd]):
        assert other.email not in words


def test_the_panel_says_what_is_left_out_and_that_there_is_nothing_yet(viewer, trader):
    assert "No orders yet: there is nothing to compare." in text_of(Console(viewer.user).page(trader))

    order_of(trader, NOON, symbol="<b>lone</b>")

    words = text_of(Console(viewer.user).page(trader))
    assert "Nobody to compare with: 0 orders of 0 others" in words
    assert "Left out, because too few others traded it then: <b>lone</b>" in words


def test_the_newest_orders_tell_their_latency_slippage_and_missing_stamps(viewer, trader):
    prices = {"expected_price": Decimal(100), "filled_price": Decimal("100.05")}
    order_of(trader, NOON, 120, external_id="A-1", filled_at=NOON + timedelta(milliseconds=180), **prices)
    order_of(trader, NOON + timedelta(seconds=1), 90, external_id="A-2", signal_at=NOON + timedelta(seconds=1))

    words = text_of(Console(viewer.user).page(trader))

    assert "A-1 EUR/USD buy 2026-03-02 12:00:00 1 180 signal 5" in words
    assert "A-2 EUR/USD buy 2026-03-02 12:00:01 1 90 filled – not filled" in words
    assert "2 in the list of orders" in words
