"""What the commands on one account share."""

from django.core.management.base import CommandError

from support_platform import audit
from support_platform.commands import ActingCommand, email_address
from support_platform.exceptions import OutOfReach

from .models import User


class TraderCommand(ActingCommand):
    """A command that changes the trader it names by e-mail address."""

    def add_arguments(self, parser):
        parser.add_argument("email", help="the trader's e-mail address")

    def find_trader(self, email):
        """
        The trader, within the reach of `--by`. An attempt on anyone else is recorded.

        :raises OutOfReach: also for staff, whoever asks
        """
        email = email_address(email, "EMAIL")
        reachable = User.objects.visible_to(self.staff) if self.staff else User.objects.traders()
        trader = reachable.filter(email=email).first()
        if trader is None:
            record_refused_attempt(self, email)
            raise OutOfReach(f"there is no trader with the address {email} within reach.")
        return trader


def find_staff(email, *, hint=""):
    """
    The staff account of an address.

    :raises CommandError: if there is none, with the hint
    """
    email = email_address(email, "EMAIL")
    staff = User.objects.staff().filter(email=email).first()
    if staff is None:
        raise CommandError(f"There is no staff account with the address {email}. {hint}".strip())
    return staff


def record_refused_attempt(command, email):
    """
    Put on record that a command named an account out of reach. The id is kept for staff only: a trader of another
    broker leaves the same trace as one who does not exist.
    """
    staff_id = User.objects.staff().filter(email=email).values_list("pk", flat=True).first()
    attempted = type(command).__module__.rpartition(".")[2]
    audit.record_refused_attempt(attempted, "user", staff_id, by=command.by)
