"""The pages of strategies, deployments, trades, orders and scanners: what they tell, to whom, and at what cost."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.factories import StaffFactory
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.console import COLLEAGUE, Console, address, text_of
from trading import operations
from trading.deployment_queries import MAX_EVENTS
from trading.models import Deployment
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

TAKEN = datetime(2026, 2, 3, 9, 0, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"
ARABIC = "استراتيجية متابعة الاتجاه"


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader)


@pytest.fixture
def trade(deployment):
    return TradeFactory(deployment=deployment, taken_at=TAKEN)


@pytest.fixture
def viewer_console(broker):
    return Console(StaffFactory(broker=broker, role="Viewer"))


@pytest.fixture
def console(broker):
    return Console(StaffFactory(broker=broker, role="Supervisor"))


def order_of(trade, *, side="buy", **values):
    """One that took 20, 100 and 30 ms; a stamp given as None is unknown."""
    stamps = {
        "signal_at": TAKEN,
        "sent_at": TAKEN + timedelta(milliseconds=20),
        "acknowledged_at": TAKEN + timedelta(milliseconds=120),
        "filled_at": TAKEN + timedelta(milliseconds=150),
    }
    prices = {
        "expected_price": Decimal("100"),
        "arrival_price": Decimal("100.02"),
        "filled_price": Decimal("100.05"),
        "filled_quantity": Decimal("2"),
    }
    owner = {"user": trade.user, "strategy": trade.strategy, "deployment": trade.deployment}
    return OrderFactory(trade=trade, side=side, **owner, **{**stamps, **prices, **values})


def bar_of(response):
    """{kind: width} of the steps in the first bar of a page."""
    content = response.content.decode().partition('<svg class="life"')[2].partition("</svg>")[0]
    found = {}
    for part in content.split("<rect ")[1:]:
        words = dict(pair.split("=") for pair in part.replace('"', "").replace("/>", "").split() if "=" in pair)
        found[words["class"]] = float(words["width"])
    return found


def words_of(response):
    return re.sub(r" (?=[:,.])", "", unescape(text_of(response)))


def page_of(console, row):
    return words_of(console.page(row))


# --- a trade, and an order ---------------------------------------------------------------------------
def test_a_trade_shows_how_long_each_step_of_its_orders_took_and_what_they_cost(viewer, viewer_console, trade):
    entry = order_of(trade)
    order_of(trade, side="sell", filled_price=Decimal("99"))

    response = viewer_console.page(trade)
    page = words_of(response)

    assert f"Entry: {entry.external_id}" in page
    assert "signal → sent 20 ms sent → acknowledged 100 ms acknowledged → filled 30 ms" in page
    assert "signal → filled 150 ms in all" in page
    bar = bar_of(response)
    assert list(bar) == ["signal", "sent", "acknowledged"]
    assert sum(bar.values()) == pytest.approx(1000)
    assert bar["sent"] - 4 == pytest.approx(5 * (bar["signal"] - 4), abs=0.1)
    [slip] = [one for one in records(viewer, "slippage", trade) if one["order"] == entry.pk]
    assert Decimal(str(slip["bps"])) == Decimal(str(slip["delay_bps"])) + Decimal(str(slip["execution_bps"]))
    assert f"Delay 100 100.02 {slip['delay_bps']:.0f}" in page
    assert f"Execution 100.02 100.05 {slip['execution_bps']:.0f}" in page
    assert f"Slippage 100 100.05 {slip['bps']:.0f}" in page
    assert f"Cost {slip['cost']} in quote currency" in page
    costs = sum(Decimal(one["cost"]) for one in records(viewer, "slippage", trade))
    assert f"Slippage cost of these orders together: {costs:f}".rstrip("0").rstrip(".") in page


def records(api, name, trade):
    return api.get(f"analytics/{name}/", deployment=trade.deployment.pk).json()["records"]


@pytest.mark.parametrize(
    ("values", "kinds", "words"),
    [
        (
            {"acknowledged_at": None},
            ["signal", "unsure"],
            ["sent → filled 130 ms", "Unknown: when the broker acknowledged it."],
        ),
        (
            {"signal_at": None, "acknowledged_at": None},
            ["unsure"],
            ["Unknown: when the strategy gave its signal and when the broker acknowledged it.", "130 ms in all"],
        ),
        (
            {"acknowledged_at": TAKEN + timedelta(milliseconds=162.5)},
            ["signal", "sent", "skewed"],
            [
                "acknowledged → filled -12.5 ms",
                "By its stamps it was filled 12.5 ms before the broker acknowledged it: the clocks",
                "signal → filled 150 ms in all",
            ],
        ),
        (
            {"filled_at": None, "filled_price": None},
            ["signal", "sent"],
            ["It was not filled.", "No slippage: not filled."],
        ),
        (
            {"signal_at": None, "sent_at": None, "acknowledged_at": None, "filled_at": None},
            [],
            ["Unknown: when the strategy gave its signal, when it was sent, when the broker acknowledged it and when"],
        ),
        (
            {"sent_at": TAKEN, "acknowledged_at": TAKEN, "filled_at": TAKEN},
            ["signal", "sent", "acknowledged"],
            ["signal → filled 0 ms in all"],
        ),
        ({"expected_price": None}, ["signal", "sent", "acknowledged"], ["No slippage: without an expected price."]),
        ({"arrival_price": None}, ["signal", "sent", "acknowledged"], ["how much of it was delay is unknown", "0.1"]),
        ({"filled_quantity": None}, ["signal", "sent", "acknowledged"], ["Without a filled quantity its cost is unk"]),
    ],
)
def test_what_is_missing_or_goes_back_in_time_is_told_in_words(viewer_console, trade, values, kinds, words):
    order = order_of(trade, **values)

    for row in (trade, order):
        response = viewer_console.page(row)
        page = words_of(response)
        assert list(bar_of(response)) == kinds
        assert [text for text in words if text not in page] == []
        assert all(width >= 4 for width in bar_of(response).values())


def test_an_order_has_the_figures_of_the_api(viewer, viewer_console, trade):
    order = order_of(trade, filled_at=TAKEN + timedelta(microseconds=150_123))

    page = page_of(viewer_console, order)

    [record] = records(viewer, "latency", trade)
    assert record["order"] == order.pk
    assert f"acknowledged → filled {record['fill_ms']} ms" in page
    assert f"signal → filled {record['total_ms']} ms in all" in page


def test_an_order_is_compared_with_the_traders_others(viewer_console, trade, foreign_trader):
    order = order_of(trade)
    for milliseconds in (50, 60, 149, 151):
        order_of(trade, filled_at=TAKEN + timedelta(milliseconds=milliseconds))
    OrderFactory(user=foreign_trader, signal_at=TAKEN, filled_at=TAKEN)
    assert "With 4 other orders that tell of it, there are too few to compare." in page_of(viewer_console, order)
    order_of(trade, filled_at=TAKEN + timedelta(seconds=1))
    order_of(trade, filled_at=None)

    page = page_of(viewer_console, order)

    assert "Total (signal → filled) took 150 ms: longer than 60 of 100 of the trader's newest 5 others." in page
    assert "p50 of the others 149 ms" in page


def test_an_order_without_stamps_is_compared_with_nothing(viewer_console, trader):
    order = OrderFactory(user=trader, sent_at=None)

    page = page_of(viewer_console, order)

    assert "Nothing to compare" in page
    assert "It belongs to no trade that is known." in page
    assert "It belongs to no deployment that is known." in page


def test_an_order_tells_its_trade_and_deployment(viewer_console, trade):
    page = viewer_console.page(order_of(trade)).content.decode()

    assert address(trade) in page
    assert address(trade.deployment) in page
    assert "win, result 12.5, closed 2026-02-03 09:30:00 UTC" in text_of(viewer_console.page(order_of(trade)))


def test_a_trade_without_orders_says_so(viewer_console, trade):
    assert "No orders of this trade are known" in page_of(viewer_console, trade)


def test_a_trade_shows_how_far_its_prices_are_from_the_entry(viewer_console, deployment):
    values = {"entry_price": Decimal(100), "exit_price": Decimal(97), "result": Decimal("5.5"), "fees": Decimal("0.5")}
    trade = TradeFactory(deployment=deployment, side="short", stop_loss=Decimal(102), target=Decimal(95), **values)

    page = page_of(viewer_console, trade)

    for words in ("Entry 100", "Exit 97 +3 %", "Stop loss 102 -2 %", "Target 95 +5 %", "Gross 6 less fees"):
        assert words in page


# --- the parameters at the time ----------------------------------------------------------------------
def then_of(console, trade):
    page = page_of(console, trade)
    return page[page.index("Parameters at the time") : page.index("Corrections")]


@pytest.fixture
def moved(deployment, trade):
    """
    The deployment, whose quantity became 2 before the trade was taken, and afterwards 3 (with a stop loss of 7) and 4.
    """
    plan = (
        {"quantity": Decimal(2)},
        None,
        {"quantity": Decimal(3), "stop_loss_pct": Decimal(7)},
        {"quantity": Decimal(4)},
        {"status": "paused"},
    )
    for values in plan:
        if values is None:
            now = timezone.now()
            type(trade).objects.filter(pk=trade.pk).update(taken_at=now, closed_at=now)
        else:
            operations.update_deployment(deployment, by=COLLEAGUE.because("as asked"), **values)
    deployment.refresh_from_db()
    return deployment


def test_a_trade_shows_the_parameters_that_held_when_it_was_taken(console, trade, moved):
    told = then_of(console, trade)

    assert "Changed since: the values marked." in told
    assert "Quantity 2 4" in told
    assert "Stop loss % – 7" in told
    assert "Max open trades 1 1" in told
    assert told.count("deployment.updated by colleague@desk.example: as asked") == 2


def test_parameters_that_were_never_changed_are_known_to_all(viewer_console, trade):
    told = then_of(viewer_console, trade)

    assert "Nothing of this was changed since." in told
    assert "Quantity 1.5 1.5" in told


def test_parameters_then_are_unknown_to_who_may_not_read_the_trail(viewer_console, trade, moved):
    told = then_of(viewer_console, trade)

    assert "is in the audit trail, which you may not read" in told
    assert "Quantity unknown 4" in told
    assert "as asked" not in told


def test_parameters_that_moved_without_an_event_are_not_certain(console, trade, moved):
    Deployment.objects.filter(pk=moved.pk).update(quantity=Decimal(9))

    told = then_of(console, trade)

    assert "The trail has a gap: quantity was also changed without an event" in told


def test_parameters_that_were_changed_too_often_are_left_to_the_trail(console, trade, moved, monkeypatch):
    monkeypatch.setattr("trading.deployment_queries.MAX_EVENTS", 2)
    assert MAX_EVENTS == 200

    assert "changed so often since" in then_of(console, trade)


# --- corrections -------------------------------------------------------------------------------------
def test_a_trade_tells_every_correction(viewer_console, trade):
    operations.correct_trade(trade, by=COLLEAGUE.because(f"statement {SCRIPT}"), result=Decimal("-3.5"))
    trade.refresh_from_db()
    operations.correct_trade(trade, by=Actor(name="second@desk.example"), closed_at=None)

    response = viewer_console.page(trade)
    page = words_of(response)

    assert "by second@desk.example, without a reason" in page
    assert "Result -3.5 –" in page
    assert "Closed at 2026-02-03T09:30:00Z –" in page
    assert page.index("second@desk.example") < page.index("colleague@desk.example")
    assert "Result 12.5 -3.5" in page
    assert SCRIPT not in response.content.decode()
    assert f"/admin/support_platform/auditevent/{AuditEvent.objects.latest('id').pk}" not in response.content.decode()


def test_who_reads_the_trail_gets_from_a_correction_to_its_event(console, trade):
    operations.correct_trade(trade, by=COLLEAGUE, result=Decimal("-3.5"))

    assert address(AuditEvent.objects.latest("id")) in console.page(trade).content.decode()


def test_corrections_without_an_event_are_told_apart_from_none(viewer_console, trade):
    assert "Never corrected." in page_of(viewer_console, trade)
    type(trade).objects.filter(pk=trade.pk).update(is_corrected=True)
    assert "It is marked as corrected, but no event tells by whom" in page_of(viewer_console, trade)


# --- a deployment ------------------------------------------------------------------------------------
def test_a_deployment_in_order_needs_no_attention(viewer_console, deployment):
    TradeFactory(deployment=deployment, taken_at=timezone.now())

    assert "Needs attention" not in page_of(viewer_console, deployment)


def test_a_deployment_tells_what_is_wrong_with_it(viewer_console, deployment):
    strategy, trader = deployment.strategy, deployment.user
    type(strategy).objects.filter(pk=strategy.pk).update(deleted_at=TAKEN)
    type(trader).objects.filter(pk=trader.pk).update(is_active=False)

    page = page_of(viewer_console, deployment)

    assert "Its strategy was deleted on 2026-02-03 09:00:00 UTC; it runs nevertheless: stop it, or restore" in page
    assert "The trader's account is inactive; yet it is active: pause or stop it." in page


def test_a_deployment_that_trades_too_much_or_no_more_is_told(viewer_console, deployment):
    assert "It has taken no trade yet." in page_of(viewer_console, deployment)
    for _ in range(2):
        TradeFactory(deployment=deployment, taken_at=TAKEN, closed_at=None, exit_price=None, result=None)

    page = page_of(viewer_console, deployment)

    assert "It has 2 open trades and may have 1: see whether some are closed already." in page
    assert f"It has taken no trade for {(timezone.now() - TAKEN).days} days." in page


def test_a_paused_deployment_says_so(viewer_console, deployment):
    operations.update_deployment(deployment, by=COLLEAGUE, status="paused")

    assert "It is paused and takes no trades until it is resumed." in page_of(viewer_console, deployment)


def test_a_stopped_deployment_with_open_trades_is_told(viewer_console, deployment):
    TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)
    operations.update_deployment(deployment, by=COLLEAGUE, status="stopped")

    page = page_of(viewer_console, deployment)

    assert "for good. To go on, the strategy is deployed anew." in page
    assert "Trades of it are still open although it is stopped" in page


def test_a_deployment_lists_its_trades_and_orders(viewer_console, deployment):
    trades = [TradeFactory(deployment=deployment, taken_at=TAKEN + timedelta(hours=n)) for n in range(12)]
    still_open = TradeFactory(deployment=deployment, symbol="OPEN/ONE", closed_at=None, exit_price=None, result=None)
    order = order_of(trades[0], external_id="an-order")

    content = viewer_console.page(deployment).content.decode()

    assert [address(trade) in content for trade in trades] == [False] * 2 + [True] * 10
    assert f"{address(type(trades[0]))}?deployment={deployment.pk}" in content
    assert address(still_open) in content
    assert address(order) in content


def test_a_deployment_tells_its_changes_to_who_may_read_them(console, viewer_console, deployment):
    operations.update_deployment(deployment, by=COLLEAGUE.because("asked by mail"), quantity=Decimal(3))

    told = page_of(console, deployment)
    assert "deployment.updated by colleague@desk.example: asked by mail" in told
    assert "Quantity: 1.5 → 3" in told
    other = page_of(viewer_console, deployment)
    assert "asked by mail" not in other
    assert "You have changed nothing of it." in other
    assert "takes the right to read the audit trail" in other


# --- a strategy, and a scanner -----------------------------------------------------------------------
def test_a_strategy_shows_its_definition_as_names_and_values(viewer_console, trader):
    definition = {"entry": {"rule": "ema_cross", "lengths": [12, 48]}, SCRIPT: SCRIPT, "on": True, "none": None}
    strategy = StrategyFactory(user=trader, name=ARABIC, definition=definition)

    response = viewer_console.page(strategy)

    page = words_of(response)
    for words in ("rule ema_cross", "lengths 12 48", "on true", "none null", ARABIC):
        assert words in page
    assert SCRIPT not in response.content.decode()


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({}, "The trader has defined nothing"),
        ({"a": "x" * 30_000}, "The first 20000 of 30"),
        ({"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": "deep"}}}}}}}}, '"a": "deep"'),
        (["first", 2], "first 2"),
    ],
)
def test_definitions_that_are_empty_long_or_deep(viewer_console, trader, definition, words):
    assert words in page_of(viewer_console, StrategyFactory(user=trader, definition=definition))


def test_a_strategy_lists_its_deployments_active_ones_first_and_its_trades(viewer_console, deployment, trade):
    strategy = deployment.strategy
    stopped = DeploymentFactory(user=strategy.user, strategy=strategy, status="stopped", stopped_at=TAKEN)
    paused = DeploymentFactory(user=strategy.user, strategy=strategy, status="paused")

    content = viewer_console.page(strategy).content.decode()

    places = [content.index(address(row)) for row in (deployment, paused, stopped, trade)]
    assert places == sorted(places)


def test_a_strategy_tells_whether_it_is_published(console, deployment):
    strategy = deployment.strategy
    assert "Not published: only the trader sees it." in page_of(console, strategy)
    operations.publish_strategy(strategy, by=COLLEAGUE.because("reviewed"))
    page = page_of(console, strategy)
    assert "Published since" in page
    assert "Published by colleague@desk.example: reviewed" in page
    operations.delete_strategy(strategy, by=COLLEAGUE, stop_deployments=True)
    assert "restore it to publish it" in page_of(console, strategy)


def test_a_scanner_shows_its_criteria_and_the_traders_others(viewer_console, trader, foreign_trader):
    scanner = ScannerFactory(user=trader, criteria={"indicator": "rsi", "below": 30})
    other, foreign = ScannerFactory(user=trader), ScannerFactory(user=foreign_trader)

    response = viewer_console.page(scanner)

    content = response.content.decode()
    assert "indicator rsi" in text_of(response)
    assert "below 30" in text_of(response)
    assert address(other) in content
    assert address(foreign) not in content


def test_a_scanner_alone_says_so(viewer_console, trader):
    page = page_of(viewer_console, ScannerFactory(user=trader, criteria={}))

    assert "The trader has named no criteria." in page
    assert "The trader has no other scanner." in page


# --- whose, and at what cost -------------------------------------------------------------------------
PANELS = {
    "strategy": {
        "view_strategy": ["definition", "marketplace"],
        "view_deployment": ["deployments"],
        "view_trade": ["performance", "recent-trades"],
        "view_order": ["latency", "slippage"],
    },
    "deployment": {
        "view_deployment": ["changes"],
        "view_trade": ["open-trades", "performance", "recent-trades"],
        "view_order": ["latency", "slippage", "recent-orders"],
    },
    "trade": {
        "view_trade": ["prices-and-result", "corrections"],
        "view_deployment": ["parameters-at-the-time"],
        "view_order": ["how-it-went"],
    },
    "order": {"view_order": ["how-it-went", "compared-with-others", "its-trade-and-deployment"]},
    "scanner": {"view_scanner": ["criteria", "other-scanners"]},
}


@pytest.fixture
def rows(deployment, trade):
    return {
        "strategy": deployment.strategy,
        "deployment": deployment,
        "trade": trade,
        "order": order_of(trade),
        "scanner": ScannerFactory(user=trade.user),
    }


def sections_of(response):
    return {part.partition('"')[0] for part in response.content.decode().split('<section id="')[1:]}


@pytest.mark.parametrize(("noun", "right"), [(noun, right) for noun, parts in PANELS.items() for right in parts])
def test_each_panel_takes_its_right(broker, rows, noun, right):
    staff = StaffFactory(broker=broker)
    staff.user_permissions.set(Permission.objects.filter(codename__in={f"view_{noun}", right}))

    shown = sections_of(Console(staff).page(rows[noun]))

    own = PANELS[noun].get(f"view_{noun}", [])
    assert {name for name in shown if name in sum(PANELS[noun].values(), [])} == {*own, *PANELS[noun][right]}


def test_an_order_tells_nothing_of_what_a_person_may_not_see(broker, rows):
    staff = StaffFactory(broker=broker)
    staff.user_permissions.set(Permission.objects.filter(codename="view_order"))

    page = page_of(Console(staff), rows["order"])

    assert "result 12.5" not in page
    assert "Max open trades" not in page


@pytest.mark.parametrize("noun", PANELS)
def test_another_brokers_agent_sees_none_of_it(other_broker, rows, noun):
    response = Console(StaffFactory(broker=other_broker, role="Supervisor")).page(rows[noun])

    assert response.status_code == 302


@pytest.mark.parametrize("noun", PANELS)
def test_a_page_takes_as_many_queries_for_one_related_row_as_for_a_hundred(console, deployment, rows, noun):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert console.page(rows[noun]).status_code == 200
        return len(captured)

    trade, strategy = rows["trade"], rows["strategy"]
    operations.correct_trade(trade, by=COLLEAGUE, result=Decimal(1))
    operations.publish_strategy(strategy, by=COLLEAGUE)
    operations.update_deployment(deployment, by=COLLEAGUE, quantity=Decimal("1.25"))
    rows["scanner"].refresh_from_db()
    ScannerFactory(user=trade.user)
    TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)
    queries()
    few = queries()
    for n in range(30):
        other = TradeFactory(deployment=deployment, taken_at=TAKEN + timedelta(hours=n))
        order_of(trade if n % 2 else other)
        DeploymentFactory(user=trade.user, strategy=strategy)
        ScannerFactory(user=trade.user)
        trade.refresh_from_db()
        operations.correct_trade(trade, by=COLLEAGUE, result=Decimal(n + 2))
        operations.update_deployment(deployment, by=COLLEAGUE, quantity=Decimal(n + 2))
        (operations.unpublish_strategy, operations.publish_strategy)[n % 2](strategy, by=COLLEAGUE)

    assert queries() == few <= 30
