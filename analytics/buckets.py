"""
Numbers counted in buckets, since percentiles cannot be folded: up to 127 each whole number has its own, and above
each power of two is cut into 64, so that the middle of a bucket is less than 0.8 % from any number in it. Those below
zero have buckets of their own.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

METHOD = "log-bucket, <= 1 %"
_BITS = 7


def bucket(number: int) -> int:
    """Which bucket it is in; ascending with the numbers."""
    size = abs(number)
    shift = max(size.bit_length() - _BITS, 0)
    # Each shift but 0 has 64 buckets, and shift 0 the 128 of its own.
    found = (shift << (_BITS - 1)) + (size >> shift)
    return found if number >= 0 else -found


def middle(bucket: int) -> float:
    found = abs(bucket)
    shift = max((found >> (_BITS - 1)) - 1, 0)
    least = (found - (shift << (_BITS - 1))) << shift
    value = least + ((1 << shift) - 1) / 2
    return value if bucket >= 0 else -value


def fold(parts: Sequence[dict[int, int]]) -> dict[int, int]:
    folded = dict(parts[0])
    for part in parts[1:]:
        for key, count in part.items():
            folded[key] = folded.get(key, 0) + count
    return folded


def percentiles(buckets: dict[int, int], least: int, most: int) -> Callable[[int], float | None]:
    """As `metrics.percentile` of the numbers, each taken for the middle of its bucket; the ends are exact."""
    ascending = sorted(buckets)
    reached = list(accumulate(buckets[key] for key in ascending))
    last = reached[-1] - 1 if reached else -1

    def at(rank):
        if rank in (0, last):
            return most if rank else least
        return min(max(middle(ascending[bisect_right(reached, rank)]), least), most)

    def percentile(q):
        if last < 0:
            return None
        index, rest = divmod(last * q, 100)
        lower = at(index)
        return lower + (at(index + 1) - lower) * rest / 100 if rest else lower

    return percentile


def packed(buckets: dict[int, int]) -> list[list[int]]:
    return [list(buckets), list(buckets.values())]


def unpacked(packed: Iterable) -> dict[int, int]:
    return dict(zip(*packed, strict=True))
