"""What the tests of rollups share: rows that make many small blocks, and comparisons with the raw rows."""

from datetime import timedelta
from decimal import Decimal

from analytics import queries, reports
from analytics.models import PerformanceBlock, Rollup
from analytics.queries import Span
from trading.models import Trade
from trading.tests.factories import OrderFactory, TradeFactory

from .comparison import differences
from .history import START, sql

__all__ = ["START", "sql"]
EVER = Span()


def close(deployment, hours, result=1, **values):
    at = START + timedelta(hours=hours)
    when = {"taken_at": at - timedelta(hours=1), "closed_at": at}
    return TradeFactory(deployment=deployment, **{**when, "result": Decimal(result), "fees": Decimal("0.1"), **values})


def fill(deployment, count=60):
    """Trades an hour apart, every third losing."""
    Trade.objects.bulk_create(
        Trade(
            user=deployment.user,
            strategy=deployment.strategy,
            deployment=deployment,
            symbol="EUR/USD",
            side="long",
            quantity=1,
            entry_price=1,
            fees=Decimal("0.1"),
            result=Decimal(3 if n % 3 else -5),
            taken_at=START + timedelta(hours=n, minutes=-7),
            closed_at=START + timedelta(hours=n),
        )
        for n in range(count)
    )
    return list(Trade.objects.filter(deployment=deployment).order_by("closed_at"))


def report(scope, span=EVER, interval="day"):
    """The answer, from blocks."""
    found = reports.performance_report(scope, span, interval, 5)
    assert Rollup.objects.filter(scope_id=next(iter(scope.values()))).exists()
    return found | {"equity_curve": queries.json_ready(found["equity_curve"])}


def raw(scope, span=EVER, interval="day"):
    found = reports.performance_of_rows(scope, span, interval, 5)
    return found | {"equity_curve": queries.json_ready(found["equity_curve"])}


def assert_equal(scope, *spans):
    for span in spans or [EVER]:
        assert report(scope, span) == raw(scope, span)


def assert_latency(scope, *spans):
    for span in spans or [EVER]:
        assert list(differences(scope, span, names=["latency"])) == []


def assert_slippage(scope, *spans):
    for span in spans or [EVER]:
        assert list(differences(scope, span, names=["slippage"])) == []


def kept(scope="deployment"):
    return list(PerformanceBlock.objects.filter(rollup__scope=scope).order_by("last").values_list("id", flat=True))


def send(deployment, hours, **values):
    at = START + timedelta(hours=hours)
    times = {"sent_at": at, "acknowledged_at": at + timedelta(milliseconds=hours + 1)}
    return OrderFactory(user=deployment.user, deployment=deployment, strategy=deployment.strategy, **times | values)
