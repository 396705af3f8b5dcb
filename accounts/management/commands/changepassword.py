from accounts import staff_operations
from accounts.commands import find_staff
from accounts.management.commands.create_staff import ask_password
from support_platform.commands import ActingCommand
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
        staff = find_staff(email, hint="For a trader use reset_password.")
        staff = retried(staff_operations.change_staff, staff, password=ask_password(staff.email), by=self.by)
        return {"id": staff.pk, "email": staff.email}

    def show(self, outcome):
        self.say(f"The password of {outcome['email']} is changed; its tokens and sessions are ended.")
