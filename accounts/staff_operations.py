"""
Operations on staff accounts and brokers: for the superuser, and for commands.

Every one of them that takes rights away ends the account's tokens and sessions.
"""

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from support_platform import audit
from support_platform.exceptions import OperationRefused
from support_platform.locking import lock, save_next_version

from .models import ApiSession, Broker, User


@transaction.atomic
def create_broker(name, *, by, domain=""):
    """
    :raises OperationRefused: ``broker_exists``
    """
    if Broker.objects.filter(name__iexact=name).exists():
        raise OperationRefused("broker_exists", f"There is a broker named {name} already.")
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
    try:
        with transaction.atomic():
            save_next_version(broker, *changes)
    except IntegrityError:
        raise OperationRefused("broker_exists", f"There is a broker named {broker.name} already.") from None
    audit.record("broker.changed", broker, by=by, changes=changes, broker_id=broker.pk)
    return broker


@transaction.atomic
def create_trader(email, broker, *, by, **names):
    """
    A trader without a password: a reset sets the first one.

    :raises OperationRefused: ``email_taken``
    """
    user = _create(email, None, broker=broker, **names)
    audit.record("user.created", user, by=by, owner=user, changes={"email": (None, user.email)})
    return user


@transaction.atomic
def create_staff(email, password, role, *, by, broker=None, is_superuser=False):
    """
    A staff account with one role (Viewer, Agent, Supervisor; None for a superuser). Without a broker it sees all.

    :raises OperationRefused: ``email_taken``
    """
    user = _create(email, password, broker=broker, is_staff=True, is_superuser=is_superuser)
    if role:
        user.groups.set([Group.objects.get(name=role)])
    audit.record(
        "staff.created",
        user,
        by=by,
        changes={"email": (None, user.email), "role": (None, role), "is_superuser": (None, is_superuser)},
        broker_id=user.broker_id,
    )
    return user


@transaction.atomic
def change_staff(staff, *, by, role=None, password=None, is_active=None, **values):
    """
    Change a staff account: `role` (a group's name), `password`, `is_active`, and contact fields.

    Any of the first three ends its tokens and sessions, for good.

    :raises OperationRefused: ``email_taken``; ``self`` when the actor would deactivate its own account
    """
    staff = lock(staff)
    if is_active is False and by.id == staff.pk:
        raise OperationRefused("self", "Nobody deactivates their own account. Ask another superuser.")
    if "email" in values:
        values["email"] = User.objects.normalize_email(values["email"])
    changes = audit.diff(staff, **values)
    fields = list(changes)
    for name in fields:
        setattr(staff, name, values[name])
    ends_sessions = False
    if is_active is not None and is_active != staff.is_active:
        changes["status"] = (staff.status, "active" if is_active else "inactive")
        staff.is_active = is_active
        fields.append("is_active")
        ends_sessions = True
    if password is not None:
        staff.set_password(password)
        changes["password"] = (None, "changed")
        fields.append("password")
        ends_sessions = True
    if role is not None:
        before = staff.groups.values_list("name", flat=True).first()
        if before != role:
            changes["role"] = (before, role)
            staff.groups.set([Group.objects.get(name=role)])
            ends_sessions = True
    if not changes:
        return staff
    if ends_sessions:
        staff.session_version += 1
        fields.append("session_version")
        ApiSession.objects.filter(user=staff, revoked_at__isnull=True).update(revoked_at=timezone.now())
    try:
        with transaction.atomic():
            save_next_version(staff, *fields)
    except IntegrityError:
        raise OperationRefused("email_taken", "Another account has this address.") from None
    audit.record("staff.changed", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return staff


def _create(email, password, **fields):
    email = User.objects.normalize_email(email)
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, **fields)
    except IntegrityError:
        raise OperationRefused("email_taken", f"There is an account with the address {email} already.") from None
