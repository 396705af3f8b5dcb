"""
The kept blocks of large scopes: read together with the journal of what has moved, made anew where it has, and kept
again. Why the figures always equal those of the raw rows: docs/decisions/0014-rollups.md.
"""

import json
from bisect import bisect_left
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db import Error as DatabaseError
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, Subquery, TextField

from support_platform.statements import Given, Statement, columns_of
from trading.bulk_insert import bulk_insert
from trading.models import Deployment, Strategy, Trade

from . import columns
from .blocks import microseconds
from .models import Answer, Rollup, Touch

# So many notes may wait while they concern only the end, where live trading adds: writing costs more than reading it.
WAITING = 100
# Of more ids than this is not looked up when their trades close: everything counts as moved.
MANY_IDS = 100_000
# With more notes than this a rollup is forgotten by `purge`.
MANY_TOUCHES = 10_000
# So many rows are read at once, so that memory stays small.
PART = 16_384
CHUNK = 10_000
SQLITE_PATIENCE_MS = 100
FOREVER = 2**63
# Other processes of the database would take longer to begin and to hand rows over than they save of a part.
_ONE_MOMENT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL max_parallel_workers_per_gather = 0
"""


@contextmanager
def reading_of(kind, scope):
    """
    Within it the database is seen at one moment. It gives the scope's Reading of a kind (a class), or None where no
    rollup is kept and there are not enough rows for one. What had to be made anew is kept afterwards, unless somebody
    was quicker or the database cannot write.
    """
    rollup = _find_or_begin(kind, scope)
    with snapshot():
        reading = rollup and kind(rollup, scope)
        yield reading
    if reading:
        reading.keep()


class Kept(NamedTuple):
    id: int
    first: int
    last: int
    size: int


class Reading:
    """
    The blocks of a scope as they are now; once refreshed, `entries` are the kept ones that hold, and blocks made anew,
    in order.
    """

    name = model = None
    # The rows that are added up, and the name of their instant.
    raw = at = None
    # `blocks`, `latency_blocks` or `slippage_blocks`: who cuts and folds.
    arithmetic = None

    def __init__(self, rollup, scope):
        self.rollup, self.scope = rollup, scope
        # The journal comes first: if a note is worked in and taken away meanwhile, the blocks are the new ones.
        self.touches = _TOUCHES.rows(kind=rollup.kind, scope=rollup.scope, scope_id=rollup.scope_id)
        self.version = None
        self.entries, self.fresh, self.replaced = None, [], []
        self.is_worth_keeping = len(self.touches) > WAITING
        # What all blocks fold to, JSON-ready, if it is not remembered yet.
        self.folded = None

    @cached_property
    def kept(self):
        return self._kept()

    @cached_property
    def moved(self):
        """The positions of the kept blocks that no longer hold; the one behind the last is what comes after them."""
        lasts = [kept.last for kept in self.kept]
        moved = set() if lasts else {0}
        for low, high in self._moved_instants():
            moved.update(range(bisect_left(lasts, low), bisect_left(lasts, high) + 1))
        return moved

    @cached_property
    def stale(self):
        """The positions to make anew: those that no longer hold, and the last block where more fits in."""
        end = len(self.kept)
        has_room = end in self.moved and end and self.kept[-1].size < self.arithmetic.BLOCK
        return self.moved | {end - 1} if has_room else self.moved

    def remembered(self):
        """What all blocks were folded to, if that still holds; None where it does not."""
        if self.touches:
            return None
        found = _ANSWER.first(rollup=self.rollup.pk)
        return json.loads(found[0]) if found else None

    def refresh(self, rest=lambda: None):
        """Make the stale blocks anew, once; `rest` is called between two parts of the work."""
        if self.entries is not None:
            return self
        self.entries, self.rest = [], rest
        self.version = Rollup.objects.filter(pk=self.rollup.pk).values_list("version", flat=True).first()
        for is_stale, positions in groupby(range(len(self.kept) + 1), key=self.stale.__contains__):
            positions = list(positions)
            if is_stale:
                self._make_anew(positions)
            else:
                self.entries += self.kept[positions[0] : positions[-1] + 1]
        return self

    def within(self, span, entries):
        """(the entries that lie in this span wholly, those cut by its edges as (start, end) in them)."""
        since, until = bounds(span)
        whole, cut = [], []
        for entry in entries:
            start = entry.first if since is None else max(since, entry.first)
            end = entry.last + 1 if until is None else min(until, entry.last + 1)
            if (start, end) == (entry.first, entry.last + 1):
                whole.append(entry)
            elif start < end:
                cut.append((entry, start, end))
        return whole, cut

    def ready(self, entries):
        """
        The blocks themselves, the kept ones loaded.

        None if somebody replaced one meanwhile, which can happen only within a transaction of the caller's.
        """
        ids = [entry.id for entry in entries if isinstance(entry, Kept)]
        loaded = self.load(ids)
        if len(loaded) != len(ids):
            return None
        return loaded + [entry for entry in entries if not isinstance(entry, Kept)]

    def keep(self):
        """
        Write what was made anew, and take the notes away that it has worked in: those that were read, no others.

        Nobody is waited for. If the blocks have changed since they were read, those stay and this is forgotten.
        """
        has_blocks = self.is_worth_keeping and self.entries is not None
        has_answer = self.folded is not None and (has_blocks or not self.touches)
        if not (has_blocks or has_answer) or connection.in_atomic_block:
            return
        # Made before the lock is taken: on SQLite all other writers wait for it.
        written = self.written() if has_blocks else None
        version = self.version + 1 if has_blocks else self.version
        with suppress(DatabaseError), impatient(), transaction.atomic():
            rollups = Rollup.objects.filter(pk=self.rollup.pk, version=self.version)
            if not rollups.select_for_update(nowait=True):
                return
            if has_blocks:
                rollups.update(version=version)
                self._replace(written)
            if has_answer:
                kept = {"version": version, "folded": json.dumps(self.folded, separators=(",", ":"))}
                Answer.objects.update_or_create(rollup=self.rollup, defaults=kept)

    def _replace(self, written):
        replaced = self.replaced + [self.kept[position].id for position in self.stale if position < len(self.kept)]
        self.model.objects.filter(pk__in=replaced).delete()
        bulk_insert(self.model, {"rollup_id": self.rollup.pk, **written})
        for some in chunks([touch[0] for touch in self.touches]):
            Touch.objects.filter(pk__in=some).delete()

    def stretch(self, position):
        """From which instant until before which a kept block, or behind them all the end, holds the trades."""
        start = self.kept[position - 1].last + 1 if position else None
        return start, self.kept[position].last + 1 if position < len(self.kept) else None

    def _moved_instants(self):
        """The stretches of time, both ends included, that the journal tells of."""
        ids, ranges = set(), []
        for _, low, high, first_trade, last_trade in self.touches:
            if low is not None:
                yield microseconds(low), microseconds(high)
            elif first_trade == last_trade:
                ids.add(first_trade)
            else:
                ranges.append((first_trade, last_trade))
        lookups = [{"pk__in": some} for some in chunks(sorted(ids))]
        for pair in merged(ranges):
            if pair[1] - pair[0] >= MANY_IDS:
                yield -FOREVER, FOREVER
            else:
                lookups.append({"pk__range": pair})
        # When these trades close is looked up only now: who wrote the note may not have seen the last word on it.
        for lookup in lookups:
            trades = Trade.objects.closed().filter(**self.scope, **lookup)
            for closed_at in trades.values_list("closed_at", flat=True):
                yield microseconds(closed_at), microseconds(closed_at)

    def _make_anew(self, positions):
        (start, _), (_, end) = self.stretch(positions[0]), self.stretch(positions[-1])
        made = []
        for since, until in self.parts(start, end):
            made += self.read(since, until, self.arithmetic.cut_tail if until is None else self.arithmetic.cut)
            self.rest()
        self.entries += made
        self.fresh += made
        is_at_the_end = positions[-1] == len(self.kept) and len(positions) <= 2
        self.is_worth_keeping |= not is_at_the_end or any(block.size >= self.arithmetic.BLOCK for block in made)

    def _kept(self, **lookups):
        rows = self.model.objects.filter(rollup=self.rollup, **lookups).order_by("last")
        return [Kept(*row) for row in rows.values_list(*Kept._fields)]

    def parts(self, start, end):
        """Stretches of time of some PART rows each, one after the other; an instant is in one of them."""
        while (edge := self.instant_of(start, end, PART)) is not None:
            yield start, edge + 1
            start = edge + 1
        yield start, end

    def instant_of(self, start, end, number):
        """The instant of so manieth row from `start` until before `end`; None where there are fewer."""
        rows = self.raw.filter(**self.scope, **columns.within(self.at, start, end)).order_by(self.at, "id")
        found = rows.values_list(self.at, flat=True)[number - 1 : number]
        return microseconds(found[0]) if found else None

    def columns_of_parts(self, span):
        """The raw rows of a span, column by column and part by part."""
        return (self.columns(*part) for part in self.parts(*bounds(span)))

    def columns(self, start, end):
        """The raw rows from `start` until before `end`, column by column."""
        raise NotImplementedError

    def read(self, start, end, cut):
        """Blocks of the raw rows from `start` until before `end`."""
        return cut(self.columns(start, end))

    @classmethod
    def many(cls):
        """From how many rows on a scope has a rollup."""
        raise NotImplementedError

    def kept_groups(self):
        """Kept blocks that are made of others, each with the ids of these."""
        return ()

    def load(self, ids):
        """The kept blocks of these ids, as far as they are still there."""
        raise NotImplementedError

    def written(self):
        """What was made anew, as `bulk_insert` takes it."""
        raise NotImplementedError

    def bounds_of(self, blocks):
        """A part of `written`."""
        return {name: [getattr(block, name) for block in blocks] for name in ("first", "last", "size")}


def abandoned():
    """The rollups whose scope is gone, and those that nobody has read for so long that to begin anew is quicker."""
    waiting = _of_same_scope(Touch).values("kind").annotate(n=Count("pk")).values("n")
    gone = Q()
    for name, model in (("user", get_user_model()), ("strategy", Strategy), ("deployment", Deployment)):
        gone |= Q(scope=name) & ~Exists(model.objects.filter(pk=OuterRef("scope_id")))
    return Rollup.objects.alias(waiting=Subquery(waiting)).filter(Q(waiting__gt=MANY_TOUCHES) | gone)


def notes_of(kind):
    """The notes of the scope of a rollup of this kind, within a query of rollups."""
    return Touch.objects.filter(kind=kind, scope=OuterRef("scope"), scope_id=OuterRef("scope_id"))


def unread_touches():
    """The notes of scopes that have no rollup: PostgreSQL's triggers write them for all."""
    return Touch.objects.filter(~Exists(_of_same_scope(Rollup)))


