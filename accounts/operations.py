"""
Operations on a trader's account: password reset, contact, status.

Each locks the trader first, and whatever else it touches after that, so that two of them never wait for each other.
"""

from collections import Counter

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from support_platform import audit
from support_platform.exceptions import OperationRefused, OutOfReach
from support_platform.locking import lock, refused_if_taken, save_next_version

from . import links, mail
from .models import OutgoingMail, User

RESET_FIELDS = ("reset_nonce", "reset_expires_at")
EMAIL_FIELDS = ("pending_email", "email_nonce", "email_expires_at")


def _lock_trader(user):
    """
    :raises OutOfReach: for staff: no operation here touches a staff account, whoever asks
    """
    user = lock(user)
    if user.is_staff or user.is_superuser:
        raise OutOfReach
    return user


@transaction.atomic
def reset_password(user, *, by):
    """
    Mail the trader a link to set a new password. Every earlier link dies; the password stays until a new one is set.

    :returns: the trader, whose `reset_expires_at` says how long the link works
    :raises OperationRefused: for an inactive trader
    """
    user = _lock_trader(user)
    if not user.is_active:
        raise OperationRefused(
            "inactive",
            "The account is inactive, and a reset never reactivates it. Activate the account first.",
        )
    now, replaced = timezone.now(), user.reset_expires_at
    if replaced is not None and replaced <= now:
        replaced = None
    user.reset_nonce = links.new_nonce()
    user.reset_expires_at = now + settings.PASSWORD_RESET_LIFETIME
    save_next_version(user, *RESET_FIELDS)
    mail.queue(OutgoingMail.Kind.PASSWORD_RESET, user, to=user.email, nonce=user.reset_nonce)
    audit.record(
        "user.password_reset",
        user,
        by=by,
        owner=user,
        changes={"reset_expires_at": (replaced, user.reset_expires_at)},
    )
    return user


@transaction.atomic
def complete_password_reset(token, password, *, by):
    """
    Set the new password by the mailed link, which is checked again here, under the lock.

    Ends every token and session of the trader and mails a notice. `by` gives the circumstances; the trader is
    the actor.

    :raises OutOfReach: if the link is not (or no longer) good
    """
    user = links.user_of_reset(token, timezone.now(), locked=True)
    if user is None:
        raise OutOfReach
    user.set_password(password)
    _clear_reset(user)
    user.end_sessions(timezone.now())
    save_next_version(user, "password", "session_version", *RESET_FIELDS)
    mail.queue(OutgoingMail.Kind.PASSWORD_CHANGED, user, to=user.email)
    audit.record(
        "user.password_changed",
        user,
        by=_as(user, by),
        owner=user,
        changes={"session_version": (user.session_version - 1, user.session_version)},
    )
    return user


@transaction.atomic
def change_contact(user, *, by, verified=False, **values):
    """
    Change `email` and/or `phone` (E.164, or None).

    The phone takes effect at once. A new address waits in `pending_email` until its owner follows the mailed
    link; with `verified` it takes effect at once. Either way the old address gets a notice. Asking for the address
    that already holds cancels a change that waits.

    :raises OperationRefused: ``email_taken``, or ``inactive`` for a new address of an inactive trader
    """
    user = _lock_trader(user)
    changes, fields = {}, []
    if "phone" in values and values["phone"] != user.phone:
        changes["phone"] = (user.phone, values["phone"])
        user.phone = values["phone"]
        fields.append("phone")
    if "email" in values:
        email = User.objects.normalize_email(values["email"])
        if email != user.email and _is_taken(email, but=user):
            raise OperationRefused("email_taken", "Another account has this address. Ask for a different one.")
        if email == user.email:
            if user.pending_email:
                changes["pending_email"] = (user.pending_email, None)
                _clear_email_change(user)
                fields += EMAIL_FIELDS
        elif verified:
            changes["email"] = (user.email, email)
            if user.pending_email:
                changes["pending_email"] = (user.pending_email, None)
            mail.queue(OutgoingMail.Kind.EMAIL_CHANGE_NOTICE, user, to=user.email)
            fields += _switch_email(user, email)
        elif email != user.pending_email or not links.email_change_is_open(user, timezone.now()):
            if not user.is_active:
                raise OperationRefused("inactive", "The account is inactive. Activate it, then change the address.")
            changes["pending_email"] = (user.pending_email, email)
            user.pending_email = email
            user.email_nonce = links.new_nonce()
            user.email_expires_at = timezone.now() + settings.EMAIL_CONFIRMATION_LIFETIME
            fields += EMAIL_FIELDS
            mail.queue(OutgoingMail.Kind.EMAIL_CONFIRMATION, user, to=email, nonce=user.email_nonce)
            mail.queue(OutgoingMail.Kind.EMAIL_CHANGE_NOTICE, user, to=user.email, nonce=user.email_nonce)
    if changes:
        _save_contact(user, fields)
        audit.record("user.contact_changed", user, by=by, owner=user, changes=changes)
    return user


