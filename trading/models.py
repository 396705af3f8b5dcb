"""
What traders made: strategies, their deployments, the trades and orders of these, and market scanners.

Every row carries its trader (`user`), and the indexes of trader data begin with it, so that the tables can one
day be split by trader. Each list has a second index for all traders at once. Truth stands in the constraints.
"""

from django.conf import settings
from django.db import models
from django.db.models import Case, ExpressionWrapper, F, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from support_platform.decimals import ExactDecimalField
from support_platform.folded import Folded
from support_platform.models import VersionedModel


class OwnedQuerySet(models.QuerySet):
    def visible_to(self, staff):
        """The rows of the traders a staff member may see."""
        reach = {} if staff.broker_id is None else {"user__broker_id": staff.broker_id}
        return self.filter(user__is_staff=False, user__is_superuser=False, **reach)


class SoftDeletedQuerySet(OwnedQuerySet):
    def kept(self):
        return self.filter(deleted_at__isnull=True)

    def deleted(self):
        return self.filter(deleted_at__isnull=False)


class OwnedModel(VersionedModel):
    # Here and below: the indexes that begin with a reference serve it, so that none of its own is written.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False)

    class Meta:
        abstract = True


class SoftDeletedModel(models.Model):
    # The properties below in SQL, for lists (support_platform/rows.py); so in each model here.
    computed = {"status": Case(When(deleted_at=None, then=Value("active")), default=Value("deleted"))}

    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_deleted(self):
        return self.deleted_at is not None

    @property
    def status(self):
        return "deleted" if self.is_deleted else "active"


class StrategyQuerySet(SoftDeletedQuerySet):
    def with_active_deployments(self):
        """Each strategy with the count of its active deployments as `active_deployments`."""
        counts = (
            Deployment.objects.filter(strategy=OuterRef("pk"), status=Deployment.Status.ACTIVE)
            .order_by()
            .values("strategy")
            .annotate(n=models.Count("pk"))
            .values("n")
        )
        return self.annotate(active_deployments=Coalesce(Subquery(counts, output_field=IntegerField()), Value(0)))


class Strategy(OwnedModel, SoftDeletedModel):
    computed = {
        **SoftDeletedModel.computed,
        "is_published": ExpressionWrapper(Q(published_at__isnull=False), models.BooleanField()),
    }

    name = models.CharField(max_length=200)
    symbol = models.CharField(max_length=64, blank=True, help_text="empty: not bound to one symbol")
    timeframe = models.CharField(max_length=16, blank=True)
    definition = models.JSONField(default=dict, blank=True)
    published_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = StrategyQuerySet.as_manager()

    class Meta:
        default_permissions = ("view", "delete")
        permissions = [("publish_strategy", "Can publish and unpublish a strategy")]
        verbose_name_plural = "strategies"
        constraints = [
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=True) | Q(published_at__isnull=True),
                name="strategy_deleted_is_unpublished",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "created_at", "id"], name="strategy_user_created"),
            models.Index(fields=["created_at", "id"], name="strategy_created"),
            models.Index(Folded("name"), name="strategy_name"),
            models.Index(Folded("symbol"), name="strategy_symbol"),
            models.Index(fields=["deleted_at"], name="strategy_deleted", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self):
        return self.name

    @property
    def is_published(self):
        return self.published_at is not None


class DeploymentQuerySet(OwnedQuerySet):
    def active(self):
        return self.filter(status=Deployment.Status.ACTIVE)

    def inactive(self):
        return self.exclude(status=Deployment.Status.ACTIVE)


