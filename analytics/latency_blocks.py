"""
Gaps between the stamps of orders by blocks of about a thousand, and how blocks fold to the figures of `latency`.

Pure arithmetic in whole microseconds. All is exact but the percentiles, for which a block counts its gaps in buckets.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import NamedTuple

from . import stretches
from .blocks import instant
from .buckets import METHOD, NONE, Counts, counted, percentiles, unpacked
from .buckets import fold as fold_counts
from .latency import BOUNDS, STAGES, series_row, stage_answer, summary_of_gaps

BLOCK = 1024
UNKNOWN = -(2**63)  # of an instant
_STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")


class Columns(NamedTuple):
    """Orders in the order of their placing, column by column; UNKNOWN where a stamp is."""

    placed_at: Sequence[int]
    signal_at: Sequence[int]
    sent_at: Sequence[int]
    acknowledged_at: Sequence[int]
    filled_at: Sequence[int]


@dataclass(slots=True)
class Gaps:
    """Of one stage. `least` and `most` are 0 without gaps; `bounds` counts them by the bounds of the histogram."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0
    negative: int = 0
    bounds: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    buckets: Counts = NONE

    @classmethod
    def of(cls, gaps: list[int]) -> "Gaps":
        if not gaps:
            return cls()
        gaps.sort()
        reached = [bisect_right(gaps, bound) for bound in BOUNDS]
        return cls(
            count=len(gaps),
            total=sum(gaps),
            least=gaps[0],
            most=gaps[-1],
            negative=bisect_right(gaps, -1),
            bounds=[after - before for before, after in pairwise([0, *reached, len(gaps)])],
            buckets=counted(gaps),
        )

    def packed(self) -> list:
        return [
            self.count,
            self.total,
            self.least,
            self.most,
            self.negative,
            self.bounds,
            *self.buckets.packed(),
        ]

    @classmethod
    def unpacked(cls, packed: list) -> "Gaps":
        return cls(*packed[:-2], unpacked(*packed[-2:]))


@dataclass(slots=True)
class Block:
    first: int
    last: int
    size: int
    stages: list[Gaps]  # as STAGES names them

    def packed(self) -> str:
        return json.dumps([gaps.packed() for gaps in self.stages], separators=(",", ":"))

    @classmethod
    def unpacked(cls, first: int, last: int, size: int, packed: str) -> "Block":
        return cls(first, last, size, [Gaps.unpacked(gaps) for gaps in json.loads(packed)])


def cut(columns: Columns) -> list[Block]:
    """The orders in blocks of about the one size."""
    return [block(columns, *stretch) for stretch in stretches.even(columns.placed_at, BLOCK)]


def cut_tail(columns: Columns) -> list[Block]:
    """Blocks of full size from the oldest order on, and one of what is left."""
    return [block(columns, *stretch) for stretch in stretches.full(columns.placed_at, BLOCK)]


def block(columns: Columns, start: int, end: int) -> Block:
    stages = [Gaps.of(gaps) for gaps in _gaps({name: getattr(columns, name)[start:end] for name in _STAMPS})]
    return Block(columns.placed_at[start], columns.placed_at[end - 1], end - start, stages)


def fold(blocks: Iterable[Block]) -> Block:
    """Of one block or more, which are in the order of time."""
    blocks = list(blocks)
    stages = [_fold_gaps([block.stages[index] for block in blocks]) for index in range(len(STAGES))]
    return Block(blocks[0].first, blocks[-1].last, sum(block.size for block in blocks), stages)


def summary(blocks: Iterable[Block], without_instant: int, is_limited: bool) -> dict:
    """
    As `latency.summary` of the orders of these blocks.

    `without_instant` orders are known of besides; they are left out if the span is limited, else they have no gaps.
    """
    folded = fold(blocks)
    count = folded.size + (0 if is_limited else without_instant)
    return {
        "count": count,
        "excluded": {"no_instant": without_instant} if is_limited and without_instant else {},
        "unit": "ms",
        "method": METHOD,
        "stages": {stage: _answer(gaps, count) for stage, gaps in zip(STAGES, folded.stages, strict=True)},
    }


def exact_summary(columns: Columns, without_instant: int, is_limited: bool) -> dict:
    """As `summary`, with exact percentiles: of orders few enough to be sorted."""
    stages = [sorted(gaps) for gaps in _gaps({name: getattr(columns, name) for name in _STAMPS})]
    count = len(columns.placed_at) + (0 if is_limited else without_instant)
    return summary_of_gaps(stages, count, without_instant if is_limited else 0)


def series(parts: Iterable[Columns], microseconds: int) -> list[dict]:
    """As `latency.series` of the orders of these parts, by intervals so long; its percentiles are exact."""
    rows = []
    for number, found in stretches.by_interval(parts, microseconds):
        each = [_gaps({name: getattr(columns, name) for name in _STAMPS}) for columns in found]
        stages = [sorted(chain(*gaps)) for gaps in zip(*each, strict=True)]
        rows.append(series_row(instant(number * microseconds), sum(len(part.placed_at) for part in found), stages))
    return rows


def _gaps(stamps: dict[str, Sequence[int]]) -> list[list[int]]:
    """The known gaps of each stage."""
    pairs = (zip(stamps[before], stamps[after], strict=True) for before, after in STAGES.values())
    return [[b - a for a, b in stage if a != UNKNOWN and b != UNKNOWN] for stage in pairs]


def _fold_gaps(parts: list[Gaps]) -> Gaps:
    parts = [part for part in parts if part.count]
    if not parts:
        return Gaps()
    return Gaps(
        count=sum(part.count for part in parts),
        total=sum(part.total for part in parts),
        least=min(part.least for part in parts),
        most=max(part.most for part in parts),
        negative=sum(part.negative for part in parts),
        bounds=[sum(counts) for counts in zip(*(part.bounds for part in parts), strict=True)],
        buckets=fold_counts(part.buckets for part in parts),
    )


def _answer(gaps: Gaps, orders: int) -> dict:
    mean = gaps.total / gaps.count if gaps.count else None
    percentile = percentiles(gaps.buckets, gaps.least, gaps.most)
    return stage_answer(gaps.count, orders, gaps.negative, mean, percentile, gaps.bounds)
