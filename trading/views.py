from rest_framework.decorators import action

from accounts.models import User
from support_platform import shapes
from support_platform.fields import NothingSerializer
from support_platform.filters import BooleanField
from support_platform.models import AuditEvent
from support_platform.pagination import KeysetPagination
from support_platform.viewsets import ResourceViewSet

from . import operations
from .filters import DeploymentFilter, ScannerFilter, StrategyFilter, TimelineFilter, TradeFilter
from .models import Deployment, Scanner, Strategy, Trade
from .pagination import TimelinePagination
from .serializers import (
    CorrectionSerializer,
    CorrectTradeAnswerSerializer,
    CorrectTradeSerializer,
    DeploymentSerializer,
    ScannerSerializer,
    StrategySerializer,
    TimelineEntrySerializer,
    TradeSerializer,
    UpdateDeploymentSerializer,
)


class StrategyViewSet(ResourceViewSet):
    """Traders' strategies, each with the number of its active deployments."""

    rights = {
        "list": "trading.view_strategy",
        "retrieve": "trading.view_strategy",
        "destroy": "trading.delete_strategy",
        "restore": "trading.delete_strategy",
        "publish": "trading.publish_strategy",
        "unpublish": "trading.publish_strategy",
    }
    orderings = ("-created_at", "created_at")
    filterset_class = StrategyFilter
    serializer_class = StrategySerializer
    inputs = dict.fromkeys(("destroy", "restore", "publish", "unpublish"), NothingSerializer)
    parameters = {
        "destroy": {
            "stop_deployments": BooleanField(
                help_text="Stop its active and paused deployments in the same transaction."
            )
        }
    }

    def rows(self, staff):
        return Strategy.objects.visible_to(staff).with_active_deployments()

    def destroy(self, request, pk):
        """
        Delete a strategy softly, and unpublish it.

        409 `active_deployments`, with their ids in `deployments`, while any is active and may not be stopped.
        """
        return self.change(operations.delete_strategy, stop_deployments=self.flag("stop_deployments"))

    @action(detail=True, methods=["post"])
    def restore(self, request, pk):
        """Bring a deleted strategy back. It is not published, and its deployments stay as they are."""
        return self.change(operations.restore_strategy)

    @action(detail=True, methods=["post"])
    def publish(self, request, pk):
        """
        Publish a strategy: show it in the marketplace.

        409 `strategy_deleted` or `owner_inactive`.
        """
        return self.change(operations.publish_strategy)

    @action(detail=True, methods=["post"])
    def unpublish(self, request, pk):
        """Unpublish a strategy: take it out of the marketplace. Its deployments go on."""
        return self.change(operations.unpublish_strategy)

    def change(self, operation, **arguments):
        self.body()
        return super().change(operation, represent=self.with_count, **arguments)

    def with_count(self, strategy):
        """An operation's row does not carry the count of active deployments; read it once more."""
        return strategy, self.represent(self.get_queryset().get(pk=strategy.pk))


class DeploymentViewSet(ResourceViewSet):
    """Runs of strategies. One right is for the status, another for the parameters."""

    rights = {
        "list": "trading.view_deployment",
        "retrieve": "trading.view_deployment",
        "partial_update": ("trading.control_deployment", "trading.change_deployment"),
    }
    orderings = ("-started_at", "started_at")
    filterset_class = DeploymentFilter
    serializer_class = DeploymentSerializer
    inputs = {"partial_update": UpdateDeploymentSerializer}

    def rows(self, staff):
        return Deployment.objects.visible_to(staff)

    def partial_update(self, request, pk):
        """
        Update a deployment: its status, its parameters, or both.

        Active and paused change into each other, either into stopped, and stopped is final: 409
        `deployment_stopped`. The status needs `trading.control_deployment`, a parameter
        `trading.change_deployment`. Resuming is 409 `owner_inactive` or `strategy_deleted` where that is so.
        """
        values = self.body()
        if "status" in values:
            self.require("trading.control_deployment")
        if values.keys() != {"status"}:
            self.require("trading.change_deployment")
        return self.change(operations.update_deployment, **values)


class TradeViewSet(ResourceViewSet):
    """Trades, their correction, and the story of their corrections."""

    rights = {
        "list": "trading.view_trade",
        "retrieve": "trading.view_trade",
        "partial_update": "trading.correct_trade",
        "corrections": "trading.view_trade",
    }
    orderings = ("-taken_at", "taken_at", "-closed_at", "closed_at")
    filterset_class = TradeFilter
    serializer_class = TradeSerializer
    inputs = {"partial_update": CorrectTradeSerializer}
    answers = {"partial_update": CorrectTradeAnswerSerializer}
    parameters = {"corrections": KeysetPagination.parameters}

    def rows(self, staff):
        return Trade.objects.visible_to(staff)

    def partial_update(self, request, pk):
        """
        Update a trade: correct when it was taken and closed, its strike and its result.

        `taken_at <= closed_at <= now`. Closing needs a `result`; `closed_at` null reopens the trade and clears it.
        409 `result_without_closed_at` for the result of a trade that stays open. `impact` shows the deployment's
        figures before and after, so a dry run is the preview.
        """
        return self.change(operations.correct_trade, represent=self.with_impact, **self.body())

    def with_impact(self, result):
        trade, impact = result
        return trade, {**self.represent(trade), "impact": impact}

    @action(detail=True, orderings=("-at", "at"), filterset_class=None, serializer_class=CorrectionSerializer)
    def corrections(self, request, pk):
        """List every correction of a trade: who, when, why, and what was before and after."""
        trade = self.get_object()
        events = AuditEvent.objects.filter(subject_type="trade", subject_id=trade.pk, action="trade.corrected")
        return self.answer_list(shapes.Rows(self, events))


class ScannerViewSet(ResourceViewSet):
    """Traders' own market scanners."""

    rights = {
        "list": "trading.view_scanner",
        "retrieve": "trading.view_scanner",
        "destroy": "trading.delete_scanner",
        "restore": "trading.delete_scanner",
    }
    orderings = ("-created_at", "created_at")
    filterset_class = ScannerFilter
    serializer_class = ScannerSerializer
    inputs = dict.fromkeys(("destroy", "restore"), NothingSerializer)

    def rows(self, staff):
        return Scanner.objects.visible_to(staff)

    def destroy(self, request, pk):
        """Delete a scanner softly."""
        self.body()
        return self.change(operations.delete_scanner)

    @action(detail=True, methods=["post"])
    def restore(self, request, pk):
        """Bring a deleted scanner back."""
        self.body()
        return self.change(operations.restore_scanner)


class TimelineViewSet(ResourceViewSet):
    """
    One trader's story in one stream, newest first.

    An entry is an audit event (those that `GET audit/` shows the caller), the last login, a mail, or the beginning or
    end of a deployment or a trade. All kinds have one shape. At one instant they stand in the order of kind and id.
    Deployments and trades need the rights to view these, and are left out without.
    """

    rights = {"list": "accounts.view_user"}
    orderings = ("-at", "at")
    filterset_class = TimelineFilter
    serializer_class = TimelineEntrySerializer
    pagination_class = TimelinePagination
    tag = "Audit"

    def rows(self, staff):
        return User.objects.visible_to(staff)

    def list(self, request, pk):
        timeline = self.filters().of(self.get_object())
        return self.get_paginated_response(self.paginate_queryset(timeline))
