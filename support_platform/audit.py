"""The one way an audit event is written: by the operation that makes the change, in its transaction."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from . import audit_chain, logs
from .decimals import format_decimal
from .instants import format_instant
from .models import AuditEvent

# The entry in the changes of an event that takes an earlier one back: [null, id of that event].
REVERTS = "reverts"


@dataclass(frozen=True)
class Actor:
    """Who makes a change, and the circumstances the audit trail keeps of it."""

    name: str
    id: int | None = None
    broker_id: int | None = None
    reason: str = ""
    request_id: str = ""
    source: str = AuditEvent.Source.COMMAND
    ip: str | None = None
    reverts: int | None = None  # the audit event that this change takes back
    told: list = field(default_factory=list, compare=False, repr=False)  # the events that were written for it

    @classmethod
    def of(cls, user, **circumstances):
        return cls(name=user.email, id=user.pk, broker_id=user.broker_id, **circumstances)

    def because(self, reason):
        return replace(self, reason=reason)


def record(action, subject, *, by, changes, owner=None, broker_id=None):
    """
    Write one event, as the last thing the operation does: from here to the end of the transaction every other change
    of the same broker waits, and a row locked after this could deadlock.

    `changes` maps a field to (before, after); `owner` is the account the subject belongs to, and gives the event
    its trader and its broker. Fails, and with it the change, outside a transaction.
    """
    if by.reverts is not None:
        changes = {**changes, REVERTS: (None, by.reverts)}
    event = _write(
        by,
        action=action,
        broker=owner.broker_id if owner else broker_id,
        subject_type=subject._meta.model_name,
        subject_id=subject.pk,
        subject_version=getattr(subject, "version", None),
        user=owner.pk if owner else None,
        changes={field: [plain(before), plain(after)] for field, (before, after) in changes.items()},
    )
    by.told.append(event)
    _log_when_kept("audit", event)
    return event


@transaction.atomic
def record_refused_attempt(attempted, subject_type, subject_id, *, by):
    """Someone tried to change an account that is not theirs to change. Nothing happened, and that is on record."""
    event = _write(
        by,
        action=f"{subject_type}.attempt_refused",
        broker=by.broker_id,
        subject_type=subject_type,
        subject_id=subject_id,
        changes={"attempted": [None, attempted]},
    )
    _log_when_kept("refused_attempt", event, level=logging.WARNING)
    return event


def _write(by, **told):
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"{told['action']} is recorded outside a transaction; the change could be kept without it.")
    return audit_chain.append(
        actor=by.name,
        actor_id=by.id,
        reason=by.reason,
        request_id=by.request_id,
        source=by.source,
        ip=by.ip,
        **told,
    )


def _log_when_kept(name, event, *, level=logging.INFO):
    """A second trace outside the database, without names and values: a trail that was cut short can be told by it."""
    facts = {"id": event.pk, "action": event.action, "actor_id": event.actor_id, "source": event.source, "ip": event.ip}
    facts |= {"subject_type": event.subject_type, "subject_id": event.subject_id}
    transaction.on_commit(lambda: logs.event(name, level=level, **facts), robust=True)


def diff(row, **values):
    """The part of `values` that differs from the row: {field: (before, after)}."""
    return {name: (getattr(row, name), value) for name, value in values.items() if getattr(row, name) != value}


def diff_of_rows(moved):
    """{id: (before, after)} of several rows as one entry of `changes`: (what each was before, what each is after)."""
    return {pk: before for pk, (before, _) in moved.items()}, {pk: after for pk, (_, after) in moved.items()}


def plain(value):
    """A value as the trail writes it."""
    if isinstance(value, Decimal):
        return format_decimal(value)
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
