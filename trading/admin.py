"""What traders made, in the console: to look at, and to change by the operations of the API."""

from django.contrib import admin
from django.db.models import Q

from support_platform.console import lists
from support_platform.console.actions import operation
from support_platform.console.attempts import Figures
from support_platform.console.base import OperationAdmin
from support_platform.console.differences import Difference, as_words

from . import operations
from .forms import PARAMETERS, STATUS, CorrectionForm, DeleteStrategyForm, DeploymentForm
from .models import Deployment, Order, Scanner, Strategy, Trade
from .search import DeploymentSearch, NamedSearch, OrderSearch, OwnedSearch, TradeSearch

IS_KEPT = {"active": Q(deleted_at__isnull=True), "deleted": Q(deleted_at__isnull=False)}


class OwnedAdmin(OwnedSearch, OperationAdmin):
    """Rows of traders."""

    list_select_related = ("user",)


@admin.register(Strategy)
class StrategyAdmin(NamedSearch, OwnedAdmin):
    icon = "schema"
    list_display = (
        "name",
        "user",
        "symbol",
        "timeframe",
        "status",
        "published_at",
        "active_deployments",
        "created_at",
    )
    list_filter = (
        lists.choice_filter("status", IS_KEPT),
        lists.choice_filter("published", {"yes": Q(published_at__isnull=False), "no": Q(published_at__isnull=True)}),
        lists.period_filter("created_at", "created"),
        lists.span_filter("created_at", "created"),
        lists.row_filter("user"),
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
    fields = (
        "id",
        "user",
        "name",
        "symbol",
        "timeframe",
        "status",
        "active_deployments",
        "created_at",
        "deleted_at",
    )
    export_fields = (
        "id",
        "user_id",
        "user.email",
        "name",
        "symbol",
        "timeframe",
        "status",
        "published_at",
        "active_deployments",
        "created_at",
        "deleted_at",
    )

    def get_queryset(self, request):
        return super().get_queryset(request).with_active_deployments()

    @admin.display(description="active deployments")
    def active_deployments(self, strategy):
        return strategy.active_deployments

    @operation(
        "Publish",
        right="trading.publish_strategy",
        suits=lambda strategy: not strategy.is_published and not strategy.is_deleted and strategy.user.is_active,
    )
    def publish(self, request, strategy, *, by):
        return operations.publish_strategy(strategy, by=by), {}

    @operation("Unpublish", right="trading.publish_strategy", suits=lambda strategy: strategy.is_published)
    def unpublish(self, request, strategy, *, by):
        return operations.unpublish_strategy(strategy, by=by), {}

    @operation(
        "Delete",
        right="trading.delete_strategy",
        form=DeleteStrategyForm,
        suits=lambda strategy: not strategy.is_deleted,
        is_grave=True,
    )
    def delete(self, request, strategy, *, by, stop_deployments):
        return operations.delete_strategy(strategy, by=by, stop_deployments=stop_deployments), {}

    @operation("Restore", right="trading.delete_strategy", suits=lambda strategy: strategy.is_deleted)
    def restore(self, request, strategy, *, by):
        return operations.restore_strategy(strategy, by=by), {}


@admin.register(Deployment)
class DeploymentAdmin(DeploymentSearch, OwnedAdmin):
    icon = "rocket_launch"
    list_display = ("id", "strategy", "user", "status", "mode", "symbol", "quantity", "capital", "started_at")
    list_select_related = ("user", "strategy")
    list_filter = (
        lists.value_filter("status", Deployment.Status.values),
        lists.value_filter("mode", Deployment.Mode.values),
        lists.period_filter("started_at", "started"),
        lists.span_filter("started_at", "started"),
        lists.row_filter("user"),
        lists.row_filter("strategy"),
    )
    sortable_by = ("started_at",)
    ordering = ("-started_at", "-id")
    fields = (
        "id",
        "user",
        "strategy",
        "mode",
        "symbol",
        "status",
        "quantity",
        "stop_loss_pct",
        "take_profit_pct",
        "max_open_trades",
        "order_type",
        "capital",
        "started_at",
        "stopped_at",
    )
    export_fields = ("id", "user_id", "user.email", "strategy_id", "strategy.name", *fields[3:])

    @operation(
        "Change deployment",
        right=(STATUS, PARAMETERS),
        form=DeploymentForm,
        suits=lambda deployment: deployment.status != Deployment.Status.STOPPED,
        is_for_one=True,
    )
    def change(self, request, deployment, *, by, **values):
        return operations.update_deployment(deployment, by=by, **values), {}

    @operation("Pause", right=STATUS, suits=lambda deployment: deployment.status == Deployment.Status.ACTIVE)
    def pause(self, request, deployment, *, by):
        return operations.update_deployment(deployment, by=by, status=Deployment.Status.PAUSED), {}

    @operation("Resume", right=STATUS, suits=lambda deployment: deployment.status == Deployment.Status.PAUSED)
    def resume(self, request, deployment, *, by):
        return operations.update_deployment(deployment, by=by, status=Deployment.Status.ACTIVE), {}

    @operation(
        "Stop",
        right=STATUS,
        suits=lambda deployment: deployment.status != Deployment.Status.STOPPED,
        is_grave=True,
    )
    def stop(self, request, deployment, *, by):
        return operations.update_deployment(deployment, by=by, status=Deployment.Status.STOPPED), {}


@admin.register(Trade)
class TradeAdmin(TradeSearch, OwnedAdmin):
    icon = "swap_vert"
    list_display = (
        "symbol",
        "side",
        "user",
        "strategy",
        "quantity",
        "result",
        "outcome",
        "taken_at",
        "closed_at",
        "is_corrected",
    )
    list_select_related = ("user", "strategy")
    list_filter = (
        lists.choice_filter("status", {"open": Q(closed_at__isnull=True), "closed": Q(closed_at__isnull=False)}),
        lists.choice_filter("outcome", {"win": Q(result__gt=0), "loss": Q(result__lt=0), "breakeven": Q(result=0)}),
        lists.value_filter("side", Trade.Side.values),
        lists.choice_filter("corrected", {"yes": Q(is_corrected=True), "no": Q(is_corrected=False)}),
        lists.period_filter("taken_at", "taken"),
        lists.span_filter("taken_at", "taken"),
        lists.span_filter("closed_at", "closed"),
        lists.row_filter("user"),
        lists.row_filter("strategy"),
        lists.row_filter("deployment"),
    )
    sortable_by = ("taken_at", "closed_at")
    ordering = ("-taken_at", "-id")
    fields = (
        "id",
        "user",
        "strategy",
        "deployment",
        "symbol",
        "side",
        "status",
        "outcome",
        "quantity",
        "strike",
        "fees",
        "result",
        "taken_at",
        "closed_at",
        "external_id",
    )
    export_fields = (
        *("id", "user_id", "user.email", "strategy_id", "deployment_id", "symbol", "side", "status", "outcome"),
        *("quantity", "entry_price", "exit_price", "strike", "stop_loss", "target", "fees", "result"),
        *("taken_at", "closed_at", "is_corrected", "external_id"),
    )

    @operation("Correct trade", right="trading.correct_trade", form=CorrectionForm, is_for_one=True)
    def correct(self, request, trade, *, by, **values):
        trade, impact = operations.correct_trade(trade, by=by, **values)
        return trade, {"Its deployment": _figures(**impact)} if by.told else {}


def _figures(before, after):
    """What a correction moves, as the API's `impact` tells it."""

    def texts(figures):
        fall = figures["max_drawdown"]
        return figures["win_rate"], figures["pnl"], fall["absolute"], fall["percent"]

    names = ("Win rate", "PnL", "Max drawdown", "Max drawdown in %")
    return Figures(tuple(map(Difference, names, map(as_words, texts(before)), map(as_words, texts(after)))))


@admin.register(Order)
class OrderAdmin(OrderSearch, OwnedAdmin):
    icon = "receipt_long"
    instant_precision = "milliseconds"
    list_display = (
        "external_id",
        "user",
        "symbol",
        "side",
        "quantity",
        "expected_price",
        "filled_price",
        "placed_at",
        "filled_at",
    )
    list_filter = (
        lists.value_filter("side", Order.Side.values),
        lists.choice_filter("filled", {"yes": Q(filled_at__isnull=False), "no": Q(filled_at__isnull=True)}),
        lists.span_filter("placed_at", "placed"),
        lists.row_filter("user"),
        lists.row_filter("strategy"),
        lists.row_filter("deployment"),
        lists.row_filter("trade"),
    )
    ordering = ("-id",)
    fields = (
        "id",
        "user",
        "strategy",
        "deployment",
        "trade",
        "external_id",
        "symbol",
        "side",
        "order_type",
        "quantity",
        "filled_quantity",
    )
    export_fields = (
        *("id", "user_id", "user.email", "strategy_id", "deployment_id", "trade_id", "external_id", "symbol", "side"),
        *("order_type", "quantity", "expected_price", "arrival_price", "filled_price", "filled_quantity"),
        *("signal_at", "sent_at", "acknowledged_at", "filled_at"),
    )


@admin.register(Scanner)
class ScannerAdmin(NamedSearch, OwnedAdmin):
    icon = "radar"
    list_display = ("name", "user", "symbol", "status", "created_at")
    list_filter = (
        lists.choice_filter("status", IS_KEPT),
        lists.period_filter("created_at", "created"),
        lists.span_filter("created_at", "created"),
        lists.row_filter("user"),
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
    fields = ("id", "user", "name", "symbol", "status", "created_at", "deleted_at")
    export_fields = ("id", "user_id", "user.email", "name", "symbol", "status", "created_at", "deleted_at")

    @operation("Delete", right="trading.delete_scanner", suits=lambda scanner: not scanner.is_deleted)
    def delete(self, request, scanner, *, by):
        return operations.delete_scanner(scanner, by=by), {}

    @operation("Restore", right="trading.delete_scanner", suits=lambda scanner: scanner.is_deleted)
    def restore(self, request, scanner, *, by):
        return operations.restore_scanner(scanner, by=by), {}
