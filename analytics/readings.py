"""The kinds of rollups: what their blocks are made of, and which of them fold to the answer for a span."""

from bisect import bisect_left, bisect_right
from contextlib import contextmanager

from trading.models import Order, Trade

from . import blocks, columns, latency_blocks, rollups, slippage_blocks
from .models import LatencyBlock, PerformanceBlock, Rollup, SlippageBlock

# From how many rows on blocks pay; and fewer orders than this have exact percentiles.
MANY_TRADES = 4096
MANY_ORDERS = 50_000
# How many blocks of latency make one of level 1.
GROUP = 32


def performance_of(scope):
    """As rollups.reading_of."""
    return rollups.reading_of(PerformanceReading, scope)


def latency_of(scope, span):
    """As rollups.reading_of; None also where the span holds few orders."""
    return _of_orders(LatencyReading, scope, span)


def slippage_of(scope, span):
    """As latency_of."""
    return _of_orders(SlippageReading, scope, span)


@contextmanager
def _of_orders(kind, scope, span):
    orders = kind.raw.filter(**scope, **span.lookups("placed_at"))
    if span.is_limited and not rollups.has(orders, MANY_ORDERS):
        with rollups.snapshot():
            yield None
        return
    with rollups.reading_of(kind, scope) as reading:
        yield reading


def series_of_trades(parts, capital, interval):
    """As performance.series, of columns that follow each other in time."""
    length = blocks.INTERVALS[interval]
    return blocks.series([blocks.block(part, length) for part in parts if part.closed], capital, length)


class PerformanceReading(rollups.Reading):
    name, model, arithmetic = Rollup.Kind.PERFORMANCE, PerformanceBlock, blocks
    raw, at = Trade.objects.closed(), "closed_at"

    def __init__(self, rollup, scope):
        super().__init__(rollup, scope)
        self.found = {}

    @classmethod
    def many(cls):
        return MANY_TRADES

    def fold(self, span, capital):
        """What the trades that closed in this span fold to; None as `ready` says."""
        if not span.is_limited and (told := self.remembered()):
            folded = blocks.Folded(*told)
            if folded.capital == blocks.text_of_capital(capital):
                return folded
        found = self.blocks(span)
        if found is None:
            return None
        folded = blocks.fold(found, capital)
        if not span.is_limited:
            self.folded = folded
        return folded

    def blocks(self, span):
        """The blocks of the trades that closed in this span, oldest first; None as `ready` says."""
        if span not in self.found:
            self.refresh()
            whole, cut = self.within(span, self.entries)
            found = self.ready(whole)
            for _, start, end in cut if found is not None else ():
                found += self.read(start, end, blocks.cut)
            self.found[span] = found and sorted(found, key=lambda block: block.last)
        return self.found[span]

    def series(self, span, interval, capital):
        """As performance.series; by day from the blocks, by less from the rows. None as `ready` says."""
        if interval != "day":
            return series_of_trades(self.columns_of_parts(span), capital, interval)
        found = self.blocks(span)
        return None if found is None else blocks.series(found, capital)

    def columns(self, start, end):
        return columns.closed_trades(self.scope, start, end)

    def read(self, start, end, cut):
        made = super().read(start, end, cut)
        columns.add_costs(made, self.scope, start, end)
        return made

    def load(self, ids):
        rows = (
            self.model.objects.filter(rollup=self.rollup, pk__in=ids).order_by("last").values_list("figures", "steps")
        )
        return [blocks.Block.unpacked(*row) for row in columns.packed(rows)] if ids else []

    def written(self):
        packed = [block.packed() for block in self.fresh]
        figures, steps = ([values[place] for values in packed] for place in (0, 1))
        return self.bounds_of(self.fresh) | {"figures": figures, "steps": steps}


