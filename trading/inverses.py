"""What undoes the changes of what traders made."""

from support_platform.inverses import Call, Inverse, by_operation, values_before

from . import operations
from .models import Deployment, Scanner, Strategy, Trade

STOPPED_IS_FINAL = "Stopped is final. Deploy the strategy anew."
IMPORTS_STAY = "What was imported stays: no call removes a trade or an order."


def _deployment(deployment, changes):
    if "status" in changes and changes["status"][1] == Deployment.Status.STOPPED:
        return STOPPED_IS_FINAL
    rights = ["trading.control_deployment"] if "status" in changes else []
    if changes.keys() != {"status"}:
        rights.append("trading.change_deployment")
    return Call(operations.update_deployment, tuple(rights), values_before(Deployment, changes))


def _trade(trade, changes):
    """The values before, by another correction: it closes what was reopened and reopens what was closed."""
    return Call(operations.correct_trade, ("trading.correct_trade",), values_before(Trade, changes))


INVERSES = {
    "strategy.published": by_operation(Strategy, operations.unpublish_strategy, "trading.publish_strategy"),
    "strategy.unpublished": by_operation(Strategy, operations.publish_strategy, "trading.publish_strategy"),
    "strategy.deleted": by_operation(Strategy, operations.restore_strategy, "trading.delete_strategy"),
    "strategy.restored": by_operation(Strategy, operations.delete_strategy, "trading.delete_strategy"),
    "scanner.deleted": by_operation(Scanner, operations.restore_scanner, "trading.delete_scanner"),
    "scanner.restored": by_operation(Scanner, operations.delete_scanner, "trading.delete_scanner"),
    "deployment.paused": Inverse(Deployment, _deployment),
    "deployment.resumed": Inverse(Deployment, _deployment),
    "deployment.updated": Inverse(Deployment, _deployment),
    "deployment.stopped": STOPPED_IS_FINAL,
    "trade.corrected": Inverse(Trade, _trade),
    "trades.imported": IMPORTS_STAY,
    "orders.imported": IMPORTS_STAY,
}
