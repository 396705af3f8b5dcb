"""Every kept block against the raw rows, by the arithmetic that knows no blocks; and all of them made anew."""

import json
from collections import Counter
from decimal import Decimal

from django.db import transaction

from . import (
    blocks,
    buckets,
    keeping,
    latency,
    latency_blocks,
    performance,
    queries,
    readings,
    rollups,
    slippage,
    slippage_blocks,
)
from .metrics import EXACT, MICROSECOND
from .models import Rollup
from .queries import Span


def compare(rollup):
    """
    Compare the rollup with the rows of its scope, at one moment; a block that the journal calls moved is left out.

    :returns: block by block what differs, as (block or None behind the last, names of the figures), or None
    """
    with rollups.snapshot():
        reading = _reading(rollup)
        for position, kept in enumerate([*reading.kept, None]):
            if position in reading.moved:
                continue
            span = Span(*(None if bound is None else blocks.instant(bound) for bound in reading.stretch(position)))
            expected = ROWS_TELL[rollup.kind](reading.scope, span)
            if kept is None:
                yield (None, ["size"]) if expected["size"] else None
            else:
                yield _difference(kept, expected, BLOCK_TELLS[rollup.kind](kept, *reading.load([kept.id])))
        for group, members in reading.kept_groups():
            tells = BLOCK_TELLS[rollup.kind]
            expected = reading.arithmetic.fold(reading.load(members))
            yield _difference(group, tells(group, expected), tells(group, *reading.load([group.id])))
        if reading.kept and (answer := reading.remembered()) is not None:
            whole = rollups.Kept(None, reading.kept[0].first, reading.kept[-1].last, 0)
            yield None if answer == _folded_anew(reading, answer) else (whole, ["all_time"])


def rebuild(rollup):
    """Forget the blocks of a rollup and make them anew. How many there are then."""
    kept = readings.KINDS[rollup.kind].model.objects.filter(rollup=rollup)
    with transaction.atomic():
        locked = Rollup.objects.select_for_update().get(pk=rollup.pk)
        kept.delete()
        Rollup.objects.filter(pk=rollup.pk).update(version=locked.version + 1)
    keeping.make(rollup)
    return kept.count()


def _folded_anew(reading, answer):
    """What is remembered, from the kept blocks."""
    found = sorted(reading.load([kept.id for kept in reading.kept]), key=lambda block: block.last)
    if isinstance(reading, readings.PerformanceReading):
        capital = blocks.Folded(*answer).capital
        return json.loads(json.dumps(blocks.fold(found, capital and Decimal(capital))))
    folded = reading.arithmetic.fold(found)
    return [folded.first, folded.last, folded.size, folded.packed()]


def _reading(rollup):
    return readings.KINDS[rollup.kind](rollup, {rollup.scope: rollup.scope_id})


def _difference(kept, expected, found):
    differing = [name for name in expected if expected[name] != found[name]]
    return (kept, differing) if differing else None


def _performance_of_rows(scope, span):
    trades = queries.closed_trades(scope, span)
    return queries.json_ready(
        performance.summary(trades)
        | {
            "slippage_cost": queries.slippage_cost(scope, span),
            "series": performance.series(trades, "day"),
            **_bounds([trade.closed_at for trade in trades]),
        }
    )


def _performance_of_block(kept, block):
    return queries.json_ready(
        blocks.summary([block])
        | {"slippage_cost": blocks.amount(block.cost, blocks.COST), "series": blocks.series([block])}
        | {"first": kept.first, "last": kept.last, "size": kept.size}
    )


def _latency_of_rows(scope, span):
    """Without the percentiles: instead the buckets that they come from."""
    orders = [order for order in queries.order_times(scope, span) if order.at]
    stages = latency.summary(orders)["stages"]
    for stage, (before, after) in latency.STAGES.items():
        stamps = ((getattr(order, before), getattr(order, after)) for order in orders)
        gaps = [(end - start) // MICROSECOND for start, end in stamps if start and end]
        stages[stage] = _exact(stages[stage]) | {"buckets": Counter(map(buckets.bucket, gaps))}
    return stages | _bounds([order.at for order in orders])


def _latency_of_block(kept, block):
    stages = latency_blocks.summary([block], 0, is_limited=False)["stages"]
    for stage, gaps in zip(latency.STAGES, block.stages, strict=True):
        stages[stage] = _exact(stages[stage]) | {"buckets": _as_counter(gaps.buckets)}
    return stages | {"first": kept.first, "last": kept.last, "size": kept.size}


def _slippage_of_rows(scope, span):
    """As _latency_of_rows."""
    orders = [order for order in queries.order_prices(scope, span) if order.at]
    bps = [round(EXACT.scaleb(bps, 30)) for order in orders if (bps := slippage.bps_of(order)) is not None]
    counts = Counter(map(buckets.bucket, slippage_blocks.places(bps)))
    told = _exact(slippage.summary(orders)) | {"buckets": counts} | _bounds([order.at for order in orders])
    return queries.json_ready(told)


def _slippage_of_block(kept, block):
    told = _exact(slippage_blocks.summary([block])) | {"buckets": _as_counter(block.slips.buckets)}
    return queries.json_ready(told | {"first": kept.first, "last": kept.last, "size": kept.size})


def _as_counter(counts):
    return Counter(dict(zip(*counts, strict=True)))


def _exact(figures):
    return {name: value for name, value in figures.items() if not name.startswith("p") and name != "method"}


def _bounds(instants):
    if not instants:
        return {"first": None, "last": None, "size": 0}
    first, last = (blocks.microseconds(bound(instants)) for bound in (min, max))
    return {"first": first, "last": last, "size": len(instants)}


ROWS_TELL = {
    Rollup.Kind.PERFORMANCE: _performance_of_rows,
    Rollup.Kind.LATENCY: _latency_of_rows,
    Rollup.Kind.SLIPPAGE: _slippage_of_rows,
}
BLOCK_TELLS = {
    Rollup.Kind.PERFORMANCE: _performance_of_block,
    Rollup.Kind.LATENCY: _latency_of_block,
    Rollup.Kind.SLIPPAGE: _slippage_of_block,
}