def _of_same_scope(model):
    return model.objects.filter(**{name: OuterRef(name) for name in ("kind", "scope", "scope_id")})


def bounds(span):
    """In microseconds."""
    return [None if bound is None else microseconds(bound) for bound in span]


def merged(ranges):
    """Those that overlap as one; both ends of a range are in it."""
    found = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def chunks(ids):
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


@contextmanager
def snapshot():
    """All reads within it see the database at one moment. In a transaction of the caller's that one decides."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_ONE_MOMENT)
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


def rollup_of(kind, scope):
    """The scope's rollup of a kind, or None."""
    row = _ROLLUP.first(**_key(kind, scope))
    return row and Rollup.from_db(DEFAULT_DB_ALIAS, columns_of(Rollup), row)


def _key(kind, scope):
    ((name, pk),) = scope.items()
    return {"kind": kind.name.value, "scope": name, "scope_id": pk}


def _given_key():
    texts = {name: Given(name, TextField()) for name in ("kind", "scope")}
    return {**texts, "scope_id": Given("scope_id", BigIntegerField())}


_ROLLUP = Statement(lambda: Rollup.objects.filter(**_given_key()), columns_of(Rollup))
_TOUCHES = Statement(lambda: Rollup(**_given_key()).touches(), ("id", "low", "high", "first_trade", "last_trade"))
_ANSWER = Statement(
    lambda: Answer.objects.filter(rollup=Given("rollup", BigIntegerField()), version=F("rollup__version")), ("folded",)
)


def _find_or_begin(kind, scope):
    """
    The scope's rollup. One that is begun is committed before anything is read for it, and without blocks.

    None: there are not enough rows; or it cannot be begun now, as within a transaction of the caller's.
    """
    rollup, key = rollup_of(kind, scope), _key(kind, scope)
    if rollup or connection.in_atomic_block or not has(kind.raw.filter(**scope), kind.many()):
        return rollup
    with suppress(DatabaseError), impatient():
        return Rollup.objects.get_or_create(**key)[0]


def has(rows, many):
    """Are there so many? It counts no further."""
    return rows.order_by()[:many].count() == many
