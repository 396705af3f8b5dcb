from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from support_platform.decimals import PLAIN, check_fits
from trading import import_operations, imports
from trading.commands import ImportCommand
from trading.models import Deployment


class Command(ImportCommand):
    help = (
        "Import a trader's trades from a CSV file with the columns strategy, symbol, side (long|short), quantity, "
        "entry_price, exit_price, strike, fees, result (net of fees), taken_at, closed_at, and optionally stop_loss, "
        "target, external_id. Instants carry their offset (2026-01-31T09:30:00Z). Broker, trader, strategies and one "
        "deployment per strategy are made where missing. All or nothing, and repeating adds nothing."
    )
    shown_by = "analytics/performance"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "--capital",
            default="10000",
            help="the account's starting capital, shared over the deployments this import makes (default: 10000)",
        )
        parser.add_argument(
            "--mode", choices=Deployment.Mode.values, default="live", help="of the deployments (default: live)"
        )

    def open(self, path, source):
        return imports.trades_file(path, source)

    def operate(self, batches, **arguments):
        return import_operations.import_trades(batches, **arguments)

    def own(self, options):
        return {"capital": _amount(options["capital"]), "mode": options["mode"]}


def _amount(text):
    text = str(text)
    try:
        if len(text) > 100 or not PLAIN.fullmatch(text) or not Decimal(text) > 0:
            raise ValidationError("Give an amount above 0, such as 10000 or 2500.50.")
        check_fits(Decimal(text))
    except ValidationError as error:
        raise CommandError(f"--capital: {error.message}") from None
    return Decimal(text)
