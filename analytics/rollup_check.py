"""Every kept block against the raw rows, by the arithmetic that knows no blocks; and all of them made anew."""

from django.db import transaction

from . import blocks, performance, queries, rollups
from .models import PerformanceBlock, Rollup
from .queries import Span


def compare(rollup):
    """
    Compare the rollup with the rows of its scope, at one moment; a block that the journal calls moved is left out.

    :returns: block by block what differs, as (block or None behind the last, names of the figures), or None
    """
    scope = {rollup.scope: rollup.scope_id}
    with rollups.snapshot():
        reading = rollups.PerformanceReading(rollup, scope)
        for position, kept in enumerate([*reading.kept, None]):
            if position in reading.moved:
                continue
            bounds = (None if bound is None else blocks.instant(bound) for bound in reading.stretch(position))
            yield _difference(reading, kept, Span(*bounds))


def rebuild(rollup):
    """Forget the blocks of a rollup and make them anew. How many there are then."""
    with transaction.atomic():
        locked = Rollup.objects.select_for_update().get(pk=rollup.pk)
        PerformanceBlock.objects.filter(rollup=rollup).delete()
        Rollup.objects.filter(pk=rollup.pk).update(version=locked.version + 1)
    with rollups.snapshot():
        reading = rollups.PerformanceReading(rollup, {rollup.scope: rollup.scope_id}).refresh()
    reading.keep()
    return PerformanceBlock.objects.filter(rollup=rollup).count()


def _difference(reading, kept, span):
    trades = queries.closed_trades(reading.scope, span)
    if kept is None:
        return (None, ["trades"]) if trades else None
    expected = performance.summary(trades) | {
        "slippage_cost": queries.slippage_cost(reading.scope, span),
        "series": performance.series(trades, "day"),
        "bounds": [f(blocks.microseconds(trade.closed_at) for trade in trades) for f in (min, max)] if trades else [],
        "size": len(trades),
    }
    [block] = rollups.load(reading.rollup, [kept.id])
    found = blocks.summary([block]) | {
        "slippage_cost": blocks.total_cost([block]),
        "series": blocks.daily_series([block]),
        "bounds": [kept.first, kept.last],
        "size": kept.trades,
    }
    expected, found = queries.json_ready(expected), queries.json_ready(found)
    differing = [name for name in expected if expected[name] != found[name]]
    return (kept, differing) if differing else None