@transaction.atomic
def confirm_email(token, *, by):
    """
    Make the pending address the address, by the link that was mailed to it.

    :raises OutOfReach: if the link is not (or no longer) good
    :raises OperationRefused: ``email_taken``, if another account took the address meanwhile
    """
    user = links.user_of_email_change(token, timezone.now(), locked=True)
    if user is None:
        raise OutOfReach
    changes = {"email": (user.email, user.pending_email), "pending_email": (user.pending_email, None)}
    _save_contact(user, _switch_email(user, user.pending_email))
    audit.record("user.email_confirmed", user, by=_as(user, by), owner=user, changes=changes)
    return user


@transaction.atomic
def cancel_email_change(user, *, by):
    """Forget the pending address; its link is dead. Nothing pending: nothing changes."""
    user = _lock_trader(user)
    if user.pending_email is None:
        return user
    changes = {"pending_email": (user.pending_email, None)}
    _clear_email_change(user)
    save_next_version(user, *EMAIL_FIELDS)
    audit.record("user.email_change_cancelled", user, by=by, owner=user, changes=changes)
    return user


@transaction.atomic
def set_status(user, status, *, by, deployments="leave"):
    """
    Activate or deactivate a trader.

    Deactivation ends every token, session and pending link at once, and treats the deployments as asked: leave,
    pause (the active ones) or stop (the paused ones too). Asked of a trader who is inactive already, only the
    deployments are treated. Activation revives none of it.

    :returns: (the trader, counts: sessions_revoked, deployments_paused, deployments_stopped)
    """
    user = _lock_trader(user)
    changes, fields, action, revoked = {}, [], None, 0
    if user.status != status:
        changes["status"] = (user.status, status)
        user.is_active = status == User.Status.ACTIVE
        action = "user.activated" if user.is_active else "user.deactivated"
        fields.append("is_active")
        if not user.is_active:
            if user.pending_email:
                changes["pending_email"] = (user.pending_email, None)
            _clear_reset(user)
            _clear_email_change(user)
            revoked = user.end_sessions(timezone.now())
            fields += ["session_version", *RESET_FIELDS, *EMAIL_FIELDS]
        save_next_version(user, *fields)
    treated = _treat_deployments(user, deployments) if not user.is_active else {}
    if treated:
        changes["deployments"] = audit.diff_of_rows(treated)
    moved = Counter(after for _, after in treated.values())
    counts = {
        "sessions_revoked": revoked,
        "deployments_paused": moved["paused"],
        "deployments_stopped": moved["stopped"],
    }
    if changes:
        audit.record(action or "user.deployments_treated", user, by=by, owner=user, changes=changes)
    return user, counts


def _treat_deployments(user, treatment):
    """Pause or stop the trader's deployments; the app that has them stands on this one, so settings name it."""
    return import_string(settings.DEPLOYMENT_TREATMENT)(user, treatment)


def _as(user, by):
    """The trader as actor, in the circumstances of `by`."""
    return audit.Actor.of(user, request_id=by.request_id, source=by.source, ip=by.ip)


def _is_taken(email, *, but):
    return User.objects.filter(email=email).exclude(pk=but.pk).exists()


def _switch_email(user, email):
    user.email = email
    _clear_email_change(user)
    _clear_reset(user)  # a link that was mailed to the old address must not open the account
    return ["email", *EMAIL_FIELDS, *RESET_FIELDS]


def _save_contact(user, fields):
    """Two accounts may ask for one address at the same moment; the constraint decides, and this says so."""
    with refused_if_taken("email_taken", "Another account has just taken this address. Ask for a different one."):
        save_next_version(user, *fields)


def _clear_reset(user):
    user.reset_nonce, user.reset_expires_at = "", None


def _clear_email_change(user):
    user.pending_email, user.email_nonce, user.email_expires_at = None, "", None
