"""The bones of every operation: the row, locked and fresh, at the version the caller believes in; and its write."""

from contextlib import contextmanager

from django.db import IntegrityError, transaction

from .exceptions import OperationRefused, OutOfReach, StaleVersion


def lock(row):
    """
    The same row, locked until the transaction ends and read again.

    A caller that may only change what it has seen sets ``row.if_match`` to the set of versions it accepts; it is
    compared here, under the lock, so no other change can slip in between.

    :raises StaleVersion: if the row is at another version
    :raises OutOfReach: if the row is gone
    """
    model = type(row)
    fresh = model._base_manager.select_for_update().filter(pk=row.pk).first()
    if fresh is None:
        raise OutOfReach
    accepted = getattr(row, "if_match", None)
    if accepted is not None and fresh.version not in accepted:
        raise StaleVersion(fresh.version)
    return fresh


def save_next_version(row, *fields):
    """Write these fields of a locked row and count its version up by one."""
    row.version += 1
    row.save(update_fields=[*fields, "version"])


@contextmanager
def refused_if_taken(code, detail):
    """
    For the write of what must be unique: of two at the same moment the constraint lets one through, and this tells
    the other.

    :raises OperationRefused: with this code and detail
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise OperationRefused(code, detail) from None