class GroupedReading(rollups.Reading):
    """`groups` are blocks of level 1, each with the positions of its entries, from and until before."""

    raw, at = Order.objects.filter(placed_at__isnull=False), "placed_at"

    @classmethod
    def many(cls):
        return MANY_ORDERS

    def refresh(self, rest=lambda: None):
        if self.entries is not None:
            return self
        super().refresh(rest)
        self.groups, self.fresh_groups, self.is_torn = [], [], False
        kept, moved = self._kept_groups(self.stale)
        ends, start = [entry.last for entry in self.entries], 0
        for position, group in enumerate(kept):
            end = bisect_right(ends, group.last)
            if position in moved:
                self.replaced.append(group.id)
                self._group(start, end)
            else:
                self.groups.append((group, start, end))
            start = end
        # The last block, where orders are added, stays single.
        while len(ends) - start > GROUP:
            self._group(start, start + GROUP)
            start += GROUP
        self.single = self.entries[start:]
        return self

    def blocks(self, span):
        """
        Blocks of the orders placed in this span, oldest first, one for all time; None if these are few, or as `ready`
        says.
        """
        if not span.is_limited and (told := self.remembered()):
            return [self.arithmetic.Block.unpacked(*told)]
        self.refresh()
        whole, cut = self.within(span, self.single)
        for group, start, end in self.groups:
            inside, edges = self.within(span, [group])
            if edges:
                inside, edges = self.within(span, self.entries[start:end])
            whole += inside
            cut += edges
        found = None if self.is_torn else self.ready(whole)
        if found is None:
            return None
        for _, start, end in cut:
            found += self.read(start, end, self.arithmetic.cut)
        if sum(block.size for block in found) < MANY_ORDERS:
            return None
        found.sort(key=lambda block: block.last)
        if span.is_limited:
            return found
        folded = self.arithmetic.fold(found)
        self.folded = [folded.first, folded.last, folded.size, folded.packed()]
        return [folded]

    def series(self, span, interval):
        """As latency.series or slippage.series, from the rows, for percentiles of an interval do not fold."""
        return self.arithmetic.series(self.columns_of_parts(span), blocks.INTERVALS[interval])

    def load(self, ids):
        rows = self.model.objects.filter(rollup=self.rollup, pk__in=ids).order_by("last")
        rows = rows.values_list("first", "last", "size", "figures")
        return [self.arithmetic.Block.unpacked(*row) for row in rows] if ids else []

    def written(self):
        made = [*self.fresh, *self.fresh_groups]
        levels = [0] * len(self.fresh) + [1] * len(self.fresh_groups)
        return self.bounds_of(made) | {"level": levels, "figures": [block.packed() for block in made]}

    def kept_groups(self):
        """The kept groups that hold, each with the ids of its members."""
        groups, moved = self._kept_groups(self.moved)
        lasts = [-rollups.FOREVER, *(group.last for group in groups)]
        for position, group in enumerate(groups):
            if position not in moved:
                yield group, [kept.id for kept in self.kept if lasts[position] < kept.last <= group.last]

    def _kept(self):
        return super()._kept(level=0)

    def _kept_groups(self, stale):
        """The kept groups, and the positions of those that hold one of these blocks."""
        groups = super()._kept(level=1)
        lasts = [group.last for group in groups]
        return groups, {bisect_left(lasts, self.kept[position].last) for position in stale if position < len(self.kept)}

    def _group(self, start, end):
        """Make one group of the entries in these positions."""
        members = self.ready(self.entries[start:end])
        self.is_torn |= members is None
        if members:
            group = self.arithmetic.fold(sorted(members, key=lambda block: block.last))
            self.groups.append((group, start, end))
            self.fresh_groups.append(group)


class LatencyReading(GroupedReading):
    name, model, arithmetic = Rollup.Kind.LATENCY, LatencyBlock, latency_blocks

    def columns(self, start, end):
        return columns.order_stamps(self.scope, start, end)


class SlippageReading(GroupedReading):
    name, model, arithmetic = Rollup.Kind.SLIPPAGE, SlippageBlock, slippage_blocks

    def blocks(self, span):
        """As of any; without a span those of the orders without an instant come along, and belong to no time."""
        found = super().blocks(span)
        if found and not span.is_limited:
            found += slippage_blocks.cut_unplaced(columns.order_prices_without_instant(self.scope))
        return found

    def columns(self, start, end):
        return columns.order_prices(self.scope, start, end)


KINDS = {kind.name: kind for kind in (PerformanceReading, LatencyReading, SlippageReading)}
