"""
Closed trades by blocks of about a thousand: what a block keeps, and how neighbours fold to the figures of
`performance`, exactly.

Pure arithmetic in whole numbers: money in units of 10^-12, cost in units of 10^-24, instants in microseconds since
1970. A block never parts trades that closed at the same instant, so that each step of the curve is in one block.
"""

import json
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import accumulate, pairwise
from operator import add, sub
from typing import NamedTuple

from . import stretches
from .metrics import EXACT, MICROSECOND, check_intervals
from .performance import Totals, answer, interval_row, kept_points, no_fall, percent_of_peak, sharpe_ratio

BLOCK = 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
INTERVALS = {"minute": 60_000_000, "hour": 3_600_000_000, "day": DAY}  # microseconds
MONEY, COST = 12, 24  # decimal places
_ONE = 10**MONEY
_NAIVE = EPOCH.replace(tzinfo=None)
_WIDE = 24  # bytes of a whole number that eight do not hold


class Columns(NamedTuple):
    """Closed trades in the order of their closing, column by column."""

    closed: Sequence[int]
    taken: Sequence[int]
    results: Sequence[int]
    fees: Sequence[int]

    def part(self, start: int, end: int) -> "Columns":
        return Columns(*(column[start:end] for column in self))


class Days(NamedTuple):
    """
    What closed on each day, column by column; `day` counts since 1970, `steps` those of the block up to its end. In a
    block that is not kept they may be shorter intervals.
    """

    day: list[int]
    trades: list[int]
    wins: list[int]
    losses: list[int]
    pnl: list[int]
    fees: list[int]
    steps: list[int]


@dataclass(slots=True)
class Block:
    """
    `running` is the pnl since the block's beginning after each closing instant. Positions count its entries: `high_at`
    and `low_at` are the first of the extremes, `fall` is the deepest from `peak_at` down to `trough_at`, within.
    """

    first: int
    last: int
    trades: int
    wins: int
    losses: int
    won: int
    lost: int
    fees: int
    best: int
    worst: int
    held: int
    high_at: int
    low_at: int
    fall: int
    peak_at: int
    trough_at: int
    days: Days
    instants: Sequence[int]
    running: Sequence[int]
    cost: int = 0

    @property
    def size(self) -> int:
        return self.trades

    @property
    def pnl(self) -> int:
        return self.won + self.lost

    @property
    def high(self) -> int:
        return self.running[self.high_at]

    @property
    def low(self) -> int:
        return self.running[self.low_at]

    def packed(self) -> tuple[str, bytes]:
        """The figures as JSON, and the steps."""
        plain = (getattr(self, name) for name in _PLAIN)
        return json.dumps([*plain, self.days], separators=(",", ":")), _bytes(self.instants) + _bytes(self.running)

    @classmethod
    def unpacked(cls, figures: str, steps: bytes) -> "Block":
        *plain, days = json.loads(figures)
        days = Days(*days)
        end = 8 * days.steps[-1]
        values = dict(zip(_PLAIN, plain, strict=True))
        return cls(**values, days=days, instants=_numbers(steps[:end], end), running=_numbers(steps[end:], end))


_PLAIN = [name for name in Block.__slots__ if name not in ("days", "instants", "running")]


def cut(columns: Columns) -> list[Block]:
    """The trades in blocks of about the one size."""
    return [block(columns.part(*stretch)) for stretch in stretches.even(columns.closed, BLOCK)]


def cut_tail(columns: Columns) -> list[Block]:
    """Blocks of full size from the oldest trade on, and one of what is left."""
    return [block(columns.part(*stretch)) for stretch in stretches.full(columns.closed, BLOCK)]


def block(columns: Columns, interval: int | None = DAY) -> Block:
    """Without an interval it has no days, which is good for `figures` alone."""
    closed, taken, results, fees = columns
    won = [r for r in results if r > 0]
    instants, running = _steps(closed, results)
    peaks = list(accumulate(running, max))
    falls = list(map(sub, peaks, running))
    trough_at = falls.index(fall := max(falls))
    return Block(
        first=closed[0],
        last=closed[-1],
        trades=len(closed),
        wins=len(won),
        losses=len(results) - len(won) - results.count(0),
        won=sum(won),
        lost=running[-1] - sum(won),
        fees=sum(fees),
        best=max(results),
        worst=min(results),
        held=sum(closed) - sum(taken),
        high_at=running.index(peaks[-1]),
        low_at=running.index(min(running)),
        fall=fall,
        peak_at=running.index(peaks[trough_at]),
        trough_at=trough_at,
        days=Days(*map(list, zip(*_days(columns, instants, interval), strict=True))) if interval else None,
        instants=_compact(instants),
        running=_compact(running),
    )


class Points(list):
    """The points of a curve as answers write them: text, and nothing else in them."""


class Folded(NamedTuple):
    """
    What blocks fold to: JSON-ready, in whole numbers. `fall` is the members of `max_drawdown` in their order.
    """

    capital: str | None
    totals: list[int]  # as in performance.Totals
    cost: int
    sharpe: list
    fall: list
    points: list[dict]


