"""
Whichever way a change is made: it is made again when the database ended it, and not made without its audit event.
"""

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import links, operations, session_operations
from accounts.models import User
from accounts.tests.browser import Browser
from accounts.tests.factories import PASSWORD
from support_platform import audit
from support_platform.audit import Actor
from support_platform.statements import Insert
from support_platform.tests.calls import BASE, assert_problem
from support_platform.tests.console import Console, address, told
from support_platform.tests.test_faults_database import as_django, assert_fault_page

JSON = "application/json"
BY = Actor(name="test")


def client():
    return Client(raise_request_exception=False)


# --- done again -------------------------------------------------------------------------------------------
def api_log_in(agent, trader):
    answer = agent.client.post(f"{BASE}auth/token/", {"email": agent.user.email, "password": PASSWORD}, JSON)
    return answer.status_code == 200


def api_refresh(agent, trader):
    return agent.client.post(f"{BASE}auth/token/refresh/", {"refresh": agent.pair["refresh"]}, JSON).status_code == 200


def api_revoke(agent, trader):
    return agent.client.post(f"{BASE}auth/token/revoke/", {}, JSON, headers=agent.headers).status_code == 200


def console_log_in(agent, trader):
    answer = client().post("/admin/login/", {"username": agent.user.email, "password": PASSWORD})
    return answer.status_code == 302 and "sessionid" in answer.cookies


def console_form(agent, trader):
    return told(Console(agent.user).save(trader, phone="+4915112345678", steps=["confirm"])) == ["Done."]


def console_action(agent, trader):
    page = Console(agent.user).operate(User, "deactivate", [trader], deployments="leave", steps=["confirm"])
    return told(page) == ["Done."] and not User.objects.get(pk=trader.pk).is_active


def console_export(agent, trader):
    return Console(agent.user).choose(User, "export_csv", [trader]).status_code == 200


def console_password(agent, trader):
    new = "violet tram 48 lantern"
    values = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    return Console(agent.user).post("/admin/password_change/", values).status_code == 302


def traders_password(agent, trader):
    browser = Browser()
    browser.open(links.reset_link(trader))
    return browser.set_password().status_code == 200


def traders_address(agent, trader):
    browser = Browser()
    browser.open(links.email_link(trader))
    return browser.submit("/account/email/").status_code == 200


def command(agent, trader):
    call_command("set_status", trader.email, "inactive")
    return True


@pytest.mark.parametrize(
    "change",
    [
        api_log_in,
        api_refresh,
        api_revoke,
        console_log_in,
        console_form,
        console_action,
        console_export,
        console_password,
        traders_password,
        traders_address,
        command,
    ],
    ids=lambda change: change.__name__,
)
def test_what_a_deadlock_ended_is_done_again(real_database, agent, trader, monkeypatch, change):
    operations.change_contact(trader, by=BY, email="new@demo.example")
    operations.reset_password(User.objects.get(pk=trader.pk), by=BY)
    trader.refresh_from_db()
    agent.pair = session_operations.log_in(agent.user, by=Actor.of(agent.user))
    falls = []

    def falling_once(function):
        def falling(*args, **kwargs):
            if not falls:
                falls.append(1)
                raise as_django(psycopg.errors.lookup("40P01")("deadlock detected"))
            return function(*args, **kwargs)

        return falling

    monkeypatch.setattr(audit, "record", falling_once(audit.record))
    monkeypatch.setattr(session_operations, "_issue_pair", falling_once(session_operations._issue_pair))

    assert change(agent, trader)
    assert falls == [1]


# --- no audit event, no change ----------------------------------------------------------------------------
@pytest.fixture
def trail_is_full(monkeypatch):
    def fail(*values):
        raise as_django(psycopg.errors.lookup("53100")("no room for another event"))

    def arrange():
        monkeypatch.setattr(Insert, "write", fail)

    return arrange


def state_of(*rows):
    return [type(row).objects.filter(pk=row.pk).values().get() for row in rows]


