"""Panels of a trade's page: its prices, the deployment's parameters when it was taken, and its corrections."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

from support_platform.console.base import shown
from support_platform.console.panels import Panel
from support_platform.decimals import format_decimal
from support_platform.models import AuditEvent

from . import deployment_queries
from .row_panels import changes_of

MAX_CORRECTIONS = 20
IN_WORDS = {
    "quantity": "Quantity",
    "stop_loss_pct": "Stop loss %",
    "take_profit_pct": "Take profit %",
    "max_open_trades": "Max open trades",
    "order_type": "Order type",
    "capital": "Capital",
}


class Level(NamedTuple):
    name: str
    price: str
    distance: str


class PricesPanel(Panel):
    """Entry, exit and what was planned, each with its distance from the entry in the direction of the trade."""

    title = "Prices and result"
    template = "admin/rows/prices.html"
    right = "trading.view_trade"

    def show(self, request, row):
        prices = {
            "Entry": row.entry_price,
            "Exit": row.exit_price,
            "Stop loss": row.stop_loss,
            "Target": row.target,
        }
        levels = [
            Level(name, shown(price), distance_of(row, price) if name != "Entry" else "")
            for name, price in prices.items()
            if price is not None
        ]
        with localcontext(prec=60):
            gross = None if row.result is None else format_decimal(row.result + row.fees)
        return {"levels": levels, "missing": [name for name in prices if prices[name] is None], "gross": gross}


class ParametersThenPanel(Panel):
    """What the deployment was set to when the trade was taken."""

    title = "Parameters at the time"
    template = "admin/rows/parameters.html"
    right = "trading.view_deployment"

    def show(self, request, row):
        then = deployment_queries.parameters_at(row.deployment, row.taken_at, request.user)
        return {
            "rows": [
                (name, shown(then.values[field]), shown(getattr(row.deployment, field)), field in then.moved)
                for field, name in IN_WORDS.items()
            ],
            "then": then,
            "deployment": row.deployment,
        }


class CorrectionsPanel(Panel):
    """Every correction, as `GET trades/{id}/corrections/` answers it to whoever sees the trade."""

    title = "Corrections"
    template = "admin/rows/corrections.html"
    right = "trading.view_trade"
    is_wide = True

    def show(self, request, row):
        events = AuditEvent.objects.filter(subject_type="trade", subject_id=row.pk, action="trade.corrected")
        events = list(events.order_by("-at", "-id")[: MAX_CORRECTIONS + 1])
        readable = set(
            AuditEvent.objects.visible_to(request.user)
            .filter(pk__in=[event.pk for event in events])
            .values_list("pk", flat=True)
        )
        return {
            "corrections": [(event, changes_of(event), event.pk in readable) for event in events[:MAX_CORRECTIONS]],
            "has_more": len(events) > MAX_CORRECTIONS,
        }


class OrderHomePanel(Panel):
    """The trade that an order belongs to, and the deployment that sent it."""

    title = "Its trade and deployment"
    template = "admin/rows/order_home.html"
    right = "trading.view_order"

    def show(self, request, row):
        trade = row.trade if request.user.has_perm("trading.view_trade") else None
        deployment = row.deployment if request.user.has_perm("trading.view_deployment") else None
        return {
            "trade": trade,
            "result": shown(trade.result) if trade else "",
            "deployment": deployment,
            "parameters": [(name, shown(getattr(deployment, field))) for field, name in IN_WORDS.items()]
            if deployment
            else [],
        }


def distance_of(trade, price):
    """How far a price is from the entry, in per cent of it; positive: in the trader's favour."""
    if not trade.entry_price:
        return ""
    with localcontext(prec=60):
        gain = price - trade.entry_price if trade.side == "long" else trade.entry_price - price
        percent = (gain * 100 / abs(trade.entry_price)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return f"{'+' if percent > 0 else ''}{format_decimal(percent)} %"