def fold(blocks: list[Block], starting_capital: Decimal | None = None) -> Folded:
    """Of blocks in the order of time."""
    with localcontext(EXACT):
        curve = _Curve(blocks, starting_capital)
        return Folded(
            text_of_capital(starting_capital),
            list(_totals(blocks)),
            sum(block.cost for block in blocks),
            list(_sharpe_ratio(blocks, starting_capital)),
            curve.max_drawdown(),
            curve.points(),
        )


def told(folded: Folded, starting_capital: Decimal | None = None, open_trades: int = 0) -> dict:
    """As `performance.summary` of the trades that this was folded from; the curve's points as text."""
    with localcontext(EXACT):
        totals, fall, points = _in_decimals(folded.totals), _told_fall(folded.fall), Points(folded.points)
        return answer(totals, starting_capital, open_trades, tuple(folded.sharpe), fall, points)


def text_of_capital(starting_capital: Decimal | None) -> str | None:
    return None if starting_capital is None else str(starting_capital)


def summary(blocks: list[Block], starting_capital: Decimal | None = None, open_trades: int = 0) -> dict:
    """As `performance.summary` of the trades of these blocks, in the order of time; the curve's points as text."""
    return told(fold(blocks, starting_capital), starting_capital, open_trades)


def figures(blocks: list[Block], starting_capital: Decimal | None = None) -> dict:
    """As `performance.figures`."""
    with localcontext(EXACT):
        fall = _told_fall(_Curve(blocks, starting_capital).max_drawdown())
        full = answer(_in_decimals(_totals(blocks)), starting_capital, 0, (None, None), fall, [])
    return {name: full[name] for name in ("win_rate", "pnl", "max_drawdown")}


def series(blocks: list[Block], starting_capital: Decimal | None = None, interval: int = DAY) -> list[dict]:
    """As `performance.series`, of blocks that were made for intervals of so many microseconds."""
    check_intervals(len({day for block in blocks for day in block.days.day}))
    with localcontext(EXACT):
        rows = {}
        for index, (base, peak) in enumerate(_Curve(blocks, starting_capital).entered):
            days = blocks[index].days
            ends = _at(blocks[index], base, peak, [steps - 1 for steps in days.steps])
            for day, *sums, (_, equity, drawdown) in zip(*days[:6], ends, strict=True):
                earlier = rows.get(day, (0,) * 5)
                rows[day] = *map(add, earlier, sums), equity, drawdown
        return [_series_row(day * interval, *row) for day, row in rows.items()]


def amount(units: int, places: int = MONEY) -> Decimal:
    return Decimal(units).scaleb(-places, EXACT)


def text(units: int) -> str:
    """The amount as answers write it. Many of these are written at once, and a Decimal in between takes longer."""
    whole, rest = divmod(abs(units), _ONE)
    written = f"{whole}.{rest:012}".rstrip("0") if rest else str(whole)
    return f"-{written}" if units < 0 else written


def text_of_instant(microseconds: int) -> str:
    return (_NAIVE + timedelta(microseconds=microseconds)).isoformat() + "Z"


def units(amount: Decimal, places: int = MONEY) -> int:
    return int(amount.scaleb(places, EXACT))


def instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


class _Curve:
    """The equity of all blocks. `entered` holds, per block, the equity and the running peak that it begins with."""

    def __init__(self, blocks: list[Block], starting_capital: Decimal | None):
        self.blocks, self.capital = blocks, starting_capital
        self.entered = []
        base = peak = units(starting_capital or Decimal(0))
        peak_at = None  # (block, position), as are all marks here; None: the starting capital
        self.fall, self.peak, self.peak_at, self.trough_at = 0, peak, None, None
        for index, block in enumerate(blocks):
            self.entered.append((base, peak))
            from_before = peak - base - block.low
            if max(from_before, block.fall) > self.fall:
                self.fall = max(from_before, block.fall)
                # Of two falls of the same depth the first one counts.
                if from_before > block.fall or (from_before == block.fall and block.low_at <= block.trough_at):
                    self.peak, self.peak_at, self.trough_at = peak, peak_at, (index, block.low_at)
                else:
                    self.peak = base + block.running[block.peak_at]
                    self.peak_at, self.trough_at = (index, block.peak_at), (index, block.trough_at)
            if base + block.high > peak:
                peak, peak_at = base + block.high, (index, block.high_at)
            base += block.pnl

    def max_drawdown(self) -> list:
        """Its members: an amount in whole numbers, a percentage, and instants in microseconds."""
        if not self.blocks:
            return [None] * 5
        # Without a fall the first step stands for all.
        peak = self.peak if self.fall else max(self.peak, self.entered[0][0] + self.blocks[0].running[0])
        percent = percent_of_peak(amount(self.fall), amount(peak), self.capital)
        return [self.fall, percent, self._instant(self.peak_at), self._instant(self.trough_at), self._recovered_at()]

    def points(self) -> list[dict]:
        sizes = [len(block.instants) for block in self.blocks]
        starts = [0, *accumulate(sizes)]
        marks = [starts[mark[0]] + mark[1] for mark in (self.peak_at, self.trough_at) if mark]
        kept, points = kept_points(starts[-1], marks), []
        for index, (base, peak) in enumerate(self.entered):
            inside = kept[bisect_right(kept, starts[index] - 1) : bisect_right(kept, starts[index + 1] - 1)]
            for at, equity, drawdown in _at(self.blocks[index], base, peak, [k - starts[index] for k in inside]):
                points.append({"at": text_of_instant(at), "equity": text(equity), "drawdown": text(drawdown)})
        return points

    def _recovered_at(self) -> int | None:
        if not self.fall:
            return None
        trough, after = self.trough_at
        for index in range(trough, len(self.blocks)):
            block, base = self.blocks[index], self.entered[index][0]
            start = after + 1 if index == trough else 0
            if base + block.high >= self.peak:
                for at, value in zip(block.instants[start:], block.running[start:], strict=True):
                    if base + value >= self.peak:
                        return at
        return None

    def _instant(self, mark: tuple[int, int] | None) -> int | None:
        return None if mark is None else self.blocks[mark[0]].instants[mark[1]]


