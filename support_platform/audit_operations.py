"""Operations that begin with an audit event."""

from dataclasses import replace

from django.core.exceptions import PermissionDenied
from django.db import transaction

from . import audit, inverses
from .exceptions import OperationRefused, OutOfReach, StaleVersion
from .models import AuditEvent


@transaction.atomic
def revert_change(event, *, by, staff):
    """
    Undo a change by the operation that is its inverse, as if `staff` had asked for that one.

    The inverse locks the subject, checks all that it always checks, and leaves its own event, which names this one in
    `reverts`. An `if_match` of the event speaks of the subject's version.

    :returns: (the subject, the inverse's event)
    :raises OperationRefused: ``not_revertible``; ``moved_on``, if the subject is not as the change left it; whatever
      the inverse refuses
    :raises OutOfReach: if the subject is gone, or out of the staff member's reach
    :raises PermissionDenied: without the right to the inverse itself
    """
    inverse = inverses.inverse_of(event.action)
    subject = inverse.model.objects.visible_to(staff).filter(pk=event.subject_id).first()
    if subject is None:
        raise OutOfReach
    changes = {field: pair for field, pair in event.changes.items() if field != audit.REVERTS}
    call = inverse.plan(subject, changes)
    if isinstance(call, str):
        raise inverses.not_revertible(call)
    if not staff.has_perms(call.rights):
        raise PermissionDenied
    expected = getattr(event, "if_match", {subject.version})
    if subject.version not in expected:
        raise StaleVersion(subject.version)
    if not _is_as_left(subject, event, changes):
        raise _moved_on(subject.version)
    # What was compared here without a lock is compared again under the inverse's own.
    subject.if_match = {subject.version}
    try:
        result = call.operation(subject, by=replace(by, reverts=event.pk), **call.arguments)
    except StaleVersion as error:
        raise _moved_on(error.current) from None
    subject = result[0] if isinstance(result, tuple) else result  # some return counts or figures beside the row
    # Only read from here on: the inverse has recorded, and the end of the chain is locked.
    told = AuditEvent.objects.filter(subject_type=event.subject_type, subject_id=event.subject_id).latest("id")
    if told.changes.get(audit.REVERTS) != [None, event.pk]:
        raise _moved_on(subject.version)  # it was so already: nothing to take back
    return subject, told


def _is_as_left(subject, event, changes):
    """By the version; for an event from before versions were kept, by the values."""
    if event.subject_version is not None:
        return subject.version == event.subject_version
    values = {field: after for field, (_, after) in changes.items() if field in _own_fields(subject)}
    return all(audit.plain(getattr(subject, field)) == after for field, after in values.items())


def _own_fields(subject):
    """What an event may tell of the row itself; the rest is of other rows. `status` is a column or stands for some."""
    return {column.name for column in subject._meta.concrete_fields} | {"status"}


def _moved_on(version):
    detail = (
        f"It is not as this change left it: it is at version {version} now. Look at its later events, and change it by "
        "its own call."
    )
    return OperationRefused("moved_on", detail, current_version=version)
