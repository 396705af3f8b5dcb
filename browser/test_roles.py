"""What a person of each role finds on the pages, and what becomes of an address typed by hand."""

import pytest
from django.contrib.auth.models import Group

from accounts.models import ApiSession, Broker, StaffAccount, User
from support_platform.models import AuditEvent
from support_platform.tests.console import address
from trading.models import Trade

from .stage import Case

ROLES = ("Viewer", "Agent", "Supervisor", "superuser")
BY_AGENTS = {
    "trader": ["Change e-mail or phone", "Reset password", "Deactivate"],
    "strategy": ["Publish"],
    "deployment": ["Change deployment", "Pause", "Stop"],
    "trade": [],
    "order": [],
    "scanner": ["Delete"],
}
BY_SUPERVISORS = BY_AGENTS | {"strategy": ["Publish", "Delete"], "trade": ["Correct trade"]}
OFFERED = {
    "Viewer": dict.fromkeys(BY_AGENTS, []),
    "Agent": BY_AGENTS,
    "Supervisor": BY_SUPERVISORS,
    "superuser": BY_SUPERVISORS,
}
OF_ALL = {
    "Home",
    "Traders",
    "Outgoing mails",
    "Strategies",
    "Deployments",
    "Trades",
    "Orders",
    "Scanners",
    "Audit events",
}
OF_SUPERUSERS = {"Staff accounts", "Brokers", "API sessions"}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_offered_what_it_may_do(role, broker, desk):
    case = Case(broker)
    person = desk(role)
    rows = {"trade": case.trades[0]} | {name: getattr(case, name) for name in BY_AGENTS if name != "trade"}

    offered = {name: person.open(row).actions() for name, row in rows.items()}

    assert offered == OFFERED[role]
    assert person.menu() == (OF_ALL | OF_SUPERUSERS if role == "superuser" else OF_ALL)


@pytest.mark.parametrize("role", ["Viewer", "Agent", "Supervisor"])
def test_pages_of_superusers_are_refused(role, desk):
    person = desk(role)

    for model in (StaffAccount, Broker, ApiSession):
        person.open(model, status=403)
        person.sees("To the console")


@pytest.mark.parametrize("kind", BY_AGENTS)
def test_a_row_of_another_broker_does_not_exist(kind, broker, desk):
    case = Case(broker)
    row = case.trades[0] if kind == "trade" else getattr(case, kind)

    person = desk("foreign Agent").open(row)

    assert person.path == "/admin/"
    person.sees("doesn’t exist")


def test_a_list_holds_rows_of_ones_own_broker_only(broker, other_broker, desk):
    own, foreign = Case(broker, "anna"), Case(other_broker, "bert")

    assert desk("Agent").open(Trade).row_ids() == [trade.pk for trade in reversed(own.trades)]
    assert desk("foreign Agent").open(Trade).row_ids() == [trade.pk for trade in reversed(foreign.trades)]
    assert len(desk("superuser").open(Trade).row_ids()) == 6


def test_a_button_that_is_still_on_the_screen_does_not_outlive_the_right(broker, people, window):
    case = Case(broker)
    user = people("Agent")
    person = window(user).open(case.trader)
    person.ask("Deactivate")

    user.groups.set([Group.objects.get(name="Viewer")])
    person.watch.expect(403, address(User, "operate", "deactivate"))
    person.fill(reason="asked by phone")
    person.button("Show what will happen").click()
    person.sees("may not")

    case.trader.refresh_from_db()
    assert case.trader.is_active
    [event] = AuditEvent.objects.filter(actor_id=user.pk)
    assert event.action == "user.attempt_refused"