def _at(block: Block, base: int, peak: int, positions: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Instant, equity and drawdown at these ascending positions of a block that begins with this equity and peak."""
    seen, high = 0, base + block.high
    for position in positions:
        if high > peak:
            highest = block.high if position >= block.high_at else max(block.running[seen : position + 1])
            peak = max(peak, base + highest)
            seen = position + 1
        equity = base + block.running[position]
        yield block.instants[position], equity, peak - equity


def _totals(blocks: list[Block]) -> Totals:
    """In whole numbers."""
    return Totals(
        trades=sum(block.trades for block in blocks),
        wins=sum(block.wins for block in blocks),
        losses=sum(block.losses for block in blocks),
        won=sum(block.won for block in blocks),
        lost=sum(block.lost for block in blocks),
        fees=sum(block.fees for block in blocks),
        best=max((block.best for block in blocks), default=None),
        worst=min((block.worst for block in blocks), default=None),
        held=sum(block.held for block in blocks),
    )


def _in_decimals(totals: Sequence[int | None]) -> Totals:
    totals = Totals(*totals)
    amounts = {name: getattr(totals, name) for name in ("won", "lost", "fees", "best", "worst")}
    return totals._replace(**{name: None if units is None else amount(units) for name, units in amounts.items()})


def _told_fall(members: list) -> dict:
    absolute, percent, *instants = members
    told = (None if absolute is None else amount(absolute), percent)
    instants = (None if at is None else instant(at) for at in instants)
    return dict(zip(no_fall(), (*told, *instants), strict=True))


def _sharpe_ratio(blocks: list[Block], starting_capital: Decimal | None) -> tuple[float | None, str | None]:
    days = {}
    for block in blocks:
        for day, pnl in zip(block.days.day, block.days.pnl, strict=True):
            days[day] = days.get(day, 0) + pnl
    return sharpe_ratio(list(days.items()), None if starting_capital is None else units(starting_capital))


def _steps(closed: Sequence[int], results: Sequence[int]) -> tuple[list[int], list[int]]:
    running = list(accumulate(results))
    if len(set(closed)) == len(closed):
        return list(closed), running
    ends = [index for index, (at, after) in enumerate(pairwise(closed)) if at != after] + [len(closed) - 1]
    return [closed[end] for end in ends], [running[end] for end in ends]


def _days(columns: Columns, instants: Sequence[int], interval: int) -> Iterator[tuple]:
    closed, start = columns.closed, 0
    while start < len(closed):
        day = closed[start] // interval
        end = bisect_right(closed, (day + 1) * interval - 1)
        results = columns.results[start:end]
        wins, steps = len([r for r in results if r > 0]), bisect_right(instants, closed[end - 1])
        losses = len(results) - wins - results.count(0)
        yield day, end - start, wins, losses, sum(results), sum(columns.fees[start:end]), steps
        start = end


def _series_row(start, trades, wins, losses, pnl, fees, equity, drawdown):
    money = (amount(units) for units in (pnl, fees, equity, drawdown))
    return interval_row(instant(start), trades, wins, losses, *money)


def _compact(numbers: list[int]) -> Sequence[int]:
    with suppress(OverflowError):
        return array("q", numbers)
    return numbers


def _bytes(numbers: Sequence[int]) -> bytes:
    if isinstance(numbers, array):
        return _little_endian(numbers).tobytes()
    return b"".join(number.to_bytes(_WIDE, "little", signed=True) for number in numbers)


def _numbers(packed: bytes, size: int) -> Sequence[int]:
    """The numbers; they are wide ones unless they take `size` bytes."""
    if len(packed) == size:
        return _little_endian(array("q", bytes(packed)))
    parts = (packed[at : at + _WIDE] for at in range(0, len(packed), _WIDE))
    return [int.from_bytes(part, "little", signed=True) for part in parts]


def _little_endian(numbers: array) -> array:
    if sys.byteorder == "little":
        return numbers
    swapped = numbers[:]
    swapped.byteswap()
    return swapped
