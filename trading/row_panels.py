"""Panels of the pages of strategies, deployments and scanners: what belongs to them, and what is wrong with them."""

import json

from django.utils import timezone

from support_platform.console.base import shown
from support_platform.console.panels import Panel
from support_platform.console.tables import RowsPanel
from support_platform.models import AuditEvent

from .models import Deployment, Order, Scanner, Trade
from .trader_panels import COUNTED_OPEN, QUIET

MAX_DOCUMENT = 20_000  # characters
MAX_DEPTH = 8
MAX_EVENTS = 10


class DocumentPanel(Panel):
    """A JSON document as a list of names and values; where it is too long or too deep for that, its text."""

    template = "admin/rows/document.html"
    field = ""
    nothing = ""

    def show(self, request, row):
        document = getattr(row, self.field)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        is_long = len(text) > MAX_DOCUMENT
        return {
            "document": None if is_long or _depth(document) > MAX_DEPTH else readable(document),
            "text": text[:MAX_DOCUMENT],
            "length": len(text) if is_long else None,
            "is_empty": document in ({}, [], "", None),
            "nothing": self.nothing,
        }


class DefinitionPanel(DocumentPanel):
    title = "Definition"
    right = "trading.view_strategy"
    field = "definition"
    nothing = "The trader has defined nothing: this strategy has a name only, as an imported one has."


class CriteriaPanel(DocumentPanel):
    title = "Criteria"
    right = "trading.view_scanner"
    field = "criteria"
    nothing = "The trader has named no criteria."


class MarketplacePanel(Panel):
    """Whether a strategy is published, what keeps it from being so, and who has published or unpublished it."""

    title = "Marketplace"
    template = "admin/rows/marketplace.html"
    right = "trading.view_strategy"

    def show(self, request, row):
        actions = ["strategy.published", "strategy.unpublished"]
        events = events_of(row, request.user).filter(action__in=actions)[:MAX_EVENTS]
        return {"events": list(events), "owner": row.user}


class StrategyDeploymentsPanel(RowsPanel):
    title = "Deployments"
    right = "trading.view_deployment"
    model = Deployment
    columns = {
        "Deployment": "pk",
        "Status": "get_status_display",
        "Mode": "get_mode_display",
        "Symbol": "symbol",
        "Quantity": "quantity",
        "Capital": "capital",
        "Started (UTC)": "started_at",
        "Stopped (UTC)": "stopped_at",
    }
    numbers = ("Quantity", "Capital")
    parameter = "strategy"
    nothing = "Never deployed."

    def rows(self, request, row):
        # Active ones first, then paused, then stopped: the order of the alphabet, and of an index.
        return Deployment.objects.filter(strategy=row.pk).order_by("status", "-id")


class TradesPanel(RowsPanel):
    right = "trading.view_trade"
    model = Trade
    columns = {
        "Trade": "pk",
        "Symbol": "symbol",
        "Side": "side",
        "Quantity": "quantity",
        "Entry": "entry_price",
        "Exit": "exit_price",
        "Result": "result",
        "Outcome": "outcome",
        "Taken (UTC)": "taken_at",
        "Closed (UTC)": "closed_at",
    }
    numbers = ("Quantity", "Entry", "Exit", "Result")


class StrategyTradesPanel(TradesPanel):
    title = "Recent trades"
    parameter = "strategy"
    nothing = "No trades yet: its deployments have taken none."

    def rows(self, request, row):
        return Trade.objects.filter(strategy=row.pk).order_by("-taken_at", "-id")


class TroublePanel(Panel):
    """Why a deployment does not run, or should not. Left out where nothing is wrong."""

    title = "Needs attention"
    template = "admin/rows/trouble.html"
    right = "trading.view_deployment"
    is_wide = True

    def show(self, request, row):
        found = list(self.troubles(row, timezone.now()))
        return {"troubles": found} if found else None

    def troubles(self, row, now):
        """What `trader_panels.troubles` names in short, each with what to do about it."""
        is_active, is_stopped = row.status == Deployment.Status.ACTIVE, row.status == Deployment.Status.STOPPED
        trades = Trade.objects.filter(deployment=row.pk)
        open_trades = trades.open()[: COUNTED_OPEN + 1].count()
        if is_stopped:
            yield f"It was stopped on {shown(row.stopped_at)} UTC, for good. To go on, the strategy is deployed anew."
            if open_trades:
                yield "Trades of it are still open although it is stopped: see whether the broker still holds them."
            return
        if row.strategy.is_deleted:
            then = "it runs nevertheless: stop it, or restore the strategy" if is_active else "restore it to resume"
            yield f"Its strategy was deleted on {shown(row.strategy.deleted_at)} UTC; {then}."
        if not row.user.is_active:
            then = "yet it is active: pause or stop it" if is_active else "activate the account to resume"
            yield f"The trader's account is inactive; {then}."
        if open_trades > row.max_open_trades:
            count = f"more than {COUNTED_OPEN}" if open_trades > COUNTED_OPEN else open_trades
            yield f"It has {count} open trades and may have {row.max_open_trades}: see whether some are closed already."
        if not is_active:
            yield "It is paused and takes no trades until it is resumed."
            return
        last = trades.order_by("-taken_at", "-id").values_list("taken_at", flat=True).first()
        if last is None:
            yield "It has taken no trade yet."
        elif now - last > QUIET:
            yield f"It has taken no trade for {(now - last).days} days."


