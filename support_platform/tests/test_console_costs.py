"""What the console's pages cost: few queries, and as many for a hundred rows as for one."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import operations, session_operations, staff_operations
from accounts.models import ApiSession, OutgoingMail, StaffAccount
from accounts.tests.factories import BrokerFactory, StaffFactory, TraderFactory
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

LIST, PAGE = 12, 30
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


class Rows:
    """Rows of every kind, all of one trader, one strategy, one deployment, one trade, one request."""

    def __init__(self, broker, staff):
        self.staff, self.by = staff, Actor.of(staff, request_id="one-request")
        self.trader = TraderFactory(broker=broker)
        self.strategy = StrategyFactory(user=self.trader)
        self.deployment = DeploymentFactory(user=self.trader, strategy=self.strategy)
        self.trade = TradeFactory(deployment=self.deployment)
        operations.change_contact(self.trader, by=self.by, phone="+4915112345000")
        self.event = AuditEvent.objects.latest("id")
        self.order = self.scanner = self.mail = None
        self.more(1)
        self.colleague = StaffFactory(broker=broker, role="Agent")
        self.session = session_operations.log_in(self.colleague, by=self.by) and ApiSession.objects.get(
            user=self.colleague
        )

    def more(self, count):
        of_trader = {"user": self.trader, "strategy": self.strategy}
        for number in range(count):
            StrategyFactory(user=self.trader)
            DeploymentFactory(**of_trader)
            TradeFactory(deployment=self.deployment)
            TradeFactory(deployment=self.deployment, closed_at=None, exit_price=None, result=None)
            self.order = OrderFactory(**of_trader, deployment=self.deployment, trade=self.trade)
            self.scanner = ScannerFactory(user=self.trader)
            self.mail = OutgoingMail.objects.create(kind="password_changed", user=self.trader, to=self.trader.email)
            operations.change_contact(self.trader, by=self.by, phone=f"+49151123{AuditEvent.objects.count():05}")
            TraderFactory(broker=self.trader.broker)
            staff = StaffFactory(broker=BrokerFactory(name=f"Broker {BrokerFactory._meta.model.objects.count()}"))
            session_operations.log_in(staff, by=self.by)
            staff_operations.change_staff(staff, by=Actor(name="system"), first_name=f"Kim {number}")

    def row(self, model):
        rows = {
            **{name: getattr(self, name) for name in ("strategy", "deployment", "trade", "order", "scanner")},
            "user": self.trader,
            "broker": self.trader.broker,
            "staffaccount": StaffAccount.objects.get(pk=self.colleague.pk),
            "apisession": self.session,
            "outgoingmail": self.mail,
            "auditevent": self.event,
        }
        return rows[model._meta.model_name]


@pytest.fixture
def rows(broker, superuser):
    return Rows(broker, superuser.user)


def queries(console, path):
    with CaptureQueriesContext(connection) as captured:
        assert console.get(path).status_code == 200
    return [query["sql"][:300] for query in captured]


def test_lists_and_pages_cost_as_much_for_a_hundred_rows_as_for_one(rows, superuser):
    console = Console(superuser.user)
    paths = {f"list of {model._meta.label}": address(model) for model in MODELS}
    paths |= {f"page of {model._meta.label}": address(rows.row(model)) for model in MODELS}
    paths["home"] = "/admin/"
    for path in paths.values():
        console.get(path)  # what is read once for a process is no cost of a page

    one = {name: queries(console, path) for name, path in paths.items()}
    rows.more(100)
    many = {name: queries(console, path) for name, path in paths.items()}

    limits = {name: LIST if name.startswith("list") else PAGE for name in paths}
    assert {name: len(found) for name, found in many.items() if len(found) > limits[name]} == {}
    grown = {name: (len(one[name]), found) for name, found in many.items() if len(found) > len(one[name])}
    assert grown == {}


def test_a_dialog_costs_as_much_for_a_trader_with_a_hundred_rows_as_for_one(rows, superuser):
    console = Console(superuser.user)

    def cost():
        with CaptureQueriesContext(connection) as captured:
            asked = console.ask(rows.trader, "deactivate")
            data = {"seen": asked.context["form"].initial["seen"], "reason": "x", "deployments": "leave"}
            preview = console.post(asked.context["action"], {**data, "step": "preview"})
            assert preview.context["outcome"].is_done
        return len(captured)

    console.ask(rows.trader, "deactivate")
    one = cost()
    rows.more(100)

    assert cost() == one <= 60
