"""Where rows are cut into blocks, and into intervals of time."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from .metrics import check_intervals


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


def by_interval(parts: Iterable[NamedTuple], microseconds: int) -> Iterator[tuple[int, list[NamedTuple]]]:
    """
    The columns of one interval after the other, with its number since 1970; those of some parts where it spans them.

    The first column of a part are its instants, ascending over all parts. One interval at a time is in memory.

    :raises TooManyIntervals: as soon as there are more than a series has
    """
    count, current, found = 0, None, []
    for part in parts:
        start, instants = 0, part[0]
        while start < len(instants):
            number = instants[start] // microseconds
            end = bisect_right(instants, (number + 1) * microseconds - 1)
            if number != current:
                if found:
                    yield current, found
                count, current, found = count + 1, number, []
                check_intervals(count)
            found.append(type(part)(*(column[start:end] for column in part)))
            start = end
    if found:
        yield current, found
