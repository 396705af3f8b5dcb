"""
Numbers counted in buckets, since percentiles cannot be folded: up to 127 each whole number has its own, and above
each power of two is cut into 64, so that the middle of a bucket is less than 0.8 % from any number in it. Those below
zero have buckets of their own.
"""

import struct
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

METHOD = "log-bucket, <= 1 %"
_BITS = 7
# Up to this, each whole number is a float.
_LARGEST = 2**53
# Of a float's 64 bits those behind the ones that a bucket goes by: sign, exponent, six of the digits after the first 1.
_BEHIND = 53 - _BITS


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


class Counts(NamedTuple):
    """How many numbers are in which bucket, packed closely: many blocks at once are kept in memory."""

    buckets: array
    counts: array

    def packed(self) -> list[list[int]]:
        return [list(self.buckets), list(self.counts)]


def counted(numbers: Sequence[int]) -> Counts:
    """Of millions each would be a call, so what tells the bucket is taken from floats where these are exact."""
    if not numbers or max(numbers) > _LARGEST or min(numbers) < -_LARGEST:
        return as_counts(Counter(map(bucket, numbers)))
    bits = memoryview(array("d", numbers)).cast("B").cast("q")
    counts = Counter([number >> _BEHIND for number in bits])
    return as_counts({_bucket_of_bits(front): count for front, count in counts.items()})


@cache
def _bucket_of_bits(front: int) -> int:
    """Of the numbers whose float begins with these bits; the one nearest to zero has nothing behind them."""
    (nearest,) = struct.unpack("d", struct.pack("q", front << _BEHIND))
    return bucket(int(nearest))


def as_counts(counts: dict[int, int]) -> Counts:
    return Counts(array("q", counts), array("q", counts.values()))


NONE = as_counts({})


def unpacked(buckets: list[int], counts: list[int]) -> Counts:
    return Counts(array("q", buckets), array("q", counts))


def fold(parts: Iterable[Counts]) -> Counts:
    folded = defaultdict(int)
    for part in parts:
        for found, count in zip(*part, strict=True):
            folded[found] += count
    return as_counts(folded)


def percentiles(counts: Counts, least: int, most: int) -> Callable[[int], float | None]:
    """As `metrics.percentile` of the numbers, each taken for the middle of its bucket; the ends are exact."""
    ascending = sorted(zip(*counts, strict=True))
    reached = list(accumulate(count for _, count in ascending))
    last = reached[-1] - 1 if reached else -1

    def at(rank):
        if rank in (0, last):
            return most if rank else least
        return min(max(middle(ascending[bisect_right(reached, rank)][0]), least), most)

    def percentile(q):
        if last < 0:
            return None
        index, rest = divmod(last * q, 100)
        lower = at(index)
        return lower + (at(index + 1) - lower) * rest / 100 if rest else lower

    return percentile
