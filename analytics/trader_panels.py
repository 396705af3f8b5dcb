"""Panels of a trader's page that measure: the newest orders, and the trader beside everyone else."""

from support_platform.bounded import few
from support_platform.console.panels import Panel, list_url
from trading.models import Order

from . import baseline, latency, slippage
from .panels import MAX_SYMBOLS, digits

STAMPS = {"signal_at": "signal", "sent_at": "sent", "acknowledged_at": "acknowledged", "filled_at": "filled"}


class BaselinePanel(Panel):
    title = "Only this trader, or everyone?"
    name = "baseline"
    template = "admin/trader/baseline.html"
    right = "trading.view_order"
    is_wide = True

    def show(self, request, row):
        found = baseline.baseline_of(row.pk)
        figures = [*((figure, "ms") for figure in found.stages), (found.slippage, "bps")]
        rows = [
            (figure.name, unit, _digits(figure.own), _digits(figure.others))
            for figure, unit in figures
            if figure.own.count
        ]
        names = {"symbols": _some(found.symbols), "lone_symbols": _some(found.lone_symbols)}
        return {"found": found, "rows": rows, "rule": baseline.RULE, **names}


def _some(names):
    more = len(names) - MAX_SYMBOLS
    return ", ".join(names[:MAX_SYMBOLS]) + (f" and {more} more" if more > 0 else "")


def _digits(side):
    return side._replace(p50=digits(side.p50), p95=digits(side.p95))


class OrdersPanel(Panel):
    title = "Orders"
    template = "admin/trader/orders.html"
    right = "trading.view_order"
    is_wide = True

    def show(self, request, row):
        # Orders without any instant come last, as in every list of the newest.
        orders = few(Order.objects.filter(user=row.pk, placed_at__isnull=False).order_by("-placed_at", "-id"))
        for order in orders.rows:
            times = latency.OrderTimes(order.pk, order.trade_id, *(getattr(order, stamp) for stamp in STAMPS))
            prices = slippage.OrderPrices(
                order.pk,
                order.trade_id,
                order.symbol,
                order.side,
                order.expected_price,
                order.arrival_price,
                order.filled_price,
                order.filled_quantity,
                order.placed_at,
                order.filled_at,
            )
            order.latency, order.slippage = latency.record(times), slippage.record(prices)
            order.latency_text = digits(order.latency["latency_ms"])
            order.bps_text = digits(order.slippage["bps"])
            order.missing = [name for stamp, name in STAMPS.items() if getattr(order, stamp) is None]
        return {"few": orders, "all_rows": list_url(Order, user=row.pk)}
