from accounts.filters import OwnedFilter
from support_platform.filters import (
    BooleanFilter,
    ChoiceFilter,
    IdFilter,
    InstantFilter,
    StrictFilterSet,
    TextFilter,
)

from . import queries
from .models import Deployment, Trade


class SoftDeletedFilter(OwnedFilter):
    """Without `status`, only the rows that are not deleted."""

    status = ChoiceFilter(choices=["active", "deleted"], method="by_status")
    search = TextFilter(field_name="name", lookup_expr="icontains")

    def by_status(self, queryset, name, value):
        """active: the rows that are not deleted, as without this parameter."""
        return queryset.deleted() if value == "deleted" else queryset.kept()

    def applied(self, queryset, values):
        queryset = super().applied(queryset, values)
        return queryset if "status" in values else queryset.kept()


class StrategyFilter(SoftDeletedFilter):
    is_published = BooleanFilter(
        field_name="published_at",
        lookup_expr="isnull",
        exclude=True,
        help_text="Strategies in the marketplace, or the others.",
    )
    symbol = TextFilter()
    timeframe = TextFilter()
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")


class DeploymentFilter(OwnedFilter):
    strategy = IdFilter()
    status = ChoiceFilter(choices=Deployment.Status.values)
    state = ChoiceFilter(choices=["active", "inactive"], method="by_state")
    mode = ChoiceFilter(choices=Deployment.Mode.values)
    symbol = TextFilter()
    started_after = InstantFilter(field_name="started_at", lookup_expr="gte")
    started_before = InstantFilter(field_name="started_at", lookup_expr="lt")

    def by_state(self, queryset, name, value):
        """active, or inactive: paused and stopped."""
        return queryset.active() if value == "active" else queryset.inactive()


class TradeFilter(OwnedFilter):
    strategy = IdFilter()
    deployment = IdFilter()
    symbol = TextFilter()
    side = ChoiceFilter(choices=Trade.Side.values)
    status = ChoiceFilter(choices=["open", "closed"], method="by_status")
    outcome = ChoiceFilter(choices=["win", "loss", "breakeven"], method="by_outcome")
    is_corrected = BooleanFilter()
    taken_after = InstantFilter(field_name="taken_at", lookup_expr="gte")
    taken_before = InstantFilter(field_name="taken_at", lookup_expr="lt")
    closed_after = InstantFilter(field_name="closed_at", lookup_expr="gte")
    closed_before = InstantFilter(field_name="closed_at", lookup_expr="lt")

    def by_status(self, queryset, name, value):
        """Trades that are still open, or closed ones."""
        return queryset.open() if value == "open" else queryset.closed()

    def by_outcome(self, queryset, name, value):
        """By the result's sign; an open trade has no outcome."""
        lookup = {"win": "result__gt", "loss": "result__lt", "breakeven": "result"}[value]
        return queryset.filter(**{lookup: 0})


class ScannerFilter(SoftDeletedFilter):
    pass


class TimelineFilter(StrictFilterSet):
    kind = ChoiceFilter(choices=list(queries.SOURCES), help_text="Entries of one kind.")
    at_after = InstantFilter(field_name="at", lookup_expr="gte")
    at_before = InstantFilter(field_name="at", lookup_expr="lt")

    def of(self, trader):
        """What happened to a trader."""
        return queries.Timeline(trader, self.request.user, **self.cleaned())
