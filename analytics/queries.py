"""Reads of the rows that are measured: exact Decimals, aware instants, no model instances."""

from bisect import insort
from datetime import datetime
from decimal import Decimal, localcontext
from functools import cache
from typing import NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, Count, DateTimeField

from accounts.queries import Reach, find_trader
from support_platform.decimals import format_decimal
from support_platform.exceptions import OutOfReach
from support_platform.instants import format_instant
from support_platform.statements import Given, Statement
from trading.models import Deployment, Order, Strategy, Trade

from . import blocks, columns, readings, rollups, slippage
from .latency import OrderTimes
from .metrics import EXACT
from .performance import ClosedTrade
from .slippage import OrderPrices

_CLOSED_TRADE = ("id", "taken_at", "closed_at", "result", "fees", "strategy_id", "deployment_id", "symbol", "side")
_ORDER_TIMES = ("id", "trade_id", "signal_at", "sent_at", "acknowledged_at", "filled_at")
_ORDER_PRICES = (
    *("id", "trade_id", "symbol", "side", "expected_price", "arrival_price", "filled_price", "filled_quantity"),
    *("placed_at", "filled_at"),
)
# The id of what is measured, in statements that are written once for each kind of scope.
_SCOPE = Given("scope", BigIntegerField())


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
            is_scoped = staff.broker_id is not None
            if _visible(model, is_scoped).first(id=pk, broker=staff.broker_id) is None:
                raise OutOfReach
            return {name: pk}
    return {"user": find_trader(staff, user_id=user, email=user_email).pk}


@cache
def _visible(model, is_scoped):
    reach, by_id = Reach.given(is_scoped), Given("id", BigIntegerField())
    return Statement(lambda: model.objects.visible_to(reach).filter(pk=by_id), ("pk",))


def order_times(scope, span):
    orders = Order.objects.filter(**scope, **span.lookups("placed_at"))
    return [OrderTimes(*row) for row in orders.values_list(*_ORDER_TIMES)]


def newest_orders(scope, span, limit):
    """The orders that `latency.records` would choose."""
    return [OrderTimes(*row) for rows in _newest(scope, span, limit, _ORDER_TIMES) for row in rows]


def newest_prices(scope, span, limit):
    """The orders that `slippage.records` would choose."""
    return [OrderPrices(*row) for rows in _newest(scope, span, limit, _ORDER_PRICES) for row in rows]


def newest_placed_prices(scope, span, limit):
    """The newest orders whose instant is known."""
    return [OrderPrices(*row) for row in next(_newest(scope, span, limit, _ORDER_PRICES))]


def newest_placed_times(scope, limit):
    """As newest_placed_prices, of all time."""
    return [OrderTimes(*row) for row in next(_newest(scope, Span(), limit, _ORDER_TIMES))]


def order_prices(scope, span):
    return _order_prices(Order.objects.filter(**scope, **span.lookups("placed_at")))


def orders_without_instant(scope):
    """How many orders in scope nothing tells of when they were placed; a span leaves them out."""
    ((name, pk),) = scope.items()
    return _count(Order, name, placed_at__isnull=True)(scope=pk)


def closed_trades(scope, span):
    return _closed_trades(Trade.objects.closed().filter(**scope, **span.lookups("closed_at")))


def newest_trades(scope, span, limit):
    """The closed trades that `performance.records` would choose."""
    ((name, pk),) = scope.items()
    bounds = span.lookups("closed_at")
    rows = _newest_rows(Trade, "closed_at", name, tuple(bounds), _CLOSED_TRADE).rows(limit=limit, scope=pk, **bounds)
    return [ClosedTrade(*row) for row in rows]


def open_trades(scope):
    ((name, pk),) = scope.items()
    return _count(Trade, name, closed_at__isnull=True)(scope=pk)


@cache
def _count(model, name, **lookups):
    """A function of the scope: how many of its rows there are."""
    rows = model.objects.filter(**{name: _SCOPE}, **lookups).order_by().values(name).annotate(count=Count("pk"))
    statement = Statement(lambda: rows, ("count",))
    return lambda **given: sum(count for (count,) in statement.rows(**given))


def starting_capital(scope):
    """The sum of the capitals of the deployments in scope, where known; None when none is."""
    ((name, pk),) = scope.items()
    capitals = [capital for (capital,) in _capitals(name).rows(scope=pk)]
    with localcontext(EXACT):
        return sum(capitals, Decimal(0)) if capitals else None


@cache
def _capitals(name):
    lookup = {"pk" if name == "deployment" else name: _SCOPE}
    return Statement(lambda: Deployment.objects.filter(**lookup, capital__isnull=False).order_by(), ("capital",))


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
        scope = {"deployment": deployment.pk}
        # Within a transaction none is begun.
        is_small = connection.in_atomic_block and not rollups.rollup_of(readings.PerformanceReading, scope)
        found = None if is_small else self._blocks()
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


def _newest(scope, span, limit, columns):
    """The newest orders' columns, and if these are too few those of orders without an instant."""
    ((name, pk),) = scope.items()
    bounds = span.lookups("placed_at")
    placed = _newest_rows(Order, "placed_at", name, tuple(bounds), columns).rows(limit=limit, scope=pk, **bounds)
    yield placed
    if not span.is_limited and (left := limit - len(placed)):
        yield _unplaced_orders(name, columns).rows(limit=left, scope=pk)


@cache
def _newest_rows(model, at, name, bounds, columns):
    lookups = {name: _SCOPE, f"{at}__isnull": False, **{bound: Given(bound, DateTimeField()) for bound in bounds}}
    rows = model.objects.filter(**lookups).order_by(f"-{at}", "-id")
    return Statement(lambda: rows, columns)


@cache
def _unplaced_orders(name, columns):
    rows = Order.objects.filter(**{name: _SCOPE}, placed_at__isnull=True).order_by("-id")
    return Statement(lambda: rows, columns)


def _closed_trades(trades):
    return [ClosedTrade(*row) for row in trades.values_list(*_CLOSED_TRADE)]


def _order_prices(orders):
    return [OrderPrices(*row) for row in orders.values_list(*_ORDER_PRICES)]
