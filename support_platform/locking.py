"""The bones of every operation: the row, locked and fresh, at the version the caller believes in; and its write."""

from contextlib import contextmanager
from functools import cache

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction

from .exceptions import OperationRefused, OutOfReach, StaleVersion
from .statements import Given, Statement, Update, columns_of


def lock(row):
    """
    The same row, locked until the transaction ends and read again.

    A caller that may only change what it has seen sets ``row.if_match`` to the set of versions it accepts; it is
    compared here, under the lock, so no other change can slip in between.

    :raises StaleVersion: if the row is at another version
    :raises OutOfReach: if the row is gone
    """
    model = row._meta.concrete_model
    found = _locked(model).first(pk=row.pk)
    if found is None:
        raise OutOfReach
    fresh = type(row).from_db(DEFAULT_DB_ALIAS, columns_of(model), found)
    accepted = getattr(row, "if_match", None)
    if accepted is not None and fresh.version not in accepted:
        raise StaleVersion(fresh.version)
    return fresh


@cache
def _locked(model):
    by_id = {"pk": Given("pk", model._meta.pk)}
    return Statement(lambda: model._base_manager.select_for_update().filter(**by_id), columns_of(model))


def save_next_version(row, *fields):
    """Write these fields of a locked row and count its version up by one."""
    row.version += 1
    _written(row._meta.concrete_model, frozenset(fields)).write(row)


@cache
def _written(model, fields):
    return Update(model, [*sorted(fields), "version"])


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
