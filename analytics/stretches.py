"""Where rows are cut into blocks."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


def even(instants: Sequence[int], size: int) -> list[tuple[int, int]]:
    """Positions from and until before which there are about so many instants; equal ones stay together."""
    count, pieces = len(instants), round(len(instants) / size) or 1
    ends = {bisect_right(instants, instants[count * piece // pieces - 1]) for piece in range(1, pieces + 1) if count}
    return list(pairwise([0, *sorted(ends)]))


def full(instants: Sequence[int], size: int) -> list[tuple[int, int]]:
    """The same, each of full size but for the last."""
    ends = [0]
    while ends[-1] < len(instants):
        ends.append(bisect_right(instants, instants[min(ends[-1] + size, len(instants)) - 1]))
    return list(pairwise(ends))
