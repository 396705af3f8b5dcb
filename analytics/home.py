"""
The key figures of a broker on the console's home page, and how they went.

They are made of the newest rows within reach, no more than ROWS of each kind, so that the page costs the same however
many there are; where there are more, it says from when on they are.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import NamedTuple

from django.core.exceptions import BadRequest
from django.utils import timezone

from accounts.models import User
from support_platform.console import charts
from support_platform.console.panels import Panel
from support_platform.decimals import format_decimal
from trading import reach
from trading.models import Deployment, Order, Trade

from . import latency, slippage
from .metrics import EXACT, MICROSECOND, mean, number, percentile

ROWS = 2_000
MAX_COUNTED = 10_000
STAGE = "acknowledgement"


class Period(NamedTuple):
    words: str
    length: timedelta
    step: timedelta  # of the charts
    form: str  # of an instant there


PERIODS = {
    "24h": Period("24 hours", timedelta(hours=24), timedelta(hours=1), "%H:%M"),
    "7d": Period("7 days", timedelta(days=7), timedelta(hours=6), "%m-%d %H:%M"),
    "30d": Period("30 days", timedelta(days=30), timedelta(days=1), "%m-%d"),
}


class FiguresPanel(Panel):
    title = "Key figures"
    template = "admin/home/figures.html"
    right = "trading.view_trade"
    is_wide = True
    parameters = frozenset({"period"})

    def show(self, request, row):
        chosen = request.GET.get("period", "24h")
        if chosen not in PERIODS:
            raise BadRequest(f"period must be one of: {', '.join(PERIODS)}.")
        staff, period, now = request.user, PERIODS[chosen], timezone.now()
        since = now - period.length
        taken = reach.newest(staff, Trade.objects.filter(taken_at__gte=since), "taken_at", ROWS, "taken_at")
        closed = reach.newest(
            staff, Trade.objects.filter(closed_at__gte=since), "closed_at", ROWS, "closed_at", "result"
        )
        orders = None
        if staff.has_perm("trading.view_order"):
            placed = Order.objects.filter(placed_at__gte=since)
            orders = _order_figures(reach.newest(staff, placed, "placed_at", ROWS, *ORDER_FIELDS))
        return {
            "whose": "all brokers" if staff.broker_id is None else staff.broker.name,
            "period": period.words,
            "periods": [(one.words, f"?period={name}#{self.name}", name == chosen) for name, one in PERIODS.items()],
            "figures": [*_of_trades(taken, closed), *_of_now(staff), *_of_orders(orders)],
            "charts": list(_charts(period, since, now, taken, closed, orders)),
            "cuts": list(_cuts(taken, closed, orders)),
        }


# What latency and slippage are made of, behind the id.
_PRICES = slippage.OrderPrices._fields[2:8]
ORDER_FIELDS = ("placed_at", *latency.STAGES[STAGE], "filled_at", *_PRICES)


class OrderFigures(NamedTuple):
    """Of one order what is not known is None."""

    pk: int
    at: datetime
    gap: int | None  # microseconds
    bps: Decimal | None


def _order_figures(newest):
    rows = []
    for pk, placed_at, start, end, filled_at, *prices in newest.rows:
        gap = None if start is None or end is None else (end - start) // MICROSECOND
        bps = slippage.bps_of(slippage.OrderPrices(pk, None, *prices, placed_at, filled_at))
        rows.append(OrderFigures(pk, placed_at, gap, bps))
    return reach.Newest(rows, newest.is_all)


def _latency(rows, q):
    """A percentile of the gaps in milliseconds, or None."""
    gap = percentile(sorted(row.gap for row in rows if row.gap is not None), q)
    return None if gap is None else number(gap / 1000)


def _slippage(rows):
    """The mean in basis points, or None."""
    with localcontext(EXACT):
        return number(mean([row.bps for row in rows if row.bps is not None]))


def _of_trades(taken, closed):
    results = [result for *_, result in closed.rows]
    wins = sum(result > 0 for result in results)
    yield "Trades taken", _counted(taken)
    yield "Trades closed", _counted(closed)
    yield "PnL, net", format_decimal(_sum(results)) if results else "–"
    yield "Win rate", f"{100 * wins / len(results):.2f} %" if results else "–"


def _of_now(staff):
    """Counted as they are now, whatever the period."""
    active = Deployment.objects.exclude(status=Deployment.Status.STOPPED).filter(status=Deployment.Status.ACTIVE)
    traders = User.objects.visible_to(staff)
    yield "Deployments active now", _capped(active.visible_to(staff))
    yield "Traders", _capped(traders)


def _of_orders(orders):
    if orders is None:
        return
    yield "Orders", _counted(orders)
    yield "Latency p50", _with_unit(_latency(orders.rows, 50), "ms")
    yield "Latency p95", _with_unit(_latency(orders.rows, 95), "ms")
    yield "Mean slippage", _with_unit(_slippage(orders.rows), "bps")


def _counted(newest):
    return f"{len(newest.rows):,}" if newest.is_all else f"{len(newest.rows):,}+"


def _capped(rows):
    count = rows.order_by().values("pk")[: MAX_COUNTED + 1].count()
    return f"{count:,}" if count <= MAX_COUNTED else f"{MAX_COUNTED:,}+"


def _with_unit(value, unit):
    return "–" if value is None else f"{number(round(value, 2)):g} {unit}"


def _sum(results):
    with localcontext(EXACT):
        return sum(results, Decimal(0))


def _cuts(taken, closed, orders):
    """In words, what is made of the newest rows only."""
    for name, newest in (("trades taken", taken), ("trades closed", closed), ("orders", orders)):
        if newest is not None and not newest.is_all and newest.rows:
            first = newest.rows[-1][1].astimezone(UTC)
            yield f"Of the {name} the newest {len(newest.rows):,}, which go back to {first:%Y-%m-%d %H:%M} UTC."


def _charts(period, since, now, taken, closed, orders):
    if taken.rows or closed.rows:
        steps = _steps(period, since, now, taken, closed)
        labels = [f"{at:{period.form}}" for at in steps]
        taken_in, closed_in = _by_step(period, taken), _by_step(period, closed)
        counts = [[len(rows.get(at, ())) for at in steps] for rows in (taken_in, closed_in)]
        words = f"{sum(counts[0])} trades taken and {sum(counts[1])} closed in the {period.words}."
        series = [charts.Series("taken", counts[0]), charts.Series("closed", counts[1])]
        yield charts.bar("Trades", labels, series, summary=words, label="From (UTC)")
        pnl = [_sum(row[2] for row in closed_in.get(at, ())) for at in steps]
        running, so_far = [], Decimal(0)
        for value in pnl:
            so_far = _sum([so_far, value])
            running.append(so_far)
        words = f"PnL of {format_decimal(so_far)} in the {period.words}."
        series = [charts.Series("PnL so far", running, is_filled=True)]
        yield charts.line("PnL", labels, series, summary=words, label="From (UTC)")
    if orders is not None and orders.rows:
        steps = _steps(period, since, now, orders)
        labels, placed_in = [f"{at:{period.form}}" for at in steps], _by_step(period, orders)
        series = [charts.Series(f"p{q}", [_latency(placed_in.get(at, ()), q) for at in steps]) for q in (50, 95)]
        words = f"Latency from sent to acknowledged over the {period.words}."
        yield charts.line("Latency, sent → acknowledged", labels, series, summary=words, unit="ms", label="From (UTC)")
        means = [_slippage(placed_in.get(at, ())) for at in steps]
        words = f"Mean slippage over the {period.words}; positive is a cost to the trader."
        series = [charts.Series("mean", means)]
        yield charts.line("Slippage, mean", labels, series, summary=words, unit="bps", label="From (UTC)")


def _step_of(period, at):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // period.step * period.step


def _steps(period, since, now, *all_newest):
    """The steps of the period; where only newest rows are known, from the first on of which all are."""
    cut = [newest.rows[-1][1] for newest in all_newest if not newest.is_all and newest.rows]
    first, steps = _step_of(period, max([since, *cut])), []
    while first <= now:
        steps.append(first)
        first += period.step
    return steps


def _by_step(period, newest):
    found = defaultdict(list)
    for row in newest.rows:
        found[_step_of(period, row[1])].append(row)
    return found
