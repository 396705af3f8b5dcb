"""One change of one row, tried or only rehearsed, and what became of it in words."""

from dataclasses import dataclass, field, replace

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.utils.text import capfirst
from rest_framework.exceptions import Throttled

from support_platform import throttling
from support_platform.dry_run import atomically
from support_platform.exceptions import (
    InvalidChange,
    OperationRefused,
    OutOfReach,
    StaleVersion,
    is_unavailable,
    retry_after,
)
from support_platform.retries import retried

from .differences import differences
from .forms import version_of

NOTHING_TO_DO = "Nothing to do: it is so already."
STALE = "It was changed by someone else meanwhile. Nothing was saved. Look at what changed, then go on."


@dataclass(frozen=True)
class Figures:
    """Figures that a change moves: one Difference for each, moved or not."""

    rows: tuple

    def __str__(self):
        moved = [str(row) for row in self.rows if row.before != row.after]
        return "; ".join(moved) or "the figures stay as they were"


@dataclass(frozen=True)
class Outcome:
    """
    What became of one row, or would. `level` is that of Django's messages.

    `events` are the audit events of it, which a rehearsal has not kept; `besides` is what was done besides, {name: text
    or Figures}; `errors` {field, or "" for all of it: text} is why it was not done.
    """

    row: object
    text: str
    level: int = messages.SUCCESS
    events: tuple = ()
    besides: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    is_stale: bool = False
    retry_after: int | None = None  # in seconds; what the change needs is away

    @property
    def tag(self):
        return messages.DEFAULT_TAGS[self.level]

    @property
    def is_done(self):
        return self.level == messages.SUCCESS

    @property
    def changes(self):
        return {name: pair for event in self.events for name, pair in event.changes.items()}

    @property
    def words(self):
        """What changes and what is done besides, in one line for a list of rows."""
        moved = [str(difference) for difference in differences(self.changes)[:10]]
        return "; ".join([*moved, *(f"{name}: {value}" for name, value in self.besides.items())])


def attempt(request, method, row, version, *, by, values, bucket=None, is_dry_run=False):
    """
    Call `method(request, row, by=…, **values)`, which returns (the row, what was done besides), in one transaction.

    A dry run keeps nothing and counts nothing against `bucket`, the limit (bucket, key) of the row.
    """
    if hasattr(row, "version"):
        row.if_match = {version}
    before, by = version_of(row), replace(by, told=[])

    def change():
        by.told.clear()
        with atomically(is_dry_run=is_dry_run):
            return method(request, row, by=by, **values)

    try:
        if bucket and not is_dry_run:
            throttling.count(request, *bucket, row.pk)
        changed, besides = retried(change)
    except StaleVersion:
        text = "Not done: it was changed meanwhile. Look at it again, then repeat."
        return Outcome(row, text, messages.ERROR, errors={"": STALE}, is_stale=True)
    except InvalidChange as refusal:
        errors = {name: text for name, (_, text) in refusal.errors.items()}
        return Outcome(row, f"Not done: {refusal}", messages.ERROR, errors=errors)
    except Exception as error:
        text = _refusal(error)
        if text is None:
            raise
        wait = retry_after(error) if is_unavailable(error) else None
        return Outcome(row, f"Not done: {text}", messages.ERROR, errors={"": capfirst(text)}, retry_after=wait)
    if not by.told and not besides and version_of(changed) == before:
        return Outcome(changed, NOTHING_TO_DO, messages.INFO)
    return Outcome(changed, "Done.", events=tuple(by.told), besides=besides)


def _refusal(error):
    """Why it was not done and what to do next; None for what nobody foresaw."""
    if isinstance(error, PermissionDenied):
        return "it takes a right that you do not have."
    if isinstance(error, OutOfReach):
        return "it does not exist any more."
    if isinstance(error, OperationRefused):
        return refused_text(error)
    if isinstance(error, IntegrityError):
        return "another change came between. Look at it again, then repeat."
    if isinstance(error, Throttled):
        return f"the limit is reached. Try again in {max(1, int(error.wait))} seconds."
    if is_unavailable(error):
        return "the database or the cache is away. Try again shortly."
    return None


def refused_text(refusal):
    """An operation's refusal with the rows it names, such as the deployments that are active."""
    named = "".join(f" {name.capitalize()}: {', '.join(map(str, ids))}." for name, ids in refusal.extra.items())
    return f"{refusal.detail}{named}"
