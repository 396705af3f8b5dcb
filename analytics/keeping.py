"""
Blocks made before anybody asks for them: rollups begun for scopes that have become large, and made anew where an
answer would have much to read. A server does it beside its requests (`Keeper`), `rebuild_rollups --due` at once.
"""

import logging
import time
from collections import deque
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, Subquery
from django.utils import timezone

from support_platform import logs
from support_platform.rounds import Rounds, jitter
from trading.models import Deployment, Strategy

from . import queries, rollups
from .blocks import microseconds
from .models import Rollup
from .readings import KINDS, PerformanceReading

PAUSE = 20  # seconds
# So many scopes are looked at in one query, and so many pages of them in one round.
PAGE, PAGES = 250, 4
# For so many rounds a note is looked for: a transaction's first ones are as old as that transaction when it commits.
LOOK_BACK = 15
# While one server makes the blocks of a rollup no other does; a server that died lets go after this.
CLAIM = timedelta(minutes=10)


class Ended(Exception):
    """The server ends; what is not kept yet is forgotten."""


class Keeper(Rounds):
    """
    The thread of a server that does it, a little each round. It rests as long as it works, so that requests have the
    better half of the processor.
    """

    def __init__(self, pause=PAUSE):
        super().__init__("rollups", pause)
        self.pages, self.rested_at = None, 0
        self.seen, self.newest = {}, deque([0], maxlen=LOOK_BACK)

    def run(self):
        self.woken.wait(self.pause * jitter())  # a server that starts has other things to do
        super().run()

    def failed(self, error):
        logs.event("rollups_failed", level=logging.ERROR, error=type(error).__name__, retry_seconds=self.pause)

    def go_round(self):
        self.rested_at = time.monotonic()
        try:
            for page in noted_scopes(self.seen, self.newest[0]):
                begin(page)
                self.rest()
            self.newest.append(max(self.seen.values(), default=self.newest[-1]))
            for _ in range(PAGES):
                if not self._next_page():
                    break
                self.rest()
            for rollup in due():
                bring_up_to_date(rollup, self.rest)
                self.rest()
        except Ended:
            pass

    def rest(self):
        self.woken.wait(time.monotonic() - self.rested_at)
        if self.is_ending:
            raise Ended
        self.rested_at = time.monotonic()

    def _next_page(self):
        """Whether there was one; the next round begins from the first again."""
        self.pages = self.pages or large_scopes()
        page = next(self.pages, None)
        if page is None:
            self.pages = None
            return False
        begin(page)
        return True


def start_keeper(pause=PAUSE):
    keeper = Keeper(pause)
    keeper.start()
    return keeper


def large_scopes():
    """The scopes that have rows enough for a rollup but none, as (kind, scope, id), page by page of all scopes."""
    for kind in KINDS.values():
        for name, model in _models().items():
            last = 0
            while page := list(model.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PAGE]):
                last = page[-1]
                yield _large(kind, name, page)


def noted_scopes(seen, after=0):
    """
    As large_scopes, of those alone of which a note behind this one tells that many rows came in at once: soon after
    that, where a look at all scopes would take long. `seen` keeps which note of a scope was the newest. (SQLite notes
    nothing of these.)
    """
    notes = rollups.unread_touches().filter(pk__gt=after, low__lt=F("high")).values("kind", "scope", "scope_id")
    newest = {
        (note["kind"], note["scope"], note["scope_id"]): note["newest"]
        for note in notes.annotate(newest=Max("pk")).order_by("kind", "scope", "scope_id")
    }
    noted = [scope for scope, note in newest.items() if seen.get(scope) != note]
    seen.clear()
    seen.update(newest)
    for (kind, name), found in groupby(noted, key=itemgetter(0, 1)):
        ids = [pk for _, _, pk in found]
        for start in range(0, len(ids), PAGE):
            yield _large(KINDS[kind], name, ids[start : start + PAGE])


def begin(scopes):
    for kind, name, pk in scopes:
        Rollup.objects.get_or_create(kind=kind, scope=name, scope_id=pk)


def due():
    """
    The rollups whose next answer would have much to read: those without blocks, those of which a block has moved or
    many rows at once, and those with as many notes waiting as are worth writing. Single rows at the end, as live
    trading adds them, are not.
    """
    for kind in KINDS.values():
        notes = rollups.notes_of(kind.name)
        wide = notes.filter(Q(low__lt=F("high")) | Q(first_trade__lt=F("last_trade")))
        lasts = kind.model.objects.filter(rollup=OuterRef("pk")).order_by("-last").values("last")[:1]
        found = Rollup.objects.filter(kind=kind.name).filter(Q(version=0) | Exists(notes))
        found = found.annotate(
            waiting=Subquery(notes.values("kind").annotate(n=Count("pk")).values("n")),
            low=Subquery(notes.values("kind").annotate(least=Min("low")).values("least")),
            is_wide=Exists(wide),
            last=Subquery(lasts),
        )
        for rollup in found.order_by("pk"):
            is_behind = rollup.low is None or rollup.last is not None and microseconds(rollup.low) > rollup.last
            if rollup.is_wide or not is_behind or not rollup.version or rollup.waiting > rollups.WAITING:
                yield rollup


def bring_up_to_date(rollup, rest=lambda: None):
    """Make its blocks anew and keep them, unless somebody else does. Whether it was done here."""
    now = timezone.now()
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    if not Rollup.objects.filter(free, pk=rollup.pk).update(claimed_until=now + CLAIM):
        return False
    try:
        make(rollup, rest)
    finally:
        Rollup.objects.filter(pk=rollup.pk).update(claimed_until=None)
    return True


def make(rollup, rest=lambda: None):
    """Its blocks anew where they have moved, and what they fold to."""
    scope = {rollup.scope: rollup.scope_id}
    with rollups.snapshot():
        reading = KINDS[rollup.kind](rollup, scope).refresh(rest)
        if isinstance(reading, PerformanceReading):
            reading.fold(queries.Span(), queries.starting_capital(scope))
        else:
            reading.blocks(queries.Span())
    reading.is_worth_keeping = True
    reading.keep()


def _models():
    return {"user": get_user_model(), "strategy": Strategy, "deployment": Deployment}


def _large(kind, name, page):
    """Those of these ids that have rows enough for a rollup but none."""
    scopes = _models()[name].objects
    without = ~Exists(Rollup.objects.filter(kind=kind.name, scope=name, scope_id=OuterRef("pk")))
    ids = list(scopes.filter(without, pk__in=page).values_list("pk", flat=True))
    many = kind.many()
    rows = kind.raw.filter(**{name: OuterRef("pk")}).order_by(kind.at).values("pk")[many - 1 : many]
    large = scopes.filter(pk__in=ids).annotate(row=Subquery(rows)).filter(row__isnull=False)
    return [(kind.name, name, pk) for pk in large.values_list("pk", flat=True)]
