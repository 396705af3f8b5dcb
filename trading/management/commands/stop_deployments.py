from accounts.commands import TraderCommand
from support_platform.retries import retried
from trading import operations
from trading.models import Strategy


class Command(TraderCommand):
    help = "Stop every active and paused deployment of a trader, for good."
    right = "trading.control_deployment"

    def run(self, *, email, **options):
        trader = self.find_trader(email)
        stopped = retried(operations.stop_deployments, trader, by=self.by)
        return {"user": trader.pk, "stopped": [deployment.pk for deployment in stopped]}

    def show(self, outcome):
        if not outcome["stopped"]:
            self.say("Nothing to stop: the trader has no active or paused deployment.")
            return
        strategies = Strategy.objects.filter(deployments__in=outcome["stopped"])
        rows = strategies.order_by("deployments__pk").values_list("deployments__pk", "name", "deployments__mode")
        self.table(rows, header=("deployment", "strategy", "mode"), title="Stopped")
