"""Strategies, deployments, trades and scanners in the console: by the operations and the rights of the API."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from support_platform.tests.console import COLLEAGUE, Console, address, form_fields, text_of, told
from trading import operations
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory


@pytest.fixture
def agent_console(agent):
    return Console(agent.user)


@pytest.fixture
def console(supervisor):
    return Console(supervisor.user)


def offered(console, row):
    return [operation.name for operation, _ in console.page(row).context["operations"]]


# --- strategies ---------------------------------------------------------------------------------------
def test_publishes_and_unpublishes(agent_console, trader, events):
    strategy = StrategyFactory(user=trader)

    agent_console.operate(Strategy, "publish", [strategy])
    assert Strategy.objects.get(pk=strategy.pk).is_published
    answer = agent_console.operate(Strategy, "publish", [strategy])
    assert told(answer) == ["Nothing to do: it is so already."]
    agent_console.operate(Strategy, "unpublish", [strategy])
    assert not Strategy.objects.get(pk=strategy.pk).is_published

    assert [event.action for event in events()] == ["strategy.published", "strategy.unpublished"]
    assert {event.source for event in events()} == {"console"}


def test_what_the_state_forbids_is_told_row_by_row(agent_console, trader):
    deleted = operations.delete_strategy(StrategyFactory(user=trader), by=COLLEAGUE)
    fine = StrategyFactory(user=trader)

    answer = agent_console.operate(Strategy, "publish", [deleted, fine])

    texts = {outcome.row.pk: outcome.text for outcome, _ in answer.context["outcomes"]}
    assert texts == {
        deleted.pk: "Not done: The strategy is deleted. Restore it, then publish it.",
        fine.pk: "Done.",
    }


def test_deletes_only_what_does_not_run_unless_told_to_stop_it(console, trader, events):
    deployment = DeploymentFactory(user=trader)
    strategy = deployment.strategy

    refused = console.operate(Strategy, "delete", [strategy])
    assert f"Deployments: {deployment.pk}." in told(refused)[0]
    assert not Strategy.objects.get(pk=strategy.pk).is_deleted

    console.operate(Strategy, "delete", [strategy], stop_deployments="on", reason="breaks the rules")
    assert Strategy.objects.get(pk=strategy.pk).is_deleted
    assert Deployment.objects.get(pk=deployment.pk).status == "stopped"
    [event] = events(action="strategy.deleted")
    assert event.reason == "breaks the rules"

    console.operate(Strategy, "restore", [strategy])
    assert not Strategy.objects.get(pk=strategy.pk).is_deleted


def test_agents_publish_but_do_not_delete_strategies(agent_console, trader):
    strategy = StrategyFactory(user=trader)

    assert offered(agent_console, strategy) == ["publish"]
    assert agent_console.operate(Strategy, "delete", [strategy]).status_code == 403
    assert agent_console.post(address(strategy), {"version": 1, "reason": "x", "name": "y"}).status_code == 403
    assert Strategy.objects.get(pk=strategy.pk).version == 1


# --- deployments --------------------------------------------------------------------------------------
def test_pauses_resumes_and_stops_for_good(agent_console, trader, events):
    deployment = DeploymentFactory(user=trader)

    for name, status in (("pause", "paused"), ("resume", "active"), ("stop", "stopped")):
        agent_console.operate(Deployment, name, [deployment])
        assert Deployment.objects.get(pk=deployment.pk).status == status
    answer = agent_console.operate(Deployment, "resume", [deployment])

    assert "The deployment is stopped, for good" in told(answer)[0]
    assert [event.action for event in events()] == ["deployment.paused", "deployment.resumed", "deployment.stopped"]


def test_parameters_change_by_the_api_rules_and_only_what_changed_is_sent(console, trader, events):
    deployment = DeploymentFactory(user=trader, quantity=Decimal("0.000000000001"), stop_loss_pct=Decimal("2.5"))

    console.save(deployment, quantity="123.000000000001", stop_loss_pct="", max_open_trades="7", order_type="limit")

    deployment.refresh_from_db()
    assert deployment.quantity == Decimal("123.000000000001")
    assert (deployment.stop_loss_pct, deployment.max_open_trades, deployment.order_type) == (None, 7, "limit")
    [event] = events()
    assert event.action == "deployment.updated"
    assert event.changes == {
        "quantity": ["0.000000000001", "123.000000000001"],
        "stop_loss_pct": ["2.5", None],
        "max_open_trades": [1, 7],
        "order_type": ["market", "limit"],
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", ""),
        ("quantity", "1e5"),
        ("quantity", "NaN"),
        ("quantity", "1e1000000"),
        ("quantity", "1" * 200),
        ("quantity", "0.0000000000001"),
        ("quantity", "1\x00"),
        ("stop_loss_pct", "101"),
        ("stop_loss_pct", "0.0000001"),
        ("take_profit_pct", "0"),
        ("max_open_trades", "0"),
        ("max_open_trades", "1001"),
        ("max_open_trades", "9" * 40),
        ("order_type", "stop"),
        ("status", "running"),
        ("capital", "0"),
    ],
)
def test_parameters_out_of_range_are_told_at_their_field(console, trader, events, field, value):
    deployment = DeploymentFactory(user=trader)

    answer = console.save(deployment, **{field: value})

    assert answer.context["form"].errors.keys() == {field}
    assert events() == []


def test_agents_change_the_status_but_no_parameter(agent_console, trader):
    deployment = DeploymentFactory(user=trader)

    dialog = agent_console.ask(deployment).context["form"]
    assert set(dialog.fields) == {"status", "seen", "shown", "reason"}
    agent_console.save(deployment, status="paused", quantity="99", capital="1")

    deployment.refresh_from_db()
    assert (deployment.status, deployment.quantity, deployment.capital) == ("paused", Decimal("1.5"), Decimal("10000"))


def test_a_stopped_deployments_parameters_are_refused_in_the_form(console, trader):
    deployment = operations.update_deployment(DeploymentFactory(user=trader), by=COLLEAGUE, status="stopped")

    answer = console.save(deployment, quantity="2")

    assert "The deployment is stopped, for good" in text_of(answer)
    assert answer.context["form"]["quantity"].value() == "2"


def test_a_stale_deployment_is_refused_with_what_changed(console, trader):
    deployment = DeploymentFactory(user=trader)
    opened = console.fields(deployment)
    operations.update_deployment(deployment, by=COLLEAGUE, quantity=Decimal("3.25"), status="paused")

    answer = console.send(deployment, {**opened, "capital": "5000", "reason": "late"})

    assert answer.context["meanwhile"] == [("status", "active", "paused"), ("quantity", "1.5", "3.25")]
    kept = form_fields(answer)
    assert (kept["capital"], kept["status"], kept["quantity"]) == ("5000", "paused", "3.25")
    assert Deployment.objects.get(pk=deployment.pk).capital == Decimal("10000")


# --- trades -------------------------------------------------------------------------------------------
def test_corrects_a_trade_and_tells_the_impact(console, trader, events):
    trade = TradeFactory(user=trader, deployment__user=trader)

    answer = console.save(trade, result="-880.03", strike="100", reason="broker's statement")

    trade.refresh_from_db()
    assert (trade.result, trade.strike, trade.is_corrected) == (Decimal("-880.03"), Decimal("100"), True)
    assert told(answer) == ["Done."]
    assert "Its deployment" in text_of(answer)
    assert "PnL 12.5 -880.03" in text_of(answer)
    [event] = events(action="trade.corrected")
    assert event.changes == {"result": ["12.5", "-880.03"], "strike": [None, "100"]}


def test_reopens_and_closes_a_trade(console, trader):
    taken = datetime(2026, 1, 5, 9, tzinfo=UTC)
    trade = TradeFactory(user=trader, deployment__user=trader, taken_at=taken)

    console.save(trade, closed_at="")
    trade.refresh_from_db()
    assert (trade.closed_at, trade.result) == (None, None)

    console.save(trade, closed_at="2026-01-07T11:00:00+02:00", result="1.25")
    trade.refresh_from_db()
    assert (trade.closed_at, trade.result) == (datetime(2026, 1, 7, 9, tzinfo=UTC), Decimal("1.25"))


def test_an_unchanged_instant_keeps_its_microseconds(console, trader, events):
    taken = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)
    trade = TradeFactory(user=trader, deployment__user=trader, taken_at=taken)

    console.save(trade, result="1")

    assert list(events()[0].changes) == ["result"]
    assert Trade.objects.get(pk=trade.pk).taken_at == taken


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"closed_at": "2999-01-01T00:00:00Z"}, "closed_at"),
        ({"taken_at": "2026-01-05"}, "taken_at"),
        ({"taken_at": ""}, "taken_at"),
        ({"taken_at": "99999-01-01T00:00:00Z"}, "taken_at"),
        ({"result": ""}, "result"),
        ({"result": "-0"}, "result"),
        ({"result": "1e1000000"}, "result"),
        ({"strike": "0"}, "strike"),
        ({"closed_at": "", "result": "5"}, "result"),
    ],
)
def test_what_a_correction_may_not_be(console, trader, events, values, field):
    trade = TradeFactory(user=trader, deployment__user=trader)

    answer = console.save(trade, **values)

    assert answer.context["form"].errors.keys() == {field}
    assert events() == []
    assert Trade.objects.get(pk=trade.pk).version == 1


def test_agents_do_not_correct_trades(agent_console, trader):
    trade = TradeFactory(user=trader, deployment__user=trader)

    assert agent_console.ask(trade).status_code == 403
    assert agent_console.send(trade, {"seen": f"{trade.pk}:1", "result": "1", "reason": "x"}).status_code == 403
    assert agent_console.post(address(trade), {"version": 1, "result": "1", "reason": "x"}).status_code == 403


# --- scanners, orders ---------------------------------------------------------------------------------
def test_deletes_and_restores_scanners(agent_console, trader, events):
    scanners = ScannerFactory.create_batch(2, user=trader)

    answer = agent_console.operate(Scanner, "delete", scanners)
    assert "2 of 2 done." in text_of(answer)
    assert Scanner.objects.deleted().count() == 2
    agent_console.operate(Scanner, "restore", scanners[:1])

    assert Scanner.objects.deleted().get() == scanners[1]
    assert len(events(action="scanner.deleted")) == 2


def test_orders_are_only_looked_at(console, trader):
    order = OrderFactory(user=trader)

    assert offered(console, order) == []
    assert console.post(address(order), {"quantity": "5", "version": 1, "reason": "x"}).status_code == 403
    assert Order.objects.get(pk=order.pk).quantity == Decimal("1")


# --- other brokers ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (StrategyFactory, "publish"),
        (StrategyFactory, "delete"),
        (DeploymentFactory, "stop"),
        (ScannerFactory, "delete"),
    ],
)
def test_another_brokers_rows_are_out_of_reach_by_every_path(console, foreign_trader, events, factory, name):
    row = factory(user=foreign_trader)
    model = type(row)

    answers = [
        console.choose(model, name, [row]),
        console.post(address(model, "operate", name), {"id": row.pk}),
        console.post(address(model, "operate", name), {"seen": f"{row.pk}:1", "reason": "x"}),
        console.post(address(model, "operate", name), {"seen": f"{row.pk}:1", "reason": "x", "step": "confirm"}),
        console.post(address(row), {"version": 1, "reason": "x", "status": "stopped", "quantity": "9"}),
    ]

    assert {answer.status_code for answer in answers} <= {302, 403}
    assert model.objects.get(pk=row.pk).version == 1
    assert {event.action for event in events()} == {f"{model._meta.model_name}.attempt_refused"}


def test_another_brokers_row_is_no_filter_either(console, foreign_trader):
    assert console.get(address(Strategy), user=str(foreign_trader.pk)).status_code == 404
