"""
The kept blocks of large scopes: read together with the journal of what has moved, made anew where it has, and kept
again. Why the figures always equal those of the raw rows: docs/decisions/0014-rollups.md.
"""

from bisect import bisect_left
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, Subquery

from trading.models import Deployment, Strategy, Trade

from . import blocks, columns
from .models import PerformanceBlock, Rollup, Touch

# From how many rows on blocks pay.
MANY_TRADES = 4096
# So many notes may wait while they concern only the end, where live trading adds: writing costs more than reading it.
WAITING = 100
# Of more ids than this is not looked up when their trades close: everything counts as moved.
MANY_IDS = 100_000
# With more notes than this a rollup is forgotten by `purge`.
MANY_TOUCHES = 10_000
CHUNK = 10_000
SQLITE_PATIENCE_MS = 100
FOREVER = 2**63


@contextmanager
def performance_of(scope):
    """
    Within it the database is seen at one moment. It gives the scope's PerformanceReading, or None where there are too
    few trades. What had to be made anew is kept afterwards, unless somebody was quicker or the database cannot write.
    """
    rollup = _find_or_begin(Rollup.Kind.PERFORMANCE, scope, Trade.objects.closed(), MANY_TRADES)
    if rollup is None:
        yield None
        return
    with snapshot():
        reading = PerformanceReading(rollup, scope).refresh()
        yield reading
    reading.keep()


class Kept(NamedTuple):
    id: int
    first: int
    last: int
    trades: int


class PerformanceReading:
    """The blocks of a scope as they are now: `entries` are the kept ones that hold, and blocks made anew, in order."""

    def __init__(self, rollup, scope):
        self.rollup, self.scope = rollup, scope
        # The journal comes first: if a note is worked in and taken away meanwhile, the blocks are the new ones.
        self.touches = list(rollup.touches().values_list("id", "low", "high", "first_trade", "last_trade"))
        self.version = Rollup.objects.filter(pk=rollup.pk).values_list("version", flat=True).first()
        rows = PerformanceBlock.objects.filter(rollup=rollup).order_by("last")
        self.kept = [Kept(*row) for row in rows.values_list(*Kept._fields)]
        self.moved = self._moved()
        self.stale = self._stale()
        self.entries, self.fresh, self.is_worth_keeping = [], [], len(self.touches) > WAITING

    def refresh(self):
        """Make the stale blocks anew."""
        for is_stale, positions in groupby(range(len(self.kept) + 1), key=self.stale.__contains__):
            positions = list(positions)
            if is_stale:
                self._make_anew(positions)
            else:
                self.entries += self.kept[positions[0] : positions[-1] + 1]
        return self

    def blocks(self, span):
        """
        The blocks of the trades that closed in this span, oldest first.

        None if somebody replaced blocks meanwhile, which can happen only within a transaction of the caller's.
        """
        since, until = (None if bound is None else blocks.microseconds(bound) for bound in span)
        ready, wanted = [], []
        for entry in self.entries:
            start = entry.first if since is None else max(since, entry.first)
            end = entry.last + 1 if until is None else min(until, entry.last + 1)
            if start >= end:
                continue
            if (start, end) != (entry.first, entry.last + 1):
                ready += self._read(start, end, blocks.cut)
            elif isinstance(entry, Kept):
                wanted.append(entry.id)
            else:
                ready.append(entry)
        loaded = load(self.rollup, wanted)
        return sorted(ready + loaded, key=lambda block: block.last) if len(loaded) == len(wanted) else None

    def keep(self):
        """
        Write what was made anew, and take the notes away that it has worked in: those that were read, no others.

        Nobody is waited for. If the blocks have changed since they were read, those stay and this is forgotten.
        """
        if not self.is_worth_keeping or connection.in_atomic_block:
            return
        replaced = [self.kept[position].id for position in self.stale if position < len(self.kept)]
        with suppress(DatabaseError), impatient(), transaction.atomic():
            rollups = Rollup.objects.filter(pk=self.rollup.pk, version=self.version)
            if not rollups.select_for_update(nowait=True):
                return
            rollups.update(version=self.version + 1)
            PerformanceBlock.objects.filter(pk__in=replaced).delete()
            PerformanceBlock.objects.bulk_create(self._row(block) for block in self.fresh)
            for some in chunks([touch[0] for touch in self.touches]):
                Touch.objects.filter(pk__in=some).delete()

    def stretch(self, position):
        """From which instant until before which a kept block, or behind them all the end, holds the trades."""
        start = self.kept[position - 1].last + 1 if position else None
        return start, self.kept[position].last + 1 if position < len(self.kept) else None

    def _moved(self):
        """The positions of the kept blocks that no longer hold; the one behind the last is what comes after them."""
        lasts = [kept.last for kept in self.kept]
        moved = set() if lasts else {0}
        for low, high in self._moved_instants():
            moved.update(range(bisect_left(lasts, low), bisect_left(lasts, high) + 1))
        return moved

    def _stale(self):
        """The positions to make anew: those that no longer hold, and the last block where more fits in."""
        end = len(self.kept)
        has_room = end in self.moved and end and self.kept[-1].trades < blocks.BLOCK
        return self.moved | {end - 1} if has_room else self.moved

    def _moved_instants(self):
        """The stretches of time, both ends included, that the journal tells of."""
        ids = set()
        for _, low, high, first_trade, last_trade in self.touches:
            if low is not None:
                yield blocks.microseconds(low), blocks.microseconds(high)
            elif last_trade - first_trade < MANY_IDS:
                ids.update(range(first_trade, last_trade + 1))
            else:
                yield -FOREVER, FOREVER
        # When these trades close is looked up only now: who wrote the note may not have seen the last word on it.
        for some in chunks(sorted(ids)):
            trades = Trade.objects.closed().filter(**self.scope, pk__in=some)
            for closed_at in trades.values_list("closed_at", flat=True):
                yield blocks.microseconds(closed_at), blocks.microseconds(closed_at)

    def _make_anew(self, positions):
        (start, _), (_, end) = self.stretch(positions[0]), self.stretch(positions[-1])
        made = self._read(start, end, blocks.cut if end else blocks.cut_tail)
        self.entries += made
        self.fresh += made
        is_at_the_end = positions[-1] == len(self.kept) and len(positions) <= 2
        self.is_worth_keeping |= not is_at_the_end or any(block.trades >= blocks.BLOCK for block in made)

    def _read(self, start, end, cut):
        made = cut(columns.closed_trades(self.scope, start, end))
        columns.add_costs(made, self.scope, start, end)
        return made

    def _row(self, block):
        figures, steps = block.packed()
        values = {"first": block.first, "last": block.last, "trades": block.trades}
        return PerformanceBlock(rollup=self.rollup, figures=figures, steps=steps, **values)


