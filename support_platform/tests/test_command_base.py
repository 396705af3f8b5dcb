"""What every command shares: one clear line when it fails, exit codes, --json, terminals, and who acts."""

import json
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError

from accounts.tests.factories import StaffFactory, TraderFactory
from support_platform import commands
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from support_platform.models import AuditEvent
from support_platform.tests.commands import fail, process, run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a migrated, empty database."""
    var_dir = tmp_path_factory.mktemp("var")
    assert process(var_dir, "migrate", "-v0").returncode == 0
    return var_dir


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["set_status"], "error: the following arguments are required: email, status\n"),
        (["set_status", "a@demo.example", "active", "--nope"], "error: unrecognized arguments: --nope\n"),
        (["set_status", "a@demo.example", "active", "--dep", "stop"], "error: unrecognized arguments: --dep stop\n"),
        (["reset_password", "nobody"], "error: EMAIL: nobody is not an e-mail address.\n"),
        (
            ["reset_password", "a@demo.example"],
            "error: there is no trader with the address a@demo.example within reach.\n",
        ),
        (["seed_demo", "--traders", "none"], "error: --traders: give a whole number from 1 to 100000, not none.\n"),
        (["import_trades", "no.csv", "--trader", "a@demo.example", "--broker", "Demo"],
         "error: no.csv: No such file or directory.\n"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line_and_exit_code_1(prepared, args, line):
    finished = process(prepared, *args)

    assert (finished.returncode, finished.stderr, finished.stdout) == (1, line, "")


def test_a_wrong_choice_names_the_right_ones(prepared):
    finished = process(prepared, "set_status", "a@demo.example", "gone")

    assert finished.returncode == 1
    assert finished.stderr.startswith("error: argument status: invalid choice: 'gone' (choose from ")
    assert finished.stderr.count("\n") == 1


def test_success_and_help_exit_0(prepared):
    helped, sent = process(prepared, "send_mails", "--help"), process(prepared, "send_mails", "--json")

    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--json" in helped.stdout
    assert (sent.returncode, sent.stderr) == (0, "")
    assert json.loads(sent.stdout) == {"sent": 0, "failed": 0, "waiting": []}


def test_a_database_that_is_not_prepared_or_not_there_is_one_line(tmp_path):
    unprepared = process(tmp_path, "send_mails")
    away = process(tmp_path, "send_mails", DATABASE_URL="postgres://nobody@127.0.0.1:1/none")

    assert unprepared.returncode == away.returncode == 1
    assert unprepared.stderr == (
        "error: the database is not prepared; run `manage.py migrate` first (no such table: accounts_outgoingmail).\n"
    )
    assert away.stderr.startswith("error: the database did not do it")
    assert away.stderr.count("\n") == 1


def test_traceback_on_request(prepared):
    finished = process(prepared, "reset_password", "a@demo.example", "--traceback")

    assert finished.returncode == 1
    assert "Traceback" in finished.stderr


class Command(commands.SupportCommand):
    """Fails with what it is given, or shows a table."""

    def __init__(self, outcome, **kwargs):
        super().__init__(**kwargs)
        self.outcome = outcome

    def run(self, **options):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OperationRefused("inactive", "The account is inactive."), "The account is inactive."),
        (InvalidChange(capital=("too_small", "Is too small.")), "capital: Is too small."),
        (OutOfReach(), "there is no such trader within reach."),
        (OperationalError("down"), "the database did not do it, and nothing of it is kept: down"),
        (PermissionError(13, "Permission denied", "a.csv"), "a.csv: Permission denied."),
        (KeyboardInterrupt(), "interrupted; what was under way is not kept."),
        (PermissionDenied(), "this is not allowed."),
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero (--traceback tells"),
    ],
)
def test_every_exception_becomes_a_command_error(error, line):
    with pytest.raises(CommandError) as raised:
        call_command(Command(error))

    assert str(raised.value).startswith(line)
    assert raised.value.__cause__ is error


def test_an_unsuccessful_outcome_is_shown_before_it_fails():
    out = StringIO()

    with pytest.raises(CommandError, match="2 failed"):
        call_command(Command(commands.Unsuccessful("2 failed", {"failed": 2})), "--json", stdout=out)

    assert json.loads(out.getvalue()) == {"failed": 2}


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_table_on_a_terminal_and_plain_text_elsewhere():
    terminal, file = Terminal(), StringIO()

    call_command(Command({"name": "[red]\x1b[31mx", "n": 1}), stdout=terminal)
    call_command(Command({"name": "[red]\x1b[31mx", "n": 1}), stdout=file)

    assert file.getvalue() == "name  [red]\\x1b[31mx\nn     1\n"
    assert "│" in terminal.getvalue()
    assert "[red]\\x1b[31mx" in terminal.getvalue()


def test_progress_is_drawn_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for stderr, drawn in ((Terminal(), True), (StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stderr)
        with Command({}).progress("Sending", 2) as advance:
            advance(2)
        assert ("Sending" in stderr.getvalue()) is drawn


# --- who acts ----------------------------------------------------------------------------------------------
def test_the_system_acts_by_default(trader, events):
    run("set_status", trader.email, "inactive", "--reason", "left us")

    [event] = events(action="user.deactivated")
    assert (event.actor, event.actor_id, event.source, event.reason) == ("command", None, "command", "left us")
    assert len(event.request_id) == 32


def test_by_names_the_staff_member_in_any_case(agent, trader, events):
    run("set_status", trader.email, "inactive", "--by", agent.user.email.upper())

    [event] = events(action="user.deactivated")
    assert (event.actor, event.actor_id, event.source) == (agent.user.email, agent.user.pk, "command")


def test_by_must_be_active_staff_with_the_right(broker, trader, viewer, events):
    gone = StaffFactory(broker=broker, role="Agent", is_active=False)

    for email in (gone.email, trader.email, "nobody@demo.example"):
        line = fail("set_status", trader.email, "inactive", "--by", email)
        assert line == f"--by: there is no active staff account with the address {email}."
    line = fail("set_status", trader.email, "inactive", "--by", viewer.user.email)
    assert line == f"--by: {viewer.user.email} may not do this; it takes the role Agent or Supervisor."
    trader.refresh_from_db()
    assert trader.is_active
    assert events() == []


def test_by_reaches_the_traders_of_its_broker_only(agent, foreign_trader, events):
    line = fail("set_status", foreign_trader.email, "inactive", "--by", agent.user.email)

    assert line == fail("set_status", "nobody@demo.example", "inactive", "--by", agent.user.email).replace(
        "nobody@demo.example", foreign_trader.email
    )
    assert [(e.action, e.subject_id) for e in events()] == [("user.attempt_refused", None)] * 2


def test_staff_is_out_of_reach_and_the_attempt_is_recorded(agent, superuser, events):
    for by, target in ((agent, agent), (agent, superuser), (superuser, agent), (None, superuser)):
        named = ["--by", by.user.email] if by else []
        fail("set_status", target.user.email, "inactive", *named)
        event = events()[-1]
        assert (event.action, event.subject_id) == ("user.attempt_refused", target.user.pk)
        assert event.changes == {"attempted": [None, "set_status"]}
        assert event.actor == (by.user.email if by else "command")
    superuser.user.refresh_from_db()
    assert superuser.user.is_active


def test_a_reason_can_be_required(settings, trader):
    settings.AUDIT_REASON_REQUIRED = True

    assert "AUDIT_REASON_REQUIRED" in fail("set_status", trader.email, "inactive")
    assert fail("set_status", trader.email, "inactive", "--reason", "x" * 501).startswith("--reason: May have 500")
    run("set_status", trader.email, "inactive", "--reason", "left us")
    assert AuditEvent.objects.filter(reason="left us").count() == 1


def test_call_command_takes_plain_keywords(broker):
    trader = TraderFactory(broker=broker)

    call_command("set_status", trader.email, "inactive", deployments="stop", stdout=StringIO())

    trader.refresh_from_db()
    assert not trader.is_active
