from django.core.management.base import CommandError

from accounts import session_operations
from accounts.models import User
from support_platform.commands import ActingCommand, email_address, whole_number
from support_platform.instants import format_instant
from support_platform.retries import retried


class Command(ActingCommand):
    help = (
        "Make a long-lived access token of a staff account, for a program. It is shown once; "
        "POST /api/v1/auth/token/revoke/ with it ends it, and so does any change of the account's password, "
        "status or role."
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--days", required=True, help="how long it works, 1 to 3650")

    def run(self, *, email, days, **options):
        days = whole_number(days, 1, 3650, "--days")
        email = email_address(email, "EMAIL")
        staff = User.objects.filter(email=email, is_staff=True, is_active=True).first()
        if staff is None:
            raise CommandError(f"There is no active staff account with the address {email}.")
        token, session = retried(session_operations.create_service_token, staff, days, by=self.by)
        return {"token": token, "session": str(session.pk), "expires_at": format_instant(session.expires_at)}

    def show(self, outcome):
        self.table([("session", outcome["session"]), ("expires at", outcome["expires_at"])])
        self.say("The token, shown this once:")
        self.stdout.write(outcome["token"])
