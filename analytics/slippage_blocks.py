"""
Slippage of orders by blocks of about a thousand, and how blocks fold to the figures of `slippage`.

Pure arithmetic in whole numbers: prices and quantities in units of 10^-12, cost and notional of 10^-24, basis points of
10^-30, to which the quotients are rounded. All is exact but the percentiles, for which a block counts its orders in
buckets of 10^-9 basis points.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from heapq import nlargest, nsmallest
from itertools import chain
from operator import mul
from typing import NamedTuple

from . import stretches
from .blocks import COST, amount, instant
from .buckets import METHOD, NONE, Counts, counted, percentiles, unpacked
from .buckets import fold as fold_counts
from .metrics import EXACT, number, percentile
from .slippage import WORST_ORDERS, delay_and_execution, exclusion, series_row

BLOCK = 1024
_PRICE, _BPS, _BUCKET = 12, 30, 9


class Columns(NamedTuple):
    """Orders in the order of their placing, column by column; None where a price or the quantity is unknown."""

    placed_at: Sequence[int | None]
    order: Sequence[int]
    symbol: Sequence[str]
    side: Sequence[str]
    expected_price: Sequence[int | None]
    arrival_price: Sequence[int | None]
    filled_price: Sequence[int | None]
    filled_quantity: Sequence[int | None]
    is_filled: Sequence[bool]  # there is an instant


@dataclass(slots=True)
class Slips:
    """`worst` are the costliest orders as (bps, cost or None, order); `sides` and `symbols` have [count, bps, cost]."""

    excluded: dict[str, int] = field(default_factory=dict)
    count: int = 0
    adverse: int = 0
    favourable: int = 0
    with_quantity: int = 0
    bps: int = 0
    cost: int = 0
    notional: int = 0
    split_count: int = 0
    split_bps: int = 0
    delay: int = 0
    least: int = 0
    most: int = 0
    sides: dict[str, list[int]] = field(default_factory=dict)
    symbols: dict[str, list[int]] = field(default_factory=dict)
    worst: list[tuple[int, int | None, int]] = field(default_factory=list)
    buckets: Counts = NONE


_SUMS = [name for name, kind in Slips.__annotations__.items() if kind is int and name not in ("least", "most")]


@dataclass(slots=True)
class Block:
    first: int | None
    last: int | None
    size: int
    slips: Slips

    def packed(self) -> str:
        return json.dumps([getattr(self.slips, name) for name in _PLAIN] + self.slips.buckets.packed())

    @classmethod
    def unpacked(cls, first: int, last: int, size: int, packed: str) -> "Block":
        *plain, places, counts = json.loads(packed)
        slips = Slips(**dict(zip(_PLAIN, plain, strict=True)), buckets=unpacked(places, counts))
        return cls(first, last, size, slips)


_PLAIN = [name for name in Slips.__slots__ if name != "buckets"]


def cut(columns: Columns) -> list[Block]:
    """The orders in blocks of about the one size."""
    return [block(columns, *stretch) for stretch in stretches.even(columns.placed_at, BLOCK)]


def cut_tail(columns: Columns) -> list[Block]:
    """Blocks of full size from the oldest order on, and one of what is left."""
    return [block(columns, *stretch) for stretch in stretches.full(columns.placed_at, BLOCK)]


def cut_unplaced(columns: Columns) -> list[Block]:
    """Orders without an instant, in one block."""
    return [block(columns, 0, len(columns.order))] if columns.order else []


def block(columns: Columns, start: int, end: int) -> Block:
    slips, bps = _slips(columns, start, end)
    slips.buckets = counted(places(bps))
    return Block(columns.placed_at[start], columns.placed_at[end - 1], end - start, slips)


def _slips(columns: Columns, start: int, end: int) -> tuple[Slips, Sequence[int]]:
    """Besides the bps of all that count. Column by column, as millions of orders would be some twenty calls each."""
    rows = list(zip(*(column[start:end] for column in columns[1:]), strict=True))
    counting = [row for row in rows if row[3] and row[5] is not None]
    slips = Slips(excluded=_excluded(rows) if len(counting) < len(rows) else {})
    if not counting:
        return slips, []
    orders, symbols, sides, expected, arrivals, filled, quantities, _ = zip(*counting, strict=True)
    bases = list(map(abs, expected))
    worse = _worse_prices(sides, expected, filled)
    bps = _quotients(worse, bases)
    costs = [None if quantity is None else one * quantity for one, quantity in zip(worse, quantities, strict=True)]
    slips.count = len(bps)
    slips.adverse = len([one for one in worse if one > 0])
    slips.favourable = len(worse) - slips.adverse - worse.count(0)
    slips.with_quantity = len(costs) - costs.count(None)
    slips.notional = sum(map(mul, bases, [quantity or 0 for quantity in quantities]))
    slips.bps, slips.least, slips.most = sum(bps), min(bps), max(bps)
    if split := [row for row in zip(sides, expected, arrivals, bases, bps, strict=True) if row[2] is not None]:
        sides_of, expected_of, arrivals_of, bases_of, bps_of = zip(*split, strict=True)
        slips.split_count, slips.split_bps = len(split), sum(bps_of)
        slips.delay = sum(_quotients(_worse_prices(sides_of, expected_of, arrivals_of), bases_of))
    briefs = _briefs_of(zip(sides, symbols, strict=True), bps, costs)
    slips.sides, slips.symbols = (_briefs({key[at]: brief} for key, brief in briefs.items()) for at in (0, 1))
    slips.cost = sum(cost for _, _, cost in briefs.values())
    slips.worst = _costliest(bps, costs, orders)
    return slips, bps


def _excluded(rows: Iterable[tuple]) -> dict[str, int]:
    """How many do not count, by why."""
    left_out = [row for row in rows if not row[3] or row[5] is None]
    return dict(Counter(exclusion(row[7], row[3], row[5]) for row in left_out))


def _briefs_of(keys: Iterable[tuple], bps: Iterable[int], costs: Iterable[int | None]) -> dict[tuple, list[int]]:
    briefs = defaultdict(lambda: [0, 0, 0])
    for key, one, cost in zip(keys, bps, costs, strict=True):
        brief = briefs[key]
        brief[0] += 1
        brief[1] += one
        brief[2] += cost or 0
    return briefs


def _costliest(bps: Sequence[int], costs: Sequence[int | None], orders: Sequence[int]) -> list[tuple]:
    enough = min(nlargest(WORST_ORDERS, bps))
    rows = [row for row in zip(bps, costs, orders, strict=True) if row[0] >= enough]
    return nsmallest(WORST_ORDERS, rows, key=_costliest_first)


def fold(blocks: Iterable[Block]) -> Block:
    """Of one block or more, which are in the order of time."""
    blocks = list(blocks)
    all_of_them = [block.slips for block in blocks]
    parts = [slips for slips in all_of_them if slips.count] or [Slips()]
    folded = Slips(
        excluded=_added(slips.excluded for slips in all_of_them),
        least=min(slips.least for slips in parts),
        most=max(slips.most for slips in parts),
        sides=_briefs(slips.sides for slips in parts),
        symbols=_briefs(slips.symbols for slips in parts),
        worst=nsmallest(WORST_ORDERS, (row for slips in parts for row in slips.worst), key=_costliest_first),
        buckets=fold_counts(slips.buckets for slips in parts),
        **{name: sum(getattr(slips, name) for slips in parts) for name in _SUMS},
    )
    return Block(blocks[0].first, blocks[-1].last, sum(block.size for block in blocks), folded)


def summary(blocks: Iterable[Block], left_out: int = 0) -> dict:
    """As `slippage.summary` of the orders of these blocks; `left_out` have no instant, and a span is asked for."""
    slips = fold(blocks).slips
    place_of = percentiles(slips.buckets, *places([slips.least, slips.most]))
    return _answer(slips, left_out, METHOD, lambda q: _bps_of_place(place_of(q)))


def exact_summary(parts: Iterable[Columns], left_out: int = 0) -> dict:
    """As `summary`, with exact percentiles: of orders few enough to be sorted."""
    each = [_slips(part, 0, len(part.order)) for part in parts]
    bps = [amount(one, _BPS) for one in sorted(chain(*(bps for _, bps in each)))]
    folded = fold(Block(None, None, 0, slips) for slips, _ in each).slips

    def exact(q):
        with localcontext(EXACT):
            return number(percentile(bps, q))

    return _answer(folded, left_out, "linear", exact)


def _answer(slips: Slips, left_out: int, method: str, bps_of: Callable[[int], float | None]) -> dict:
    with localcontext(EXACT):
        excluded = {"not_filled": 0, "no_expected_price": 0}
        if left_out:
            excluded["no_instant"] = left_out
        means = (_mean(bps, slips.split_count) for bps in (slips.delay, slips.split_bps))
        delay, execution = delay_and_execution(*means)
        return {
            "count": slips.count,
            "excluded": excluded | slips.excluded,
            "without_quantity": slips.count - slips.with_quantity,
            "unit": "bps",
            "sign": "positive = cost to the trader",
            "method": method,
            "mean_bps": number(_mean(slips.bps, slips.count)),
            "weighted_mean_bps": _weighted_mean(slips.cost, slips.notional),
            **{f"p{q}_bps": bps_of(q) for q in (5, 50, 95, 99)},
            "worst_bps": number(amount(slips.most, _BPS)) if slips.count else None,
            "best_bps": number(amount(slips.least, _BPS)) if slips.count else None,
            "total_cost": amount(slips.cost, COST),
            "adverse_share": _share(slips.adverse, slips.count),
            "favourable_share": _share(slips.favourable, slips.count),
            "zero_share": _share(slips.count - slips.adverse - slips.favourable, slips.count),
            "split_count": slips.split_count,
            "delay_bps": delay,
            "execution_bps": execution,
            "by_side": {side: _brief(*slips.sides.get(side, (0, 0, 0))) for side in ("buy", "sell")},
            "by_symbol": [
                {"symbol": symbol, **_brief(*brief)}
                for symbol, brief in sorted(slips.symbols.items(), key=lambda item: (-item[1][0], item[0]))
            ],
            "worst": [
                {
                    "order": order,
                    "bps": number(amount(bps, _BPS)),
                    "cost": None if cost is None else amount(cost, COST),
                }
                for bps, cost, order in slips.worst
            ],
        }


def series(parts: Iterable[Columns], microseconds: int) -> list[dict]:
    """As `slippage.series` of the orders of these parts, by intervals so long; its percentiles are exact."""
    with localcontext(EXACT):
        rows = []
        for number_of, found in stretches.by_interval(map(_counted, parts), microseconds):
            bps, cost, notional = [], 0, 0
            for part in found:
                bases = list(map(abs, part.expected_price))
                worse = _worse_prices(part.side, part.expected_price, part.filled_price)
                quantities = [quantity or 0 for quantity in part.filled_quantity]
                bps += _quotients(worse, bases)
                cost += sum(map(mul, worse, quantities))
                notional += sum(map(mul, bases, quantities))
            bps = [amount(one, _BPS) for one in sorted(bps)]
            start = instant(number_of * microseconds)
            rows.append(series_row(start, bps, _weighted_mean(cost, notional), amount(cost, COST)))
        return rows


def _counted(columns: Columns) -> Columns:
    """Without the orders that count for no slippage."""
    at = {name: place for place, name in enumerate(Columns._fields)}
    reads = [at[name] for name in ("is_filled", "expected_price", "filled_price")]
    rows = [row for row in zip(*columns, strict=True) if not exclusion(*(row[place] for place in reads))]
    return Columns(*zip(*rows, strict=True)) if rows else Columns(*([()] * len(at)))


def _weighted_mean(cost: int, notional: int) -> float | None:
    return number(amount(cost, COST) * 10000 / amount(notional, COST)) if notional else None


def _worse_prices(sides: Sequence[str], expected: Sequence[int], prices: Sequence[int]) -> list[int]:
    rows = zip(sides, expected, prices, strict=True)
    return [price - due if side == "buy" else due - price for side, due, price in rows]


def _quotients(worse: Sequence[int], bases: Sequence[int]) -> list[int]:
    """Basis points, to the nearest unit."""
    unit = 2 * 10 ** (_BPS + 4)
    return [(unit * one + base) // (2 * base) for one, base in zip(worse, bases, strict=True)]


def places(bps: Sequence[int]) -> list[int]:
    """The numbers that are counted in buckets."""
    unit = 10 ** (_BPS - _BUCKET)
    return [(2 * one + unit) // (2 * unit) for one in bps]


def _bps_of_place(place: float | None) -> float | None:
    return None if place is None else number(place / 10**_BUCKET)


def _mean(bps: int, count: int):
    return amount(bps, _BPS) / count if count else None


def _share(part: int, whole: int) -> float | None:
    return number(part / whole) if whole else None


def _brief(count: int, bps: int, cost: int) -> dict:
    return {"count": count, "mean_bps": number(_mean(bps, count)), "total_cost": amount(cost, COST)}


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total = Counter()
    for part in counts:
        total.update(part)
    return dict(total)


def _briefs(parts: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    total = {}
    for part in parts:
        for name, brief in part.items():
            total[name] = [a + b for a, b in zip(total.get(name, (0, 0, 0)), brief, strict=True)]
    return total


def _costliest_first(row: tuple[int, int | None, int]) -> tuple:
    bps, cost, order = row
    return -bps, -(cost or 0), order
