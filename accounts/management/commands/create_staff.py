import os
import sys
from getpass import getpass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from accounts import staff_operations
from accounts.models import Broker, User
from support_platform.commands import ActingCommand, email_address, text_value
from support_platform.permissions import ROLES
from support_platform.retries import retried

ROLE_NAMES = {role.lower(): role for role in ROLES}


class Command(ActingCommand):
    help = (
        "Make a staff account. Its password comes from the environment variable STAFF_PASSWORD, or is asked for. "
        "(A superuser: manage.py createsuperuser.)"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--role", choices=ROLE_NAMES, required=True)
        parser.add_argument(
            "--broker", metavar="NAME", help="sees this broker's traders only; made if missing (default: sees all)"
        )

    def run(self, *, email, role, broker, **options):
        email = email_address(email, "EMAIL")
        if User.objects.filter(email=email).exists():
            raise CommandError(f"There is an account with the address {email} already.")
        if broker is not None:
            text_value(broker, Broker._meta.get_field("name").max_length, "--broker")
        password = ask_password(email)
        staff, home, is_new = retried(self._create, email, password, role, broker)
        return {
            "id": staff.pk,
            "email": staff.email,
            "role": role,
            "broker": home and home.name,
            "broker_created": is_new,
        }

    @transaction.atomic
    def _create(self, email, password, role, broker):
        """The account, its broker or None, and whether the broker was made for it."""
        existing = Broker.objects.filter(name__iexact=broker).first() if broker else None
        home = existing or (staff_operations.create_broker(broker, by=self.by) if broker else None)
        staff = staff_operations.create_staff(email, password, ROLE_NAMES[role], by=self.by, broker=home)
        return staff, home, bool(home and not existing)

    def show(self, outcome):
        self.table(
            [
                ("email", outcome["email"]),
                ("role", outcome["role"]),
                ("broker", outcome["broker"] or "all"),
            ]
        )
        if outcome["broker_created"]:
            self.say(f"The broker {outcome['broker']} was not there and has been made.")


def ask_password(email):
    """A staff password from STAFF_PASSWORD, or from the person at the terminal; checked by the site's rules."""
    password = os.environ.get("STAFF_PASSWORD")
    if not password:
        if not sys.stdin.isatty():
            raise CommandError("No password: set STAFF_PASSWORD, or run this on a terminal to be asked for it.")
        password = getpass(f"Password of {email}: ")
        if getpass("The same again: ") != password:
            raise CommandError("The two passwords differ; nothing was changed.")
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        raise CommandError(f"The password will not do: {' '.join(error.messages)}") from None
    return password
