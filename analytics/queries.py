"""Reads of the rows that are measured: exact Decimals, aware instants, no model instances."""

from bisect import insort
from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from django.db import connection
from django.db.models import BigIntegerField

from accounts.queries import find_trader
from support_platform.decimals import format_decimal
from support_platform.exceptions import OutOfReach
from support_platform.instants import format_instant
from support_platform.statements import Given, Statement
from trading.models import Deployment, Order, Strategy, Trade

from . import blocks, columns, readings, slippage
from .latency import OrderTimes
from .metrics import EXACT
from .models import Rollup
from .performance import ClosedTrade
from .slippage import OrderPrices


class Span(NamedTuple):
    """Half-open: from `since` until before `until`. Without both it holds everything, rows without an instant too."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_limited(self):
        return self.since is not None or self.until is not None

    def lookups(self, column):
        bounds = {f"{column}__gte": self.since, f"{column}__lt": self.until}
        return {lookup: instant for lookup, instant in bounds.items() if instant is not None}


def find_scope(staff, *, user=None, user_email=None, strategy=None, deployment=None):
    """
    What a staff member asks to be measured, as {"user" | "strategy" | "deployment": id}.

    That is the answer's `scope` and the lookup of its trades and orders. Deleted strategies can be measured.

    :raises OutOfReach: if it is not within the staff member's reach
    """
    for name, model, pk in (("strategy", Strategy, strategy), ("deployment", Deployment, deployment)):
        if pk is not None:
            if not model.objects.visible_to(staff).filter(pk=pk).exists():
                raise OutOfReach
            return {name: pk}
    return {"user": find_trader(staff, user_id=user, email=user_email).pk}


def order_times(scope, span):
    return _order_times(Order.objects.filter(**scope, **span.lookups("placed_at")))


def newest_orders(scope, span, limit):
    """The orders that `latency.records` would choose."""
    return [row for rows in _newest(scope, span, limit) for row in _order_times(rows)]


def newest_prices(scope, span, limit):
    """The orders that `slippage.records` would choose."""
    return [row for rows in _newest(scope, span, limit) for row in _order_prices(rows)]


def newest_placed_prices(scope, span, limit):
    """The newest orders whose instant is known."""
    return _order_prices(next(_newest(scope, span, limit)))


def newest_placed_times(scope, limit):
    """As newest_placed_prices, of all time."""
    return _order_times(next(_newest(scope, Span(), limit)))


def order_prices(scope, span):
    return _order_prices(Order.objects.filter(**scope, **span.lookups("placed_at")))


def orders_without_instant(scope):
    """How many orders in scope nothing tells of when they were placed; a span leaves them out."""
    return Order.objects.filter(**scope, placed_at__isnull=True).count()


def closed_trades(scope, span):
    return _closed_trades(Trade.objects.closed().filter(**scope, **span.lookups("closed_at")))


def newest_trades(scope, span, limit):
    """The closed trades that `performance.records` would choose."""
    rows = Trade.objects.closed().filter(**scope, **span.lookups("closed_at"))
    return _closed_trades(rows.order_by("-closed_at", "-id")[:limit])


def open_trades(scope):
    return Trade.objects.open().filter(**scope).count()


def starting_capital(scope):
    """The sum of the capitals of the deployments in scope, where known; None when none is."""
    lookups = {"pk" if name == "deployment" else name: pk for name, pk in scope.items()}
    capitals = list(
        Deployment.objects.filter(**lookups, capital__isnull=False).order_by().values_list("capital", flat=True)
    )
    with localcontext(EXACT):
        return sum(capitals, Decimal(0)) if capitals else None


def slippage_cost(scope, span):
    """The total slippage cost of the orders of the trades that closed_trades reads."""
    lookups = {**scope, **span.lookups("closed_at"), "closed_at__isnull": False}
    orders = Order.objects.filter(**{f"trade__{lookup}": value for lookup, value in lookups.items()})
    return slippage.total_cost(_order_prices(orders))


def deployment_figures(deployment):
    """What a correction of a trade moves, JSON-ready: the deployment's win rate, PnL and maximum drawdown."""
    return DeploymentFigures(deployment).before


class DeploymentFigures:
    """
    The figures of a deployment as they are, and as they are once one of its trades has changed.

    Few trades are read once, and the changed one is put in its place; of many there are blocks, which are read again.
    """

    def __init__(self, deployment):
        self.deployment = deployment
        found = None if connection.in_atomic_block and not _ROLLUP.first(deployment=deployment.pk) else self._blocks()
        self._results = columns.results(deployment.pk) if found is None else None
        self.before = self._of_blocks(found) if found is not None else self._of_results(self._results)

    def after(self, was, trade):
        """Once `trade`, locked until now, has been changed and written; `was` is (closed_at, result) before that."""
        if self._results is None:
            return deployment_figures(self.deployment)
        return self._of_results(_replaced(self._results, was, trade))

    def _blocks(self):
        with readings.performance_of({"deployment": self.deployment.pk}) as reading:
            return reading and reading.blocks(Span())

    def _of_results(self, results):
        block = [blocks.block(columns.of_results(results), interval=None)] if results else []
        return self._of_blocks(block)

    def _of_blocks(self, found):
        return json_ready(blocks.figures(found, self.deployment.capital))


# Within a transaction none is begun.
_ROLLUP = Statement(
    lambda: Rollup.objects.filter(
        kind=Rollup.Kind.PERFORMANCE, scope="deployment", scope_id=Given("deployment", BigIntegerField())
    ),
    ("id",),
)


def _replaced(results, was, trade):
    """The results of closed trades, as (closed, result) in their order, with one trade's changed."""
    results = list(results)
    closed_at, result = was
    if closed_at is not None:
        results.remove((blocks.microseconds(closed_at), blocks.units(result)))
    if trade.closed_at is not None:
        insort(results, (blocks.microseconds(trade.closed_at), blocks.units(trade.result)))
    return results


def json_ready(figures):
    """Decimals as exact plain strings and instants as UTC with Z, at any depth."""
    if isinstance(figures, blocks.Points):
        return figures
    if isinstance(figures, dict):
        return {name: json_ready(value) for name, value in figures.items()}
    if isinstance(figures, list):
        return [json_ready(value) for value in figures]
    if isinstance(figures, Decimal):
        return format_decimal(figures)
    return format_instant(figures) if isinstance(figures, datetime) else figures


def _newest(scope, span, limit):
    """The newest orders, and if these are too few those without an instant."""
    rows = Order.objects.filter(**scope)
    placed = rows.filter(**span.lookups("placed_at"), placed_at__isnull=False)
    yield placed.order_by("-placed_at", "-id")[:limit]
    if not span.is_limited and (left := limit - placed[:limit].count()):
        yield rows.filter(placed_at__isnull=True).order_by("-id")[:left]


def _order_times(orders):
    rows = orders.values_list("id", "trade_id", "signal_at", "sent_at", "acknowledged_at", "filled_at")
    return [OrderTimes(*row) for row in rows]


def _closed_trades(trades):
    rows = trades.values_list(
        "id", "taken_at", "closed_at", "result", "fees", "strategy_id", "deployment_id", "symbol", "side"
    )
    return [ClosedTrade(*row) for row in rows]


def _order_prices(orders):
    rows = orders.values_list(
        "id",
        "trade_id",
        "symbol",
        "side",
        "expected_price",
        "arrival_price",
        "filled_price",
        "filled_quantity",
        "placed_at",
        "filled_at",
    )
    return [OrderPrices(*row) for row in rows]
