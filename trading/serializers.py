from rest_framework import serializers

from support_platform.fields import (
    ChoiceField,
    DecimalField,
    InstantField,
    IntegerField,
    PatchSerializer,
    PercentField,
)
from support_platform.models import AuditEvent
from support_platform.serializers import AuditEventSerializer

from . import queries
from .models import Deployment, Scanner, Strategy, Trade


class OptionalTextField(serializers.CharField):
    """Text the database keeps empty where there is none; answered as null."""

    def __init__(self, **kwargs):
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value):
        return super().to_representation(value) or None


class StrategySerializer(serializers.ModelSerializer):
    symbol = OptionalTextField()
    timeframe = OptionalTextField()
    status = serializers.ChoiceField(choices=["active", "deleted"], read_only=True)
    is_published = serializers.BooleanField(read_only=True)
    published_at = InstantField(allow_null=True)
    active_deployments = serializers.IntegerField(read_only=True)
    created_at = InstantField()
    deleted_at = InstantField(allow_null=True)

    class Meta:
        model = Strategy
        fields = [
            "id",
            "user",
            "name",
            "symbol",
            "timeframe",
            "definition",
            "status",
            "is_published",
            "published_at",
            "active_deployments",
            "created_at",
            "deleted_at",
            "version",
        ]


class DeploymentSerializer(serializers.ModelSerializer):
    state = serializers.ChoiceField(choices=["active", "inactive"], read_only=True)
    symbol = OptionalTextField()
    quantity = DecimalField(allow_null=True)
    stop_loss_pct = PercentField(allow_null=True)
    take_profit_pct = PercentField(allow_null=True)
    capital = DecimalField(allow_null=True)
    started_at = InstantField()
    stopped_at = InstantField(allow_null=True)

    class Meta:
        model = Deployment
        fields = [
            "id",
            "user",
            "strategy",
            "status",
            "state",
            "mode",
            "symbol",
            "quantity",
            "stop_loss_pct",
            "take_profit_pct",
            "max_open_trades",
            "order_type",
            "capital",
            "started_at",
            "stopped_at",
            "version",
        ]


class UpdateDeploymentSerializer(PatchSerializer):
    status = ChoiceField(choices=Deployment.Status.values, required=False)
    quantity = DecimalField(positive=True, required=False)
    stop_loss_pct = PercentField(positive=True, maximum=100, required=False, allow_null=True)
    take_profit_pct = PercentField(positive=True, maximum=100, required=False, allow_null=True)
    max_open_trades = IntegerField(minimum=1, maximum=1000, required=False)
    order_type = ChoiceField(choices=Deployment.OrderType.values, required=False)
    capital = DecimalField(positive=True, required=False)


class TradeSerializer(serializers.ModelSerializer):
    quantity = DecimalField()
    entry_price = DecimalField()
    exit_price = DecimalField(allow_null=True)
    strike = DecimalField(allow_null=True)
    stop_loss = DecimalField(allow_null=True)
    target = DecimalField(allow_null=True)
    fees = DecimalField()
    result = DecimalField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["win", "loss", "breakeven"], allow_null=True, read_only=True)
    status = serializers.ChoiceField(choices=["open", "closed"], read_only=True)
    taken_at = InstantField()
    closed_at = InstantField(allow_null=True)

    class Meta:
        model = Trade
        fields = [
            "id",
            "user",
            "strategy",
            "deployment",
            "symbol",
            "side",
            "quantity",
            "entry_price",
            "exit_price",
            "strike",
            "stop_loss",
            "target",
            "fees",
            "result",
            "outcome",
            "status",
            "taken_at",
            "closed_at",
            "is_corrected",
            "external_id",
            "version",
        ]


class CorrectTradeSerializer(PatchSerializer):
    taken_at = InstantField(required=False)
    closed_at = InstantField(required=False, allow_null=True)
    strike = DecimalField(positive=True, required=False, allow_null=True)
    result = DecimalField(required=False, allow_null=True)


class DrawdownSerializer(serializers.Serializer):
    absolute = DecimalField(allow_null=True)
    percent = serializers.FloatField(allow_null=True)
    peak_at = InstantField(allow_null=True)
    trough_at = InstantField(allow_null=True)
    recovered_at = InstantField(allow_null=True)


class DeploymentFiguresSerializer(serializers.Serializer):
    """As in analytics/performance/, which says what each figure means."""

    win_rate = serializers.FloatField(allow_null=True)
    pnl = DecimalField(allow_null=True)
    max_drawdown = DrawdownSerializer()


class ImpactSerializer(serializers.Serializer):
    """What a correction does to the figures of the trade's deployment."""

    before = DeploymentFiguresSerializer()
    after = DeploymentFiguresSerializer()


class CorrectTradeAnswerSerializer(TradeSerializer):
    impact = ImpactSerializer()

    class Meta(TradeSerializer.Meta):
        fields = [*TradeSerializer.Meta.fields, "impact"]


class OneSideField(serializers.DictField):
    """Of an event's changes, field -> [before, after], the values of one side."""

    def __init__(self, *, side, **kwargs):
        super().__init__(source="changes", read_only=True, **kwargs)
        self.side = side

    def to_representation(self, value):
        return {field: change[self.side] for field, change in value.items()}


class CorrectionSerializer(AuditEventSerializer):
    """One correction of a trade, from the audit trail."""

    before = OneSideField(side=0, help_text="field -> value before")
    after = OneSideField(side=1, help_text="field -> value after")

    class Meta(AuditEventSerializer.Meta):
        fields = ["id", "at", "actor", "actor_id", "reason", "request_id", "source", "changes", "before", "after"]


class ScannerSerializer(serializers.ModelSerializer):
    symbol = OptionalTextField()
    status = serializers.ChoiceField(choices=["active", "deleted"], read_only=True)
    created_at = InstantField()
    deleted_at = InstantField(allow_null=True)

    class Meta:
        model = Scanner
        fields = ["id", "user", "name", "symbol", "criteria", "status", "created_at", "deleted_at", "version"]


class TimelineEventSerializer(serializers.Serializer):
    """What the audit trail has of an entry; its changes are at audit/{id}/."""

    id = serializers.IntegerField()
    action = serializers.CharField()
    actor = serializers.CharField()
    reason = serializers.CharField(help_text="empty: none was given")
    source = serializers.ChoiceField(choices=AuditEvent.Source.choices)


class TimelineEntrySerializer(serializers.Serializer):
    id = serializers.CharField(source="pk", help_text="kind and row, such as trade_closed:17; unique in the timeline")
    at = InstantField()
    kind = serializers.ChoiceField(choices=list(queries.SOURCES))
    subject_type = serializers.CharField(help_text="what the entry is about, as in the audit trail")
    subject_id = serializers.IntegerField(allow_null=True)
    summary = serializers.CharField(help_text="one line for people; programs go by kind and subject")
    event = TimelineEventSerializer(allow_null=True, help_text="with kind audit, else null")
