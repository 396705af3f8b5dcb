"""Tables out of the console: in scope, on record, exact, and harmless in a spreadsheet."""

import csv
import json
from io import StringIO

import pytest

from accounts import operations
from accounts.models import User
from support_platform.models import AuditEvent
from support_platform.tests.console import COLLEAGUE, Console, address
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory


def export(console, model, rows, *, across=False, **query):
    data = {"action": "export_csv", "_selected_action": [row.pk for row in rows], "index": "0"}
    answer = console.post(address(model), data | ({"select_across": "1"} if across else {}), **query)
    assert answer.status_code == 200, answer
    return answer, list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))


def test_trades_are_exact_and_formulas_are_not_run(viewer, trader, events):
    trade = TradeFactory(
        user=trader, deployment__user=trader, symbol="=1+1", result="-5.29", quantity="0.000000000001", external_id="@x"
    )

    answer, [row] = export(Console(viewer.user), Trade, [trade])

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="trades-')
    assert (row["symbol"], row["external_id"]) == ("'=1+1", "'@x")
    assert (row["result"], row["quantity"]) == ("-5.29", "0.000000000001")
    assert row["user.email"] == trader.email
    assert row["taken_at"].endswith("Z")
    [event] = events()
    assert (event.action, event.source, event.actor) == ("trade.exported", "console", viewer.user.email)
    assert event.changes["rows"] == [None, 1]
    assert event.broker == viewer.user.broker_id


def test_everything_in_the_list_with_its_filters_and_nothing_of_others(viewer, trader, foreign_trader, events):
    kept = StrategyFactory.create_batch(3, user=trader, symbol="BTC/USDT")
    StrategyFactory(user=trader, symbol="ETH/USDT")
    StrategyFactory(user=foreign_trader, symbol="BTC/USDT")

    _, rows = export(Console(viewer.user), Strategy, kept[:1], across=True, q="btc", status="active")

    assert {int(row["id"]) for row in rows} == {strategy.pk for strategy in kept}
    assert {row["active_deployments"] for row in rows} == {"0"}
    [event] = events(action="strategy.exported")
    assert event.changes == {"rows": [None, 3], "filters": [None, {"q": "btc", "status": "active"}]}


def test_chosen_rows_of_others_are_left_out(viewer, trader, foreign_trader):
    own, foreign = StrategyFactory(user=trader), StrategyFactory(user=foreign_trader)

    _, rows = export(Console(viewer.user), Strategy, [own, foreign])

    assert [int(row["id"]) for row in rows] == [own.pk]


@pytest.mark.parametrize(
    ("model", "factory"),
    [(Deployment, DeploymentFactory), (Order, OrderFactory), (Scanner, ScannerFactory)],
)
def test_every_list_of_a_traders_rows_can_be_taken_along(viewer, trader, model, factory):
    row = factory(user=trader)

    _, [line] = export(Console(viewer.user), model, [row])

    assert (line["id"], line["user_id"]) == (str(row.pk), str(trader.pk))
    assert None not in line


def test_traders_go_without_secrets(viewer, trader):
    User.objects.filter(pk=trader.pk).update(first_name="=cmd", phone="+4915112345678")

    _, [row] = export(Console(viewer.user), User, [trader])

    assert (row["email"], row["first_name"], row["phone"]) == (trader.email, "'=cmd", "'+4915112345678")
    assert row["status"] == "active"
    assert not {"password", "reset_nonce", "session_version"} & set(row)


def test_no_more_than_the_limit_and_the_name_says_so(viewer, trader, monkeypatch, events):
    monkeypatch.setattr("support_platform.console.export.MAX_EXPORT", 2)
    scanners = ScannerFactory.create_batch(3, user=trader)

    answer, rows = export(Console(viewer.user), Scanner, scanners)

    assert [int(row["id"]) for row in rows] == [scanners[2].pk, scanners[1].pk]
    assert "scanners-first-2-" in answer["Content-Disposition"]
    assert events()[-1].changes["rows"] == [None, 2]


def test_it_is_made_in_as_many_queries_whatever_its_length(viewer, trader, django_assert_max_num_queries):
    deployments = DeploymentFactory.create_batch(30, user=trader)
    console = Console(viewer.user)

    with django_assert_max_num_queries(12):
        export(console, Deployment, deployments)


def test_the_trail_is_taken_along_as_far_as_the_person_may_read_it(supervisor, viewer, trader, foreign_trader, events):
    operations.change_contact(foreign_trader, by=COLLEAGUE, phone="+4915112345678")
    operations.change_contact(trader, by=COLLEAGUE.because("=cmd()"), phone="+4915112345678")
    event = events(action="user.contact_changed")[-1]

    answer, [row, *others] = export(Console(supervisor.user), AuditEvent, [event], across=True)
    _, own = export(Console(viewer.user), AuditEvent, [event], across=True)

    assert answer["Content-Disposition"].startswith('attachment; filename="audit-events-')
    assert (row["id"], row["action"], row["reason"]) == (str(event.pk), "user.contact_changed", "'=cmd()")
    assert json.loads(row["changes"]) == {"phone": [None, "+4915112345678"]}
    assert {line["broker"] for line in others} <= {str(trader.broker_id)}
    assert {line["actor_id"] for line in own} <= {str(viewer.user.pk)}
    told = events(action="auditevent.exported")
    assert [(line.actor_id, line.changes["rows"][1]) for line in told] == [
        (supervisor.user.pk, 1 + len(others)),
        (viewer.user.pk, len(own)),
    ]
