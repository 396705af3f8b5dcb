import os
import uuid

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Broker, User
from support_platform.audit import Actor
from support_platform.commands import SupportCommand, whole_number
from support_platform.management import demo


class Command(SupportCommand):
    help = (
        "Fill an empty database with demo data: two brokers, staff of each role, traders with strategies, "
        "deployments, trades, orders and scanners. The password of every login is the environment variable "
        "DEMO_PASSWORD, or support-demo-1. Never runs in production."
    )

    def add_arguments(self, parser):
        parser.add_argument("--traders", default="12", metavar="N", help="how many traders (default: 12)")
        parser.add_argument("--trades", default="150", metavar="N", help="how many trades for each (default: 150)")
        parser.add_argument("--seed", default="1", metavar="N", help="the same seed gives the same data (default: 1)")
        parser.add_argument("--force", action="store_true", help="also beside other data, which is left as it is")

        parser.add_argument(
            "--if-empty", action="store_true", help="where there is data already, only tell the demo logins, if any"
        )

    def run(self, *, traders, trades, seed, force, if_empty, **options):
        traders = whole_number(traders, 1, 100_000, "--traders")
        trades = whole_number(trades, 0, 100_000, "--trades")
        seed = whole_number(seed, 0, 2**63 - 1, "--seed")
        password = _password()
        logins = [
            {"email": email, "role": role or "superuser", "broker": broker, "password": password}
            for email, (role, broker) in demo.STAFF.items()
        ]
        if if_empty and User.objects.exists():
            return {"logins": logins if _is_planted() else []}
        self.refuse_where_it_must_not_run(force)
        with self.progress("Planting", traders) as advance:
            counts = demo.plant(
                traders=traders,
                trades=trades,
                seed=seed,
                password=password,
                now=timezone.now().replace(microsecond=0),
                by=Actor("command", reason="demo data", request_id=uuid.uuid4().hex),
                advance=advance,
            )
        return {"brokers": list(demo.BROKERS), **counts, "logins": logins}

    def refuse_where_it_must_not_run(self, force):
        if settings.PRODUCTION:
            raise CommandError("This is production; demo data and its known password have no place here.")
        if _is_planted():
            raise CommandError("The demo data is here already; nothing was added. Use an empty database for new data.")
        brokers, accounts = Broker.objects.count(), User.objects.count()
        if (brokers or accounts) and not force:
            raise CommandError(
                f"The database holds other data ({brokers} brokers, {accounts} accounts); --force adds demo data to it."
            )

    def show(self, outcome):
        if "traders" in outcome:
            kinds = ("traders", "strategies", "deployments", "trades", "orders", "scanners")
            self.table(((kind, outcome[kind]) for kind in kinds), title="Demo data")
        if outcome["logins"]:
            rows = [(row["email"], row["role"], row["broker"] or "all", row["password"]) for row in outcome["logins"]]
            self.table(rows, header=("login", "role", "broker", "password"), title="Demo logins")


def _is_planted():
    return User.objects.filter(email__in=demo.STAFF).exists()


def _password():
    password = os.environ.get("DEMO_PASSWORD") or "support-demo-1"
    try:
        validate_password(password)
    except ValidationError as error:
        raise CommandError(f"DEMO_PASSWORD will not do: {' '.join(error.messages)}") from None
    return password
