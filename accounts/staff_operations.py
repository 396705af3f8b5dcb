"""
Operations on staff accounts and brokers: for the superuser, and for commands.

Every one of them that takes rights away ends the account's tokens and sessions.
"""

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from support_platform import audit
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from support_platform.locking import lock, refused_if_taken, save_next_version

from . import queries
from .models import Broker, User

CONTACT = {"email", "phone", "first_name", "last_name"}
# A change of one of these gives, takes or guards rights.
ENDS_SESSIONS = {"password", "status", "role", "is_superuser", "broker"}
KEEP = object()


@transaction.atomic
def create_broker(name, *, by, domain=""):
    """
    :raises OperationRefused: ``broker_exists``
    """
    with refused_if_taken("broker_exists", f"There is a broker named {name} already."):
        broker = Broker.objects.create(name=name, domain=domain)
    audit.record("broker.created", broker, by=by, changes={"name": (None, name)}, broker_id=broker.pk)
    return broker


@transaction.atomic
def change_broker(broker, *, by, **values):
    broker = lock(broker)
    changes = audit.diff(broker, **values)
    if not changes:
        return broker
    for name, value in values.items():
        setattr(broker, name, value)
    with refused_if_taken("broker_exists", f"There is a broker named {broker.name} already."):
        save_next_version(broker, *changes)
    audit.record("broker.changed", broker, by=by, changes=changes, broker_id=broker.pk)
    return broker


@transaction.atomic
def create_trader(email, broker, *, by, **names):
    """
    A trader without a password: a reset sets the first one.

    :raises OperationRefused: ``email_taken``
    """
    user = _create(email, None, broker=broker, **names)
    record_new_trader(user, by=by)
    return user


@transaction.atomic
def record_new_trader(user, *, by):
    """The event alone, for an import: it makes the trader first, and tells of all that it made at its end."""
    audit.record("user.created", user, by=by, owner=user, changes={"email": (None, user.email)})


@transaction.atomic
def create_staff(email, password, role, *, by, broker=None, is_superuser=False):
    """
    A staff account with one role (Viewer, Agent, Supervisor; None for a superuser). Without a broker it sees all.

    :raises OperationRefused: ``email_taken``
    :raises PermissionDenied: unless the actor is a superuser or the system
    """
    queries.require_superuser(by)
    user = _create(email, password, broker=broker, is_staff=True, is_superuser=is_superuser)
    if role:
        user.groups.set([_group(role)])
    audit.record(
        "staff.created",
        user,
        by=by,
        changes={"email": (None, user.email), "role": (None, role), "is_superuser": (None, is_superuser)},
        broker_id=user.broker_id,
    )
    return user


@transaction.atomic
def change_staff(staff, *, by, role=None, password=None, is_active=None, is_superuser=None, broker=KEEP, **contact):
    """
    Change a staff account: `role` (a group's name, the only one it then has), `password`, `is_active`,
    `is_superuser`, `broker` (None: sees all), and `email`, `phone`, `first_name`, `last_name`.

    All but the contact end its tokens and sessions, for good.

    :raises OperationRefused: ``email_taken``; ``self`` when the actor would deactivate or demote its own account
    :raises OutOfReach: for a trader
    :raises PermissionDenied: unless the actor is a superuser or the system, or changes only its own password
    """
    if unknown := contact.keys() - CONTACT:
        raise TypeError(f"change_staff takes no {', '.join(sorted(unknown))}")
    staff = lock(staff)
    if not staff.is_staff:
        raise OutOfReach
    others = (role, is_active, is_superuser) != (None, None, None) or broker is not KEEP or contact
    if others or by.id != staff.pk:
        queries.require_superuser(by)
    if by.id == staff.pk and (is_active is False or is_superuser is False):
        raise OperationRefused("self", "Nobody deactivates or demotes their own account. Ask another superuser.")
    if "email" in contact:
        contact["email"] = User.objects.normalize_email(contact["email"])
    changes = audit.diff(staff, **contact)
    fields = [*changes]
    for name in changes:
        setattr(staff, name, contact[name])
    if is_active is not None and is_active != staff.is_active:
        changes["status"] = (staff.status, User.Status.ACTIVE if is_active else User.Status.INACTIVE)
        staff.is_active = is_active
        fields.append("is_active")
    if is_superuser is not None and is_superuser != staff.is_superuser:
        changes["is_superuser"] = (staff.is_superuser, is_superuser)
        staff.is_superuser = is_superuser
        fields.append("is_superuser")
    if broker is not KEEP and broker != staff.broker:
        changes["broker"] = (staff.broker_id, broker.pk if broker else None)
        staff.broker = broker
        fields.append("broker")
    if password is not None:
        staff.set_password(password)
        changes["password"] = (None, "changed")
        fields.append("password")
    if role is not None:
        before = sorted(staff.groups.values_list("name", flat=True))
        if before != [role]:
            staff.groups.set([_group(role)])
            changes["role"] = (", ".join(before) or None, role)
    if not changes:
        return staff
    if ENDS_SESSIONS & changes.keys():
        staff.end_sessions(timezone.now())
        fields.append("session_version")
    with refused_if_taken("email_taken", "Another account has this address."):
        save_next_version(staff, *fields)
    audit.record("staff.changed", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return staff


def _group(role):
    group = Group.objects.filter(name=role).first()
    if group is None:
        known = ", ".join(Group.objects.order_by("name").values_list("name", flat=True))
        raise InvalidChange(role=("invalid_choice", f"There is no role {role}. Must be one of: {known}."))
    return group


def _create(email, password, **fields):
    email = User.objects.normalize_email(email)
    with refused_if_taken("email_taken", f"There is an account with the address {email} already."):
        return User.objects.create_user(email, password, **fields)
