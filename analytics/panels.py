"""
Figures of one trader, strategy or deployment on its page in the console.

They are the answers of `GET analytics/...`, read by the same functions and shown with the same digits.
"""

from decimal import Decimal
from typing import NamedTuple

from django.core.exceptions import BadRequest
from django.urls import reverse
from django.utils import timezone

from support_platform.console import charts
from support_platform.console.panels import Panel
from support_platform.decimals import format_decimal
from support_platform.instants import parse_window
from trading.models import Order

from . import latency, queries, reports, slippage

WINDOWS = {"": "All time", "90d": "90 days", "30d": "30 days", "7d": "7 days", "24h": "24 hours"}
# So many of the newest orders tell of the hours of the day, so that this costs the same however many there are.
ORDERS_BY_HOUR = 2000
MAX_SYMBOLS = 5
STAGES = {
    "decision": "signal → sent",
    "acknowledgement": "sent → acknowledged",
    "fill": "acknowledged → filled",
    "execution": "sent → filled",
    "total": "signal → filled",
}
REASONS = {
    "no_trades": "no closed trades",
    "no_losses": "no losses yet",
    "no_starting_capital": "the starting capital is unknown",
    "fewer_than_two_days": "takes closes on two days or more",
    "equity_not_positive": "equity fell to 0 or below",
    "zero_deviation": "every day was the same",
    "not_filled": "not filled",
    "no_expected_price": "without an expected price",
    "zero_expected_price": "with an expected price of 0",
    "no_filled_price": "without a filled price",
    "no_instant": "without any time stamp",
}


class Figure(NamedTuple):
    name: str
    text: str
    meaning: str
    note: str = ""


class FiguresPanel(Panel):
    """One report on the row of the page, of all time or of the trailing `window` that the page's address names."""

    is_wide = True
    parameters = frozenset({"window"})
    report = None
    nothing = ""  # in words, that `count` of the report is 0

    def check(self, query):
        if window := query.get("window"):
            _length(window)

    def show(self, request, row):
        as_of, window = timezone.now(), request.GET.get("window", "")
        scope, noun = {row._meta.model_name: row.pk}, str(row._meta.verbose_name)
        span = queries.Span(as_of - _length(window)) if window else queries.Span()
        # The empty span and no records: what is shown needs neither a series nor single rows.
        found = queries.json_ready(self.report(scope, span, None, 0))
        length = WINDOWS.get(window, window)
        excluded = {reason: count for reason, count in found["excluded"].items() if count and reason in REASONS}
        return {
            "found": found,
            "span": f"of the last {length}, until {as_of:%Y-%m-%d %H:%M} UTC" if window else "of all time",
            "windows": [(text, f"?window={value}#{self.name}", value == window) for value, text in WINDOWS.items()],
            "nothing": f"{self.nothing} of this {noun} {f'in the last {length}' if window else 'yet'}.",
            "method": found["method"],
            "left_out": [f"{count} {REASONS[reason]}" for reason, count in excluded.items()],
            **self.parts(found, scope, span),
        }

    def parts(self, found, scope, span):
        """What the template of the one panel needs besides."""
        raise NotImplementedError


class PerformancePanel(FiguresPanel):
    title = "Performance"
    template = "admin/scopes/performance.html"
    right = "trading.view_trade"
    report = staticmethod(reports.performance_report)
    nothing = "No closed trades"

    def parts(self, found, scope, span):
        fall = found["max_drawdown"]
        figures = [
            _figure(found, "Win rate", "win_rate", percent),
            _figure(found, "PnL, net", "pnl"),
            _figure(found, "Fees", "fees"),
            _figure(found, "Return", "return_pct", "{} %".format, note=_reason_without_capital(found)),
            _figure(found, "Profit factor", "profit_factor", note=_reason(found, "profit_factor_reason")),
            _figure(found, "Expectancy", "expectancy", note="a trade"),
            Figure(
                "Max drawdown",
                digits(fall["absolute"]),
                found["definitions"]["max_drawdown"],
                "" if fall["percent"] is None else f"{digits(fall['percent'])} %",
            ),
            _figure(found, "Sharpe ratio", "sharpe_ratio", note=_reason(found, "sharpe_ratio_reason")),
            _figure(found, "Slippage cost", "slippage_cost", note="already in PnL"),
        ]
        meanings = [(figure.name, figure.meaning) for figure in figures]
        return {"figures": figures, "meanings": meanings, "fall": _fall_in_words(fall), "charts": _curve(found)}


class LatencyPanel(FiguresPanel):
    title = "Latency"
    template = "admin/scopes/latency.html"
    right = "trading.view_order"
    report = staticmethod(reports.latency_report)
    nothing = "No orders"

    def parts(self, found, scope, span):
        stages = [
            (name, STAGES[name], [digits(figures[key]) for key in ("p50", "p95", "p99")], figures)
            for name, figures in found["stages"].items()
        ]
        told = (*found["stages"], "p50", "p95", "p99", "missing", "clock_skew", "histogram", "method")
        meanings = [(name.replace("_", " "), found["definitions"][name]) for name in told]
        return {"stages": stages, "meanings": meanings, "charts": _histogram(found["stages"])}


