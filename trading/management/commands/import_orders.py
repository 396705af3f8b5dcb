from support_platform.commands import text_value
from trading import import_operations, imports
from trading.commands import ImportCommand
from trading.models import Strategy


class Command(ImportCommand):
    help = (
        "Import a trader's orders from a CSV file with the columns order_id, symbol, side (buy|sell), quantity, "
        "expected_price, filled_price, signal_at, sent_at, acknowledged_at, filled_at, and optionally arrival_price, "
        "filled_quantity, order_type (market|limit), trade (a trade's external_id). Empty means unknown. Instants "
        "carry their offset (2026-01-31T09:30:00.250Z) and may be in any order: clocks are skewed. All or nothing, "
        "and repeating adds nothing."
    )
    shown_by = "analytics/latency"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "--strategy", metavar="NAME", help="whose orders they are where the file names no trade; made if missing"
        )

    def open(self, path, source):
        return imports.orders_file(path)

    def operate(self, batches, **arguments):
        return import_operations.import_orders(batches, **arguments)

    def own(self, options):
        name = options["strategy"]
        if name is not None:
            text_value(name, Strategy._meta.get_field("name").max_length, "--strategy")
        return {"strategy": name}