class OpenTradesPanel(TradesPanel):
    title = "Open trades"
    columns = {
        name: path
        for name, path in TradesPanel.columns.items()
        if name not in ("Exit", "Result", "Outcome", "Closed (UTC)")
    } | {"Stop loss": "stop_loss", "Target": "target"}
    numbers = ("Quantity", "Entry", "Stop loss", "Target")
    nothing = "No trade is open."

    parameter = "deployment"

    def query(self, row):
        return {**super().query(row), "status": "open"}

    def rows(self, request, row):
        # By the index on (deployment, closed_at, id), in which the open ones stand together.
        return Trade.objects.open().filter(deployment=row.pk).order_by("-id")


class DeploymentTradesPanel(TradesPanel):
    title = "Recent trades"
    parameter = "deployment"
    nothing = "No trade has closed yet."

    def rows(self, request, row):
        return Trade.objects.closed().filter(deployment=row.pk).order_by("-closed_at", "-id")


class DeploymentOrdersPanel(RowsPanel):
    title = "Recent orders"
    right = "trading.view_order"
    model = Order
    columns = {
        "Order": "external_id",
        "Symbol": "symbol",
        "Side": "side",
        "Type": "order_type",
        "Quantity": "quantity",
        "Expected": "expected_price",
        "Filled at": "filled_price",
        "Placed (UTC)": "placed_at",
        "Filled (UTC)": "filled_at",
    }
    numbers = ("Quantity", "Expected", "Filled at")
    parameter = "deployment"
    nothing = "No orders yet."
    instant_precision = "milliseconds"

    def rows(self, request, row):
        return Order.objects.filter(deployment=row.pk, placed_at__isnull=False).order_by("-placed_at", "-id")


class ChangesPanel(Panel):
    """What was changed of a deployment, as far as the person may read the audit trail."""

    title = "Changes"
    template = "admin/rows/changes.html"
    right = "trading.view_deployment"
    is_wide = True

    def show(self, request, row):
        events = list(events_of(row, request.user)[: MAX_EVENTS + 1])
        return {
            "events": [(event, changes_of(event)) for event in events[:MAX_EVENTS]],
            "has_more": len(events) > MAX_EVENTS,
            "reads_all": request.user.has_perm("support_platform.view_auditevent"),
        }


class OtherScannersPanel(RowsPanel):
    title = "Other scanners"
    right = "trading.view_scanner"
    model = Scanner
    columns = {"Name": "name", "Symbol": "symbol", "Status": "status", "Created (UTC)": "created_at"}
    nothing = "The trader has no other scanner."

    def query(self, row):
        return {"user": row.user_id}

    def rows(self, request, row):
        return Scanner.objects.filter(user=row.user_id).exclude(pk=row.pk).order_by("-created_at", "-id")


def events_of(row, staff):
    """The audit events of a row that the staff member may read, newest first."""
    events = AuditEvent.objects.visible_to(staff)
    return events.filter(subject_type=row._meta.model_name, subject_id=row.pk).order_by("-at", "-id")


def changes_of(event):
    """[(field in words, before, after)] of an event."""
    return [(name.replace("_", " "), shown(before), shown(after)) for name, (before, after) in event.changes.items()]


def readable(document):
    """A document for a template: ("names", [(name, value)]), ("list", [value]) or ("value", text)."""
    if isinstance(document, dict) and document:
        return "names", [(name, readable(value)) for name, value in document.items()]
    if isinstance(document, list) and document:
        return "list", [readable(value) for value in document]
    if isinstance(document, str) and document:
        return "value", document
    return "value", json.dumps(document)


def _depth(document):
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return 1 + max(map(_depth, children), default=0)
