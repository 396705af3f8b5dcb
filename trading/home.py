"""What of the traders' rows can need attention on the console's home page."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from accounts.reach import ids_among
from support_platform.console.home import Matter
from support_platform.models import AuditEvent

from .models import Deployment, Order, Strategy

MAX_LOOKED_AT = 2_000
UNANSWERED_AFTER = timedelta(minutes=5)
DAY = timedelta(days=1)


def _running_of_inactive(request):
    """[(deployment's id, trader's id, status)] of what runs for the newest inactive traders, read once a request."""
    if not hasattr(request, "running_of_inactive"):
        inactive = User.objects.visible_to(request.user).filter(is_active=False).order_by("-pk")
        inactive = list(inactive.values_list("pk", flat=True)[:MAX_LOOKED_AT])
        running = Deployment.objects.exclude(status=Deployment.Status.STOPPED).filter(user__in=inactive).order_by()
        request.running_of_inactive = list(running.values_list("pk", "user_id", "status")[:MAX_LOOKED_AT])
    return request.running_of_inactive


class DeploymentsInTrouble(Matter):
    name = "in_trouble"
    title = "Deployments that should not run"
    advice = "Their trader is inactive or their strategy is deleted: stop them, or bring back what they need."
    model = "trading.deployment"
    rights = ("trading.view_deployment",)

    def ids(self, request, limit):
        of_inactive = [pk for pk, _, _ in _running_of_inactive(request)]
        deleted = Strategy.objects.deleted().order_by("-deleted_at")
        deleted = ids_among(request.user, deleted, MAX_LOOKED_AT)
        running = Deployment.objects.filter(strategy__in=deleted, status__in=("active", "paused")).order_by()
        of_deleted = running.values_list("pk", flat=True)[:MAX_LOOKED_AT]
        return sorted({*of_inactive, *of_deleted}, reverse=True)[:limit]

    def words(self, row):
        reasons = [
            "" if row.user.is_active else "trader inactive",
            "strategy deleted" if row.strategy.is_deleted else "",
        ]
        return f"{row.strategy.name} of {row.user.email}: {row.status}, {' and '.join(filter(None, reasons))}"


class InactiveWithDeployments(Matter):
    name = "inactive_with_deployments"
    title = "Inactive traders with active deployments"
    advice = "Ask whether their deployments are to stop, then pause or stop them on the trader's page."
    model = "accounts.user"
    rights = ("accounts.view_user", "trading.view_deployment")

    def ids(self, request, limit):
        traders = {user for _, user, status in _running_of_inactive(request) if status == "active"}
        return sorted(traders, reverse=True)[:limit]


class UnansweredOrders(Matter):
    name = "unanswered"
    title = "Orders without an answer for more than 5 minutes"
    advice = "Sent in the last 24 hours, neither acknowledged nor filled: ask the broker."
    model = "trading.order"
    rights = ("trading.view_order",)

    def ids(self, request, limit):
        now = timezone.now()
        waiting = Order.objects.filter(acknowledged_at__isnull=True, filled_at__isnull=True)
        waiting = waiting.filter(sent_at__gt=now - DAY, sent_at__lt=now - UNANSWERED_AFTER)
        return ids_among(request.user, waiting.order_by("-sent_at", "-pk"), MAX_LOOKED_AT)[:limit]

    def words(self, row):
        return f"{row.symbol} {row.side} {row.external_id} of {row.user.email}"


class RecentCorrections(Matter):
    name = "corrected"
    title = "Trades corrected in the last 24 hours"
    advice = "See who corrected what and why; a correction can be reverted there."
    model = "support_platform.auditevent"
    rights = ("support_platform.view_auditevent",)

    def ids(self, request, limit):
        events = AuditEvent.objects.visible_to(request.user).filter(at__gte=timezone.now() - DAY).order_by("-at", "-pk")
        newest = events.values_list("pk", "action")[:MAX_LOOKED_AT]
        return [pk for pk, action in newest if action == "trade.corrected"][:limit]

    def words(self, row):
        return f"Trade {row.subject_id} by {row.actor}"