class SlippagePanel(FiguresPanel):
    title = "Slippage"
    template = "admin/scopes/slippage.html"
    right = "trading.view_order"
    report = staticmethod(reports.slippage_report)
    nothing = "No filled orders with an expected price"

    def parts(self, found, scope, span):
        bps = "{} bps".format
        figures = [
            _figure(found, "Mean", "mean_bps", bps),
            _figure(found, "Weighted mean", "weighted_mean_bps", bps),
            _figure(found, "p50", "p50_bps", bps),
            _figure(found, "p95", "p95_bps", bps),
            _figure(found, "Total cost", "total_cost"),
            _figure(found, "Share adverse", "adverse_share", percent),
        ]
        if found["split_count"]:
            figures += [
                _figure(found, "Delay", "delay_bps", bps, note=f"of {found['split_count']} orders"),
                _figure(found, "Execution", "execution_bps", bps, note=f"of {found['split_count']} orders"),
            ]
        briefs = [(side, found["by_side"][side]) for side in ("buy", "sell")]
        briefs += [(brief["symbol"], brief) for brief in found["by_symbol"][:MAX_SYMBOLS]]
        return {
            "figures": figures,
            "meanings": [(figure.name, figure.meaning) for figure in figures],
            "briefs": [(name, one["count"], digits(one["mean_bps"]), one["total_cost"]) for name, one in briefs],
            "more_symbols": max(len(found["by_symbol"]) - MAX_SYMBOLS, 0),
            "worst": _worst(found["worst"]),
            "charts": _by_hour(scope, span) if found["count"] else [],
        }


def digits(value):
    """A number of an answer as the answer has it, without an exponent."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else format_decimal(Decimal(repr(value)))


def percent(share):
    return f"{format_decimal(Decimal(repr(share)) * 100)} %"


def _figure(found, name, key, write=None, note=""):
    value = found[key]
    text = digits(value) if write is None or value is None else write(value if write is percent else digits(value))
    return Figure(name, text, found["definitions"][key], note)


def _reason(found, key):
    return REASONS[found[key]] if found[key] else ""


def _reason_without_capital(found):
    return "" if found["starting_capital"] else REASONS["no_starting_capital"]


def _length(window):
    try:
        return parse_window(window)
    except ValueError as error:
        raise BadRequest(f"window: {error}") from None


def _instant(text):
    return f"{text[:16].replace('T', ' ')} UTC"


def _fall_in_words(fall):
    if not fall["trough_at"]:
        return "Equity has not fallen below its peak."
    peak = f"the peak of {_instant(fall['peak_at'])}" if fall["peak_at"] else "the starting capital"
    end = f"recovered {_instant(fall['recovered_at'])}" if fall["recovered_at"] else "not recovered yet"
    return f"The deepest fall: from {peak} to {_instant(fall['trough_at'])}, {end}."


def _curve(found):
    points = found["equity_curve"]
    if not points:
        return []
    # Over weeks the day is enough, and a shorter label leaves the drawing more room.
    is_long = points[0]["at"][:7] != points[-1]["at"][:7]
    labels = [point["at"][: 10 if is_long else 16].replace("T", " ") for point in points]
    equity, falls = [point["equity"] for point in points], [_below(point["drawdown"]) for point in points]
    start = "" if found["starting_capital"] is None else f" It began with {found['starting_capital']}."
    thinned = f" {len(points)} points of it." if len(points) < found["count"] else ""
    told = f"Equity after {found['count']} closed trades: {equity[-1]} on {labels[-1]}.{start}{thinned}"
    return [
        charts.line("Equity", labels, [charts.Series("Equity", equity)], summary=told),
        charts.line(
            "Drawdown: below the running peak",
            labels,
            [charts.Series("Below the peak", falls, is_filled=True)],
            summary=_fall_in_words(found["max_drawdown"]),
        ),
    ]


def _below(fall):
    return fall if fall == "0" else f"-{fall}"


def _histogram(stages):
    """Of the longest stage that is known, as `latency_ms` of an order is."""
    name = next((name for name in latency.LATENCY_PRECEDENCE if stages[name]["count"]), None)
    if name is None:
        return []
    bounds, figures = [0, *latency.HISTOGRAM_BOUNDS_MS], stages[name]
    labels = [f"{low}–{high}" for low, high in zip(bounds, bounds[1:], strict=False)] + [f"over {bounds[-1]}"]
    counts = [bar["count"] for bar in figures["histogram"]]
    told = f"Half of {figures['count']} orders took {digits(figures['p50'])} ms or less, 95 of 100 took up to"
    return [
        charts.bar(
            f"Orders by how long they took ({name}, ms)",
            labels,
            [charts.Series("Orders", counts)],
            summary=f"{told} {digits(figures['p95'])} ms.",
            label="Milliseconds",
        )
    ]


def _by_hour(scope, span):
    orders = queries.newest_placed_prices(scope, span, ORDERS_BY_HOUR)
    hours = slippage.by_hour(orders)
    known = [(hour["mean_bps"], hour["hour"]) for hour in hours if hour["count"]]
    if not known:
        return []
    (high, worst), (low, best) = max(known), min(known)
    whose = f"the newest {len(orders)} orders" if len(orders) == ORDERS_BY_HOUR else f"{len(orders)} orders"
    told = f"The mean of {whose}: highest from {worst:02}:00 UTC with {digits(high)} bps, lowest from {best:02}:00 with"
    return [
        charts.bar(
            f"Mean slippage by hour of the day (UTC), of {whose}",
            [f"{hour['hour']:02}" for hour in hours],
            [charts.Series("Mean", [hour["mean_bps"] for hour in hours])],
            summary=f"{told} {digits(low)} bps.",
            unit="bps",
            label="Hour (UTC)",
        )
    ]


def _worst(worst):
    """The worst orders with what a person knows them by."""
    rows = Order.objects.filter(pk__in=[one["order"] for one in worst])
    known = {row[0]: row[1:] for row in rows.values_list("pk", "external_id", "symbol", "side", "placed_at")}
    return [
        (*known[one["order"]], digits(one["bps"]), digits(one["cost"]), _address(one["order"]))
        for one in worst
        if one["order"] in known
    ]


def _address(order):
    return reverse("admin:trading_order_change", args=[order])