class Deployment(OwnedModel):
    """One run of a strategy. `capital` is what it started with; percentages of return are null without it."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        STOPPED = "stopped"

    class Mode(models.TextChoices):
        LIVE = "live"
        PAPER = "paper"

    class OrderType(models.TextChoices):
        MARKET = "market"
        LIMIT = "limit"

    computed = {"state": Case(When(status=Status.ACTIVE, then=Value("active")), default=Value("inactive"))}

    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="deployments", db_index=False)
    status = models.CharField(max_length=7, choices=Status, default=Status.ACTIVE)
    mode = models.CharField(max_length=5, choices=Mode, default=Mode.LIVE)
    symbol = models.CharField(max_length=64, blank=True)
    quantity = ExactDecimalField(null=True, blank=True, help_text="per trade; unknown for imported deployments")
    stop_loss_pct = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    take_profit_pct = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    max_open_trades = models.PositiveSmallIntegerField(default=1)
    order_type = models.CharField(max_length=6, choices=OrderType, default=OrderType.MARKET)
    capital = ExactDecimalField(null=True, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True, editable=False)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        default_permissions = ("view", "change")
        permissions = [("control_deployment", "Can pause, resume and stop a deployment")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "paused", "stopped"]), name="deployment_status_known"
            ),
            models.CheckConstraint(condition=Q(mode__in=["live", "paper"]), name="deployment_mode_known"),
            models.CheckConstraint(condition=Q(order_type__in=["market", "limit"]), name="deployment_order_type_known"),
            models.CheckConstraint(
                condition=Q(status="stopped", stopped_at__isnull=False)
                | (~Q(status="stopped") & Q(stopped_at__isnull=True)),
                name="deployment_stopped_has_instant",
            ),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(quantity__gt=0), name="deployment_quantity_positive"
            ),
            models.CheckConstraint(
                condition=Q(capital__isnull=True) | Q(capital__gt=0), name="deployment_capital_positive"
            ),
            models.CheckConstraint(
                condition=Q(stop_loss_pct__isnull=True) | Q(stop_loss_pct__gt=0, stop_loss_pct__lte=100),
                name="deployment_stop_loss_range",
            ),
            models.CheckConstraint(
                condition=Q(take_profit_pct__isnull=True) | Q(take_profit_pct__gt=0, take_profit_pct__lte=100),
                name="deployment_take_profit_range",
            ),
            models.CheckConstraint(
                condition=Q(max_open_trades__gte=1, max_open_trades__lte=1000),
                name="deployment_max_open_trades_range",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "started_at", "id"], name="deployment_user_started"),
            models.Index(fields=["strategy", "status"], name="deployment_strategy_status"),
            models.Index(fields=["started_at", "id"], name="deployment_started"),
            models.Index(Folded("symbol"), name="deployment_symbol"),
            models.Index(fields=["user", "status"], condition=~Q(status="stopped"), name="deployment_running"),
        ]

    def __str__(self):
        return f"{self.get_mode_display()} deployment {self.pk} since {self.started_at:%Y-%m-%d}"

    @property
    def state(self):
        return "active" if self.status == self.Status.ACTIVE else "inactive"


class TradeQuerySet(OwnedQuerySet):
    def closed(self):
        return self.filter(closed_at__isnull=False)

    def open(self):
        return self.filter(closed_at__isnull=True)


class Trade(OwnedModel):
    """
    One position. `result` is its profit or loss in account currency, net of `fees`, and known once it is closed.

    `external_id` names the trade in the system it was imported from, and is unique per trader where given.
    """

    class Side(models.TextChoices):
        LONG = "long"
        SHORT = "short"

    computed = {
        "status": Case(When(closed_at=None, then=Value("open")), default=Value("closed")),
        "outcome": Case(
            When(result__gt=0, then=Value("win")),
            When(result__lt=0, then=Value("loss")),
            When(result=0, then=Value("breakeven")),
            output_field=models.CharField(),
        ),
    }

    # With `user` they are those of one deployment; on PostgreSQL one foreign key says so (migration 0005).
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="trades", db_index=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="trades", db_index=False)
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=5, choices=Side)
    quantity = ExactDecimalField()
    entry_price = ExactDecimalField()
    exit_price = ExactDecimalField(null=True, blank=True)
    strike = ExactDecimalField(null=True, blank=True, help_text="of an option")
    stop_loss = ExactDecimalField(null=True, blank=True)
    target = ExactDecimalField(null=True, blank=True)
    fees = ExactDecimalField(default=0)
    result = ExactDecimalField(null=True, blank=True)
    taken_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    is_corrected = models.BooleanField(default=False, editable=False)
    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001  null: not imported

    objects = TradeQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("correct_trade", "Can correct a trade")]
        constraints = [
            models.CheckConstraint(condition=Q(side__in=["long", "short"]), name="trade_side_known"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="trade_quantity_positive"),
            models.CheckConstraint(condition=Q(strike__isnull=True) | Q(strike__gt=0), name="trade_strike_positive"),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(closed_at__gte=F("taken_at")),
                name="trade_closed_after_taken",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, result__isnull=True)
                | Q(closed_at__isnull=False, result__isnull=False),
                name="trade_result_with_closed_at",
            ),
            models.UniqueConstraint(fields=["user", "external_id"], name="trade_external_id_unique"),
        ]
        indexes = [
            models.Index(fields=["user", "taken_at", "id"], name="trade_user_taken"),
            models.Index(fields=["user", "closed_at", "id"], name="trade_user_closed"),
            models.Index(fields=["strategy", "taken_at", "id"], name="trade_strategy_taken"),
            models.Index(fields=["strategy", "closed_at", "id"], name="trade_strategy_closed"),
            models.Index(fields=["deployment", "taken_at", "id"], name="trade_deployment_taken"),
            models.Index(fields=["deployment", "closed_at", "id"], name="trade_deployment_closed"),
            models.Index(fields=["taken_at", "id"], name="trade_taken"),
            models.Index(fields=["closed_at", "id"], name="trade_closed"),
            models.Index(fields=["external_id"], name="trade_external_id"),
        ]

    def __str__(self):
        return f"{self.symbol} {self.side} {self.taken_at:%Y-%m-%d %H:%M}"

    @property
    def status(self):
        return "open" if self.closed_at is None else "closed"

    @property
    def outcome(self):
        if self.result is None:
            return None
        return "win" if self.result > 0 else "loss" if self.result < 0 else "breakeven"


class Order(OwnedModel):
    """
    One order as sent to the broker, with the instants of its life, each on the platform's clock, and its prices.

    `expected_price` is the price at the signal, `arrival_price` the one when the order was sent. What is unknown
    is null. `placed_at` is the first instant known, and is what spans of time select by.
    """

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    class OrderType(models.TextChoices):
        MARKET = "market"
        LIMIT = "limit"

    strategy = models.ForeignKey(
        Strategy, on_delete=models.PROTECT, null=True, blank=True, related_name="orders", db_index=False
    )
    deployment = models.ForeignKey(
        Deployment, on_delete=models.PROTECT, null=True, blank=True, related_name="orders", db_index=False
    )
    trade = models.ForeignKey(Trade, on_delete=models.PROTECT, null=True, blank=True, related_name="orders")
    external_id = models.CharField(max_length=200)
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=4, choices=Side)
    order_type = models.CharField(max_length=6, choices=OrderType, blank=True)
    quantity = ExactDecimalField(null=True, blank=True)
    expected_price = ExactDecimalField(null=True, blank=True)
    arrival_price = ExactDecimalField(null=True, blank=True)
    filled_price = ExactDecimalField(null=True, blank=True)
    filled_quantity = ExactDecimalField(null=True, blank=True)
    signal_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    filled_at = models.DateTimeField(null=True, blank=True)
    placed_at = models.GeneratedField(
        expression=Coalesce("signal_at", "sent_at", "acknowledged_at", "filled_at"),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )

    objects = OwnedQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(side__in=["buy", "sell"]), name="order_side_known"),
            models.CheckConstraint(condition=Q(order_type__in=["", "market", "limit"]), name="order_order_type_known"),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(quantity__gt=0), name="order_quantity_positive"
            ),
            models.CheckConstraint(
                condition=Q(filled_quantity__isnull=True) | Q(filled_quantity__gte=0),
                name="order_filled_quantity_not_negative",
            ),
            models.UniqueConstraint(fields=["user", "external_id"], name="order_external_id_unique"),
        ]
        indexes = [
            models.Index(fields=["user", "placed_at", "id"], name="order_user_placed"),
            models.Index(fields=["strategy", "placed_at", "id"], name="order_strategy_placed"),
            models.Index(fields=["deployment", "placed_at", "id"], name="order_deployment_placed"),
            models.Index(fields=["placed_at", "id"], name="order_placed"),
            models.Index(fields=["external_id"], name="order_external_id"),
            models.Index(
                fields=["sent_at", "id"],
                condition=Q(acknowledged_at__isnull=True, filled_at__isnull=True),
                name="order_unanswered",
            ),
            models.Index(fields=["symbol", "placed_at", "id"], name="order_symbol_placed"),
        ]

    def __str__(self):
        return f"{self.symbol} {self.side} {self.external_id}"


class Scanner(OwnedModel, SoftDeletedModel):
    """A trader's own market scanner."""

    name = models.CharField(max_length=200)
    symbol = models.CharField(max_length=64, blank=True)
    criteria = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SoftDeletedQuerySet.as_manager()

    class Meta:
        default_permissions = ("view", "delete")
        indexes = [
            models.Index(fields=["user", "created_at", "id"], name="scanner_user_created"),
            models.Index(fields=["created_at", "id"], name="scanner_created"),
            models.Index(Folded("name"), name="scanner_name"),
            models.Index(Folded("symbol"), name="scanner_symbol"),
        ]

    def __str__(self):
        return self.name
