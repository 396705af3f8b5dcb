from django.core.management.base import CommandError

from accounts import operations
from accounts.commands import TraderCommand
from accounts.models import User
from accounts.serializers import UserSerializer
from support_platform.retries import retried


class Command(TraderCommand):
    help = (
        "Activate or deactivate a trader. Deactivation ends every token, session and pending link at once; "
        "activation revives none of it."
    )
    right = "accounts.change_status"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("status", choices=User.Status.values)
        parser.add_argument(
            "--deployments",
            choices=["leave", "pause", "stop"],
            default="leave",
            help="with inactive: what becomes of the trader's deployments (default: leave)",
        )

    def run(self, *, email, status, deployments, **options):
        if status == User.Status.ACTIVE and deployments != "leave":
            raise CommandError("--deployments goes with inactive only: activation touches no deployment.")
        trader = self.find_trader(email)
        self.was = trader.status
        trader, counts = retried(operations.set_status, trader, status, by=self.by, deployments=deployments)
        return {**UserSerializer(trader).data, **counts}

    def show(self, outcome):
        told = ("email", "status", "sessions_revoked", "deployments_paused", "deployments_stopped")
        self.table((name, outcome[name]) for name in told)
        if self.was == outcome["status"]:
            self.say(f"The account was {self.was} before.")
