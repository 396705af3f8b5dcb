"""Command: create_staff."""

import pytest
from django.core.management import call_command

from accounts.models import Broker, User
from support_platform.tests.commands import fail, run, tell

PASSWORD = "a long Enough one"


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("STAFF_PASSWORD", PASSWORD)


def test_makes_a_staff_account(broker, events):
    outcome = run("create_staff", "New.Agent@Desk.example", "--role", "agent", "--broker", "demo")

    staff = User.objects.get(email="new.agent@desk.example")
    assert outcome == {
        "id": staff.pk,
        "email": "new.agent@desk.example",
        "role": "agent",
        "broker": "Demo",
        "broker_created": False,
    }
    assert staff.is_staff
    assert not staff.is_superuser
    assert staff.broker == broker
    assert staff.check_password(PASSWORD)
    assert staff.has_perm("accounts.reset_password")
    assert not staff.has_perm("trading.correct_trade")
    [event] = events()
    assert (event.action, event.actor, event.source) == ("staff.created", "command", "command")
    assert PASSWORD not in str(event.changes)


def test_makes_the_broker_if_missing_and_says_so(db, events):
    told = tell("create_staff", "a@desk.example", "--role", "viewer", "--broker", "Fresh")

    assert "The broker Fresh was not there and has been made." in told
    assert User.objects.get().broker == Broker.objects.get(name="Fresh")
    assert [event.action for event in events()] == ["broker.created", "staff.created"]


def test_without_broker_it_sees_all(db):
    assert run("create_staff", "a@desk.example", "--role", "supervisor")["broker"] is None
    assert User.objects.get().broker is None


def test_an_address_is_taken_once(trader):
    line = fail("create_staff", trader.email.upper(), "--role", "viewer")

    assert line == f"There is an account with the address {trader.email} already."


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["nobody", "--role", "viewer"], "EMAIL: nobody is not an e-mail address."),
        ([f"{'a' * 250}@desk.example", "--role", "viewer"], "is not an e-mail address."),
        (["a@desk.example", "--role", "root"], "invalid choice: 'root'"),
        (["a@desk.example"], "the following arguments are required: --role"),
        (["a@desk.example", "--role", "viewer", "--broker", " "], "--broker: Must not be blank."),
        (["a@desk.example", "--role", "viewer", "--broker", "x" * 101], "--broker: May have 100 characters"),
    ],
)
def test_bad_input(db, args, line):
    assert line in fail("create_staff", *args)
    assert not User.objects.exists()


@pytest.mark.parametrize("weak", ["Qz7-x", "password123", "1234567890123"])
def test_the_password_is_validated(db, monkeypatch, weak):
    monkeypatch.setenv("STAFF_PASSWORD", weak)

    line = fail("create_staff", "a@desk.example", "--role", "viewer", "--broker", "Fresh")

    assert line.startswith("The password will not do: ")
    assert weak not in line
    assert not Broker.objects.exists()


def test_without_password_and_terminal_it_says_what_to_do(db, monkeypatch):
    monkeypatch.delenv("STAFF_PASSWORD")

    assert fail("create_staff", "a@desk.example", "--role", "viewer").startswith("No password: set STAFF_PASSWORD")


def test_the_password_is_asked_for_twice(db, monkeypatch):
    monkeypatch.delenv("STAFF_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([PASSWORD, "something else", PASSWORD, PASSWORD])
    monkeypatch.setattr("accounts.management.commands.create_staff.getpass", lambda prompt: next(answers))

    assert fail("create_staff", "a@desk.example", "--role", "viewer").startswith("The two passwords differ")
    run("create_staff", "a@desk.example", "--role", "viewer")
    assert User.objects.get().check_password(PASSWORD)


def test_in_the_name_of_staff_it_takes_a_superuser(supervisor, superuser, events):
    line = fail("create_staff", "a@desk.example", "--role", "viewer", "--by", supervisor.user.email)
    run("create_staff", "a@desk.example", "--role", "viewer", "--by", superuser.user.email, "--reason", "new here")

    assert line == f"--by: {supervisor.user.email} may not do this; it takes a superuser."
    [event] = events()
    assert (event.actor, event.reason) == (superuser.user.email, "new here")


def test_djangos_createsuperuser_is_on_record_too(db, monkeypatch, events):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    call_command("createsuperuser", "--noinput", "--email", "Root@Desk.example", verbosity=0)

    root = User.objects.get(email="root@desk.example")
    assert root.is_superuser and root.is_staff and root.check_password(PASSWORD)
    [event] = events()
    assert (event.action, event.actor, event.source, event.subject_id) == (
        "staff.created",
        "command",
        "command",
        root.pk,
    )
    assert event.changes["is_superuser"] == [None, True]
