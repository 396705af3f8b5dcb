"""
Gaps between the stamps of orders by blocks of about a thousand, and how blocks fold to the figures of `latency`.

Pure arithmetic in whole microseconds. Counts, missing, clock skew, the histogram, least, mean and most are exact. For
the percentiles a block counts its gaps in buckets: up to 127 microseconds each gap has its own, and above each power of
two is cut into 64, so that the middle of a bucket is less than 0.8 % from any gap in it. Negative gaps have their own.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from .latency import BOUNDS, STAGES, stage_answer

BLOCK = 1024
METHOD = "log-bucket, <= 1 %"
UNKNOWN = -(2**63)  # of an instant
_STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
_BITS = 7


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
    buckets: dict[int, int] = field(default_factory=dict)

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
            buckets=Counter(map(bucket, gaps)),
        )

    def packed(self) -> list:
        return [self.count, self.total, self.least, self.most, self.negative, self.bounds, *_columns(self.buckets)]

    @classmethod
    def unpacked(cls, packed: list) -> "Gaps":
        *plain, buckets, counts = packed
        return cls(*plain, dict(zip(buckets, counts, strict=True)))

    def percentiles(self) -> Callable[[int], float | None]:
        """As `metrics.percentile` of the gaps, each taken for the middle of its bucket; the ends are exact."""
        ascending = sorted(self.buckets)
        reached = list(accumulate(self.buckets[key] for key in ascending))
        last = self.count - 1

        def at(rank):
            if rank in (0, last):
                return self.most if rank else self.least
            return min(max(middle(ascending[bisect_right(reached, rank)]), self.least), self.most)

        def percentile(q):
            if not self.count:
                return None
            index, rest = divmod(last * q, 100)
            lower = at(index)
            return lower + (at(index + 1) - lower) * rest / 100 if rest else lower

        return percentile


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
    placed, pieces = columns.placed_at, round(len(columns.placed_at) / BLOCK) or 1
    ends = {bisect_right(placed, placed[len(placed) * piece // pieces - 1]) for piece in range(1, pieces + 1) if placed}
    return [block(columns, start, end) for start, end in pairwise([0, *sorted(ends)])]


def cut_tail(columns: Columns) -> list[Block]:
    """Blocks of full size from the oldest order on, and one of what is left."""
    placed, start, made = columns.placed_at, 0, []
    while start < len(placed):
        end = bisect_right(placed, placed[min(start + BLOCK, len(placed)) - 1])
        made.append(block(columns, start, end))
        start = end
    return made


def block(columns: Columns, start: int, end: int) -> Block:
    stamps = {name: getattr(columns, name)[start:end] for name in _STAMPS}
    stages = []
    for before, after in STAGES.values():
        pairs = zip(stamps[before], stamps[after], strict=True)
        stages.append(Gaps.of([b - a for a, b in pairs if a != UNKNOWN and b != UNKNOWN]))
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


def bucket(gap: int) -> int:
    """The number of its bucket; ascending with the gaps."""
    size = abs(gap)
    shift = max(size.bit_length() - _BITS, 0)
    # Each shift but 0 has 64 buckets, and shift 0 the 128 of its own.
    number = (shift << (_BITS - 1)) + (size >> shift)
    return number if gap >= 0 else -number


def middle(bucket: int) -> float:
    number = abs(bucket)
    shift = max((number >> (_BITS - 1)) - 1, 0)
    least = (number - (shift << (_BITS - 1))) << shift
    value = least + ((1 << shift) - 1) / 2
    return value if bucket >= 0 else -value


def _fold_gaps(parts: list[Gaps]) -> Gaps:
    parts = [part for part in parts if part.count]
    if not parts:
        return Gaps()
    buckets = dict(parts[0].buckets)
    for part in parts[1:]:
        for key, count in part.buckets.items():
            buckets[key] = buckets.get(key, 0) + count
    return Gaps(
        count=sum(part.count for part in parts),
        total=sum(part.total for part in parts),
        least=min(part.least for part in parts),
        most=max(part.most for part in parts),
        negative=sum(part.negative for part in parts),
        bounds=[sum(counts) for counts in zip(*(part.bounds for part in parts), strict=True)],
        buckets=buckets,
    )


def _answer(gaps: Gaps, orders: int) -> dict:
    mean = gaps.total / gaps.count if gaps.count else None
    return stage_answer(gaps.count, orders, gaps.negative, mean, gaps.percentiles(), gaps.bounds)


def _columns(buckets: dict[int, int]) -> list[list[int]]:
    return [list(buckets), list(buckets.values())]