def test_a_trader_changes_nothing_unrecorded(trader, trail_is_full, mailoutbox):
    operations.change_contact(trader, by=BY, email="new@demo.example")
    operations.reset_password(User.objects.get(pk=trader.pk), by=BY)
    trader.refresh_from_db()
    reset, confirmation = Browser(), Browser()
    reset.open(links.reset_link(trader))
    confirmation.open(links.email_link(trader))
    before = state_of(trader)
    trail_is_full()

    answers = [reset.set_password(), confirmation.submit("/account/email/")]

    for answer in answers:
        assert_fault_page(answer, 503)
    assert state_of(trader) == before
    assert mailoutbox == []


def test_the_console_changes_nothing_unrecorded(agent, trader, trail_is_full, mailoutbox):
    console = Console(agent.user)
    values = {**console.fields(trader), "reason": "asked", "phone": "+4915112345678"}
    before = state_of(trader)
    chosen = {"seen": f"{trader.pk}:{trader.version}", "reason": "asked", "deployments": "leave"}
    trail_is_full()

    url = address(User, "operate", "deactivate")
    dialogs = [console.send(trader, values, steps=[step]) for step in ("preview", "confirm")]
    dialogs += [console.post(url, {**chosen, "step": step}) for step in ("preview", "confirm")]
    exported = console.choose(User, "export_csv", [trader])

    for dialog in dialogs:
        assert (dialog.status_code, told(dialog)) == (503, ["The database or the cache is away. Try again shortly."])
        assert int(dialog["Retry-After"]) >= 1
        assert dialog.context["form"]["reason"].value() == "asked"
    assert_fault_page(exported, 503)
    assert state_of(trader) == before
    assert mailoutbox == []


def test_nobody_logs_in_or_out_unrecorded(agent, trail_is_full):
    pair = session_operations.log_in(agent.user, by=Actor.of(agent.user))
    user_before = state_of(agent.user)
    trail_is_full()

    by_api = agent.post("auth/token/", {"email": agent.user.email, "password": PASSWORD})
    revoked = agent.post("auth/token/revoke/", {"refresh": pair["refresh"]})
    by_console = client().post("/admin/login/", {"username": agent.user.email, "password": PASSWORD})

    assert_problem(by_api, 503)
    assert_problem(revoked, 503)
    assert_fault_page(by_console, 503)
    assert "sessionid" not in by_console.cookies
    assert state_of(agent.user) == user_before
    assert agent.get("limits/").status_code == 200
    assert agent.post("auth/token/refresh/", {"refresh": pair["refresh"]}).status_code == 200


@pytest.mark.parametrize(
    "command",
    [
        ("reset_password",),
        ("set_status", "inactive"),
        ("stop_deployments",),
    ],
    ids=lambda command: command[0],
)
def test_a_command_changes_nothing_unrecorded(samples, trader, trail_is_full, command, mailoutbox):
    before = state_of(trader, samples["deployments"])
    trail_is_full()

    with pytest.raises(CommandError, match="nothing of it is kept"):
        call_command(command[0], trader.email, *command[1:])

    assert state_of(trader, samples["deployments"]) == before
    assert mailoutbox == []


def test_a_command_makes_no_account_or_token_unrecorded(agent, trail_is_full, monkeypatch):
    monkeypatch.setenv("STAFF_PASSWORD", "violet tram 48 lantern")
    accounts, sessions = User.objects.count(), agent.user.api_sessions.count()
    before = state_of(agent.user)
    trail_is_full()

    for command in (
        ["create_staff", "new@desk.example", "--role", "viewer"],
        ["create_service_token", agent.user.email, "--days", "1"],
        ["changepassword", agent.user.email],
    ):
        with pytest.raises(CommandError, match="nothing of it is kept"):
            call_command(*command)

    assert (User.objects.count(), agent.user.api_sessions.count()) == (accounts, sessions)
    assert state_of(agent.user) == before
