"""What the two imports share."""

from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.commands import record_refused_attempt
from accounts.models import Broker, User
from support_platform.commands import ActingCommand, Unsuccessful, email_address, text_value
from support_platform.exceptions import OutOfReach

from . import imports
from .import_operations import RowsRefused

SHOWN_FAULTS = 50
# Leaves room for ":LINE" in an external_id.
SOURCE_LENGTH = 180


class ImportCommand(ActingCommand):
    """
    A subclass names `shown_by`, the call that shows what came in, opens the file and calls the operation.

    To write a trader's history from a file takes no less than to correct it.
    """

    right = "trading.correct_trade"
    shown_by = None

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument("--trader", metavar="EMAIL", required=True, help="whose they are; made if missing")
        parser.add_argument("--broker", metavar="NAME", required=True, help="the trader's; made if missing")
        parser.add_argument("--source", metavar="NAME", help="where they come from (default: the file's name)")
        parser.add_argument(
            "--skip-bad",
            action="store_true",
            help="import the good rows, and write the bad ones with their error to FILE.rejected.csv",
        )

    def open(self, path, source):
        raise NotImplementedError

    def operate(self, batches, **arguments):
        raise NotImplementedError

    def run(self, *, file, trader, broker, source, skip_bad, **options):
        path = Path(file)
        email = email_address(trader, "--trader")
        self.check_broker(broker, email)
        source = text_value(source if source is not None else path.name, SOURCE_LENGTH, "--source")
        arguments = {"email": email, "broker": broker, "source": source} | self.own(options)
        outcome, rejected, refusal = None, path.with_suffix(".rejected.csv"), None
        try:
            csv_file = self.open(path, source)
            if skip_bad:
                arguments["set_aside"] = lambda faults: imports.write_rejected(csv_file, faults, rejected)
            with self.progress(f"Importing {path.name}", csv_file.size) as advance:
                outcome = self.operate(_watched(csv_file, advance), by=self.by, **arguments)
        except imports.Unreadable as error:
            raise CommandError(str(error)) from error
        except OutOfReach:
            record_refused_attempt(self, email)
            raise
        except RowsRefused as error:
            outcome, refusal = error.outcome, error
        document = {
            "file": str(path),
            "trader": email,
            "broker": outcome.user.broker.name,
            "read": outcome.read,
            "imported": outcome.imported,
            "already_there": outcome.already_there,
            "rejected": outcome.rejected,
            "rounded": outcome.rounded,
            "strategies_created": outcome.strategies_created,
            "deployments_created": outcome.deployments_created,
            "rejected_file": str(rejected) if outcome.faults and skip_bad else None,
            "errors": [
                {"line": line, "field": name, "error": text}
                for line, faults in outcome.faults.items()
                for name, text in faults
            ],
        }
        if refusal:
            advice = "Correct them." if skip_bad else "Correct them, or import the others with --skip-bad."
            raise Unsuccessful(f"{path}: {refusal} {advice}", document) from refusal
        return document

    def own(self, options):
        """The subclass's own options, as arguments of its operation."""
        return {}

    def check_broker(self, name, email):
        """
        A staff member of a broker imports for that broker only, and only a superuser's import makes a broker.

        :raises OutOfReach: otherwise
        """
        text_value(name, Broker._meta.get_field("name").max_length, "--broker")
        if self.staff is None or self.staff.is_superuser:
            return
        brokers = Broker.objects.filter(name__iexact=name)
        if self.staff.broker_id is not None:
            brokers = brokers.filter(pk=self.staff.broker_id)
        if not brokers.exists():
            record_refused_attempt(self, email)
            raise OutOfReach(f"--broker: there is no broker {name} within the reach of {self.staff.email}.")

    def show(self, outcome):
        errors = outcome["errors"]
        for error in errors[:SHOWN_FAULTS]:
            self.say(f"line {error['line']}, {error['field']}: {error['error']}")
        if len(errors) > SHOWN_FAULTS:
            self.say(f"and {len(errors) - SHOWN_FAULTS} more (--json names all)")
        words = {
            "read": "rows read",
            "imported": "imported",
            "already_there": "already there",
            "rejected": "rejected",
            "rounded": "numbers rounded to 12 places",
            "strategies_created": "strategies made",
            "deployments_created": "deployments made",
        }
        title = f"{outcome['file']} for {outcome['trader']} ({outcome['broker']})"
        self.table([(text, outcome[name]) for name, text in words.items()], title=title)
        if outcome["rejected_file"]:
            self.say(f"The rejected rows, each with its error: {outcome['rejected_file']}")
        if outcome["imported"] or outcome["already_there"]:
            if not outcome["imported"]:
                self.say("Nothing was added: what the file holds is there already.")
            if User.objects.traders().filter(email=outcome["trader"]).exists():
                where = f"{settings.PUBLIC_URL}/api/v1/{self.shown_by}/?user_email={quote(outcome['trader'])}"
                self.say(f"See it with: GET {where}")


def _watched(csv_file, advance):
    for batch in csv_file.batches(timezone.now()):
        advance(csv_file.position)
        yield batch
