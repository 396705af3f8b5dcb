"""
What the management commands share: one clear line and exit code 1 when they fail, tables for people, JSON for
programs, progress while a person watches, and the actor of what they change.
"""

import json
import logging
import shutil
import sys
import uuid
from contextlib import contextmanager
from io import StringIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError, handle_default_options
from django.core.validators import validate_email
from django.db import Error as DatabaseError
from django.db import connections
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .audit import Actor
from .exceptions import OutOfReach
from .models import REASON_LENGTH, AuditEvent
from .permissions import ROLES
from .text import check_text

UNPREPARED = ("no such table", "no such column", "does not exist")


class Unsuccessful(CommandError):
    """The command has an outcome to show, and it is a failure: it is shown, then the line, then exit code 1."""

    def __init__(self, line, outcome):
        super().__init__(line)
        self.outcome = outcome


class SupportCommand(BaseCommand):
    """
    A subclass does its work in `run(**options)`, which returns the outcome as a dict that JSON can carry, and may
    tell it to people in `show(outcome)`.
    """

    # The checks are the server's, and more than one line when they fail.
    requires_system_checks = []
    no_color = None

    def create_parser(self, prog_name, subcommand, **kwargs):
        parser = super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON document")
        return parser

    def run_from_argv(self, argv):
        """Django's, but a mistyped option is answered like every other failure."""
        with_traceback = "--traceback" in argv
        try:
            options = self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
            handle_default_options(options)
            options = vars(options)
            if options["verbosity"] < 2:
                logging.disable()  # the command itself says what failed
            self.execute(*options.pop("args", ()), **options)
        except CommandError as error:
            if with_traceback:
                raise
            self.stderr.write(f"error: {one_line(error).removeprefix('Error: ')}")
            sys.exit(1)
        finally:
            connections.close_all()

    def execute(self, *args, **options):
        try:
            return super().execute(*args, **options)
        except CommandError:
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise CommandError(explain(error)) from error

    def handle(self, *args, as_json, **options):
        self.no_color = options["no_color"] or None  # None: as the environment says (NO_COLOR)
        try:
            outcome = self.run(*args, **options)
        except Unsuccessful as failure:
            self.present(failure.outcome, as_json)
            raise
        self.present(outcome, as_json)

    def run(self, **options):
        raise NotImplementedError

    def present(self, outcome, as_json):
        if as_json:
            self.stdout.write(json.dumps(outcome))
        else:
            self.show(outcome)

    def show(self, outcome):
        self.table(outcome.items())

    def say(self, text):
        self.stdout.write(printable(text))

    def table(self, rows, *, header=(), title=""):
        """A table on a terminal; elsewhere aligned plain text."""
        if title:
            self.say(title)
        rows = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
        if not self.stdout.isatty():
            lines = [list(header), *rows] if header else rows
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
            return
        table = Table(show_header=bool(header))
        for name in header or rows[0]:
            table.add_column(Text(name) if header else "")
        for row in rows:
            table.add_row(*map(Text, row))
        width = shutil.get_terminal_size().columns
        console = Console(file=StringIO(), force_terminal=True, no_color=self.no_color, width=width)
        console.print(table)
        self.stdout.write(console.file.getvalue(), ending="")

    @contextmanager
    def progress(self, description, total):
        """While it is open, call what it gives with how much of `total` is done; drawn on a terminal only."""
        if not self.stderr.isatty():
            yield lambda done: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True, no_color=self.no_color), transient=True) as bar:
            task = bar.add_task(description, total=total)
            yield lambda done: bar.update(task, completed=done)


class ActingCommand(SupportCommand):
    """
    A command that changes something, in the name of the system (actor `command`) or of the staff member in `--by`.

    `right` is what such a member needs; None: only a superuser may. While it runs, `self.by` is the actor and
    `self.staff` the member, or None.
    """

    right = None

    def create_parser(self, *args, **kwargs):
        parser = super().create_parser(*args, **kwargs)
        parser.add_argument("--by", metavar="STAFF_EMAIL", help="who makes this change (default: the system)")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail")
        return parser

    def handle(self, *args, by, reason, **options):
        self.staff = self._find_staff(by) if by is not None else None
        circumstances = {
            "reason": self._checked_reason(reason),
            "request_id": uuid.uuid4().hex,
            "source": AuditEvent.Source.COMMAND,
        }
        self.by = Actor.of(self.staff, **circumstances) if self.staff else Actor("command", **circumstances)
        super().handle(*args, **options)

    def _find_staff(self, email):
        staff = get_user_model().objects.filter(email=email.lower(), is_staff=True, is_active=True).first()
        if staff is None:
            raise CommandError(f"--by: there is no active staff account with the address {email}.")
        if self.right is None and not staff.is_superuser:
            raise CommandError(f"--by: {staff.email} may not do this; it takes a superuser.")
        if self.right is not None and not staff.has_perm(self.right):
            roles = " or ".join(role for role, rights in ROLES.items() if self.right in rights)
            raise CommandError(f"--by: {staff.email} may not do this; it takes the role {roles}.")
        return staff

    def _checked_reason(self, reason):
        if not reason:
            if settings.AUDIT_REASON_REQUIRED:
                raise CommandError("Say why with --reason: the setting AUDIT_REASON_REQUIRED asks for it.")
            return ""
        try:
            return check_text(reason, REASON_LENGTH)
        except ValueError as error:
            raise CommandError(f"--reason: {error}") from None


def email_address(value, option):
    """
    The address as accounts keep it, in lower case.

    :raises CommandError: if it is none
    """
    try:
        validate_email(value)
        return check_text(value, 254).lower()
    except (ValidationError, ValueError):
        raise CommandError(f"{option}: {value} is not an e-mail address.") from None


def text_value(value, max_length, option):
    """
    :raises CommandError: if it is no readable text of that length
    """
    try:
        return check_text(value, max_length)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None


def whole_number(value, minimum, maximum, option):
    """
    :raises CommandError: if it is none between the two, both included
    """
    digits = str(value)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and minimum <= int(digits) <= maximum):
        raise CommandError(f"{option}: give a whole number from {minimum} to {maximum}, not {value}.")
    return int(digits)


def explain(error):
    """An exception in words for the person at the terminal."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was under way is not kept."
    if isinstance(error, OutOfReach):
        return str(error) or "there is no such trader within reach."
    if isinstance(error, PermissionDenied):
        return str(error) or "this is not allowed."
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, DatabaseError):
        text = one_line(error)
        if any(sign in text for sign in UNPREPARED):
            return f"the database is not prepared; run `manage.py migrate` first ({text})."
        return f"the database did not do it, and nothing of it is kept: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if type(error).__module__.startswith("support_platform."):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (--traceback tells where)"


def printable(text):
    """Without characters that would steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def one_line(error):
    return printable(" ".join(str(error).split()))
