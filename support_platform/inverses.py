"""
What undoes what.

Each app names it for the actions that it records, in a table {action: Inverse, or in words why there is none}, and
the settings name the tables: the ground knows no app.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string

from .exceptions import OperationRefused

UNKNOWN = "This kind of change has no inverse."


@dataclass(frozen=True)
class Call:
    """An operation to be called as `operation(row, by=..., **arguments)`, by who has all of `rights`."""

    operation: Callable
    rights: tuple
    arguments: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Inverse:
    """
    How one kind of change is undone on a row of `model`.

    `plan(row, changes)` is the Call that does it, or in words why there is none. The row is as the change left it;
    `changes` maps its fields to [before, after] as the audit trail writes them.
    """

    model: type[Model]
    plan: Callable


def by_operation(model, operation, right):
    """An Inverse that is one operation, whatever the change was in detail."""
    return Inverse(model, lambda row, changes: Call(operation, (right,)))


def inverse_of(action):
    """
    :raises OperationRefused: ``not_revertible``, and why
    """
    found = _find(action)
    if isinstance(found, str):
        raise not_revertible(found)
    return found


def exists(action):
    """Whether a change of this kind can be undone at all."""
    return not isinstance(_find(action), str)


def _find(action):
    tables = map(import_string, settings.AUDIT_INVERSES)
    return next((table[action] for table in tables if action in table), UNKNOWN)


def not_revertible(why):
    return OperationRefused("not_revertible", why)


def values_before(model, changes):
    """What the columns held before the change, as the model has it: {field: value}."""
    return {name: model._meta.get_field(name).to_python(before) for name, (before, _) in changes.items()}
