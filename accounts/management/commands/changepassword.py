from django.core.management.base import CommandError

from accounts import staff_operations
from accounts.management.commands.create_staff import ask_password
from accounts.models import User
from support_platform.commands import ActingCommand, email_address
from support_platform.retries import retried


class Command(ActingCommand):
    """Stands in for Django's own, which would leave the account's tokens alive and nothing on record."""

    help = (
        "Set the password of a staff account, and end its tokens and sessions. The password comes from the "
        "environment variable STAFF_PASSWORD, or is asked for. (A trader: reset_password.)"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")

    def run(self, *, email, **options):
        email = email_address(email, "EMAIL")
        staff = User.objects.staff().filter(email=email).first()
        if staff is None:
            raise CommandError(f"There is no staff account with the address {email}. For a trader use reset_password.")
        staff = retried(staff_operations.change_staff, staff, password=ask_password(email), by=self.by)
        return {"id": staff.pk, "email": staff.email}

    def show(self, outcome):
        self.say(f"The password of {outcome['email']} is changed; its tokens and sessions are ended.")