def abandoned():
    """The rollups whose scope is gone, and those that nobody has read for so long that to begin anew is quicker."""
    waiting = _of_same_scope(Touch).values("kind").annotate(n=Count("pk")).values("n")
    gone = Q()
    for name, model in (("user", get_user_model()), ("strategy", Strategy), ("deployment", Deployment)):
        gone |= Q(scope=name) & ~Exists(model.objects.filter(pk=OuterRef("scope_id")))
    return Rollup.objects.alias(waiting=Subquery(waiting)).filter(Q(waiting__gt=MANY_TOUCHES) | gone)


def unread_touches():
    """The notes of scopes that have no rollup: PostgreSQL's triggers write them for all."""
    return Touch.objects.filter(~Exists(_of_same_scope(Rollup)))


def _of_same_scope(model):
    return model.objects.filter(**{name: OuterRef(name) for name in ("kind", "scope", "scope_id")})


def chunks(ids):
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def load(rollup, ids):
    if not ids:
        return []
    rows = PerformanceBlock.objects.filter(rollup=rollup, pk__in=ids).order_by("last").values_list("figures", "steps")
    return [blocks.Block.unpacked(*row) for row in columns.packed(rows)]


@contextmanager
def snapshot():
    """All reads within it see the database at one moment. In a transaction of the caller's that one decides."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
    else:
        # Not Django's atomic, which takes the write lock there and would wait for whoever writes.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


@contextmanager
def impatient():
    """On SQLite a write within it waits for other writers only for a moment."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_PATIENCE_MS}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {patience}")


def _find_or_begin(kind, scope, rows, many):
    """
    The scope's rollup. One that is begun is committed before anything is read for it, and without blocks.

    None: there are not so many rows; or it cannot be begun now, as within a transaction of the caller's.
    """
    ((name, pk),) = scope.items()
    key = {"kind": kind, "scope": name, "scope_id": pk}
    rollup = Rollup.objects.filter(**key).first()
    if rollup or connection.in_atomic_block or rows.filter(**scope).order_by()[:many].count() < many:
        return rollup
    with suppress(DatabaseError), impatient():
        return Rollup.objects.get_or_create(**key)[0]
