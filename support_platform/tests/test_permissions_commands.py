"""
Who may change what by a command, in whose name (`--by`): the rights and the reach are those of the API.

A command that takes `--by` and has no row here fails.
"""

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError

from support_platform.commands import ActingCommand
from support_platform.tests.commands import run
from support_platform.tests.people import grid
from trading.tests.csv_rows import COLUMNS, GOOD

# What comes of it. ok: done; who: --by names no active staff account; right: one that may not do this; reach: the
# trader, who is not to be touched by that one, which is put on record; none: no account of that kind.
BY = (
    *("system", "nobody", "trader", "deactivated", "no role", "Viewer", "Agent", "Supervisor"),
    *("foreign Agent", "foreign Supervisor", "free Agent", "free Supervisor", "superuser"),
)
#              system nobody trader deactivated   no role, Viewer, Agent, Supervisor   foreign A, S   free A, S   root
BY_AGENT = grid("""
    own            ok    who who who   right right ok    ok      reach reach   ok    ok      ok
    foreign        ok    who who who   right right reach reach   ok    ok      ok    ok      ok
    nobody         reach who who who   right right reach reach   reach reach   reach reach   reach
""")
STAFF_ARE_HIDDEN = dict.fromkeys(("peer", "superuser", "self"), BY_AGENT["nobody"])
BY_SUPERVISOR = grid("""
    own            ok    who who who   right right right ok      right reach   right ok      ok
    foreign        ok    who who who   right right right reach   right ok      right ok      ok
    own-as-foreign reach who who who   right right right reach   right reach   right reach   reach
    new            ok    who who who   right right right ok      right reach   right ok      ok
    new-broker     ok    who who who   right right right reach   right reach   right reach   ok
    peer           reach who who who   right right right reach   right reach   right reach   reach
    superuser      reach who who who   right right right reach   right reach   right reach   reach
    self           reach who who who   right right right reach   right reach   right reach   reach
""")
BY_ROOT = grid("""
    peer           ok    who who who   right right right right   right right   right right   ok
    superuser      ok    who who who   right right right right   right right   right right   ok
    self           ok    who who who   right right right right   right right   right right   ok
    own            none  who who who   right right right right   right right   right right   none
    nobody         none  who who who   right right right right   right right   right right   none
""")
DEACTIVATED_IS_NONE = {"deactivated": BY_ROOT["nobody"]}
TO_CREATE = {"": BY_ROOT["peer"]}

TABLE = [
    ("reset_password EMAIL", BY_AGENT | STAFF_ARE_HIDDEN),
    ("set_status EMAIL inactive", BY_AGENT | STAFF_ARE_HIDDEN),
    ("set_status EMAIL inactive --deployments stop", BY_AGENT | STAFF_ARE_HIDDEN),
    ("stop_deployments EMAIL", BY_AGENT | STAFF_ARE_HIDDEN),
    ("import_trades TRADES --trader EMAIL --broker BROKER", BY_SUPERVISOR),
    ("import_orders ORDERS --trader EMAIL --broker BROKER", BY_SUPERVISOR),
    ("create_staff new@desk.example --role viewer", TO_CREATE),
    ("create_staff new@desk.example --role supervisor --broker New", TO_CREATE),
    ("create_service_token EMAIL --days 1", BY_ROOT | DEACTIVATED_IS_NONE),
    ("changepassword EMAIL", BY_ROOT),
    ("remove_second_factor EMAIL", BY_ROOT),
]
LINES = [
    pytest.param(command, target, dict(zip(BY, line.split(), strict=True)), id=f"{command} {target}")
    for command, targets in TABLE
    for target, line in targets.items()
]
ORDERS = (
    "order_id,symbol,side,quantity,expected_price,filled_price,signal_at,sent_at,acknowledged_at,filled_at\n"
    "one,EUR/USD,buy,1,1.1,1.1,,2026-01-05T09:00:00Z,,\n"
)


def test_every_command_that_takes_by_has_its_rows():
    apps = ("support_platform", "accounts", "trading", "analytics")
    commands = {name: load_command_class(app, name) for name, app in get_commands().items() if app in apps}

    acting = {name for name, command in commands.items() if isinstance(command, ActingCommand)}

    assert {command.split()[0] for command, _ in TABLE} == acting


def test_every_command_on_an_account_is_tried_on_staff():
    for command, targets in TABLE:
        if "EMAIL" in command:
            assert {"own", "peer", "superuser", "self"} <= targets.keys(), command
            assert {"nobody", "new"} & targets.keys(), command


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("STAFF_PASSWORD", "another long Enough one")
    (tmp_path / "trades.csv").write_text(f"{COLUMNS}\n{GOOD}\n")
    (tmp_path / "orders.csv").write_text(ORDERS)
    return {"TRADES": tmp_path / "trades.csv", "ORDERS": tmp_path / "orders.csv"}


@pytest.mark.parametrize(("command", "target", "line"), LINES)
def test_permissions_of_commands(command, target, line, world, files):
    seen = {}
    for by in line:
        staff = world.people.get(by)
        named = {"EMAIL": email_of(world, target, by), "BROKER": broker_of(world, target), **files}
        args = [named.get(word, word) for word in command.split()]
        if by != "system":
            args += ["--by", staff.email if staff else "nobody@desk.example"]
        with world.moment():
            seen[by] = outcome_of(*args)

            if seen[by] == "ok":
                changes, refused = world.told()
                assert {event.actor_id for event in changes} == {staff and staff.pk}, by
                assert refused == []
            else:
                world.assert_nothing_kept(attempts=1 if seen[by] == "reach" else 0)
    assert seen == line


def email_of(world, target, by):
    if target == "deactivated":
        return world.people[target].email
    return world.email_of("own" if target == "own-as-foreign" else target, by) if target else ""


def broker_of(world, target):
    if target == "new-broker":
        return "New"
    return (world.foreign if target in ("foreign", "own-as-foreign") else world.own).broker.name


def outcome_of(*args):
    try:
        run(*args)
    except CommandError as refused:
        for part, outcome in (
            ("--by: there is no active staff account", "who"),
            ("may not do this", "right"),
            ("There is no", "none"),
        ):
            if part in str(refused):
                return outcome
        if "reach" in str(refused) or "is another account's address" in str(refused):
            return "reach"
        raise
    return "ok"
