"""Operations on API sessions: log in, rotate, revoke, service tokens."""

import logging
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from support_platform import audit, logs
from support_platform.audit import Actor
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach
from support_platform.locking import lock, save_next_version

from . import queries, tokens
from .models import ApiSession, User

MAX_SERVICE_DAYS = 3650


@transaction.atomic
def log_in(user, *, by):
    """
    Open a session for a staff member whose password was just checked.

    :returns: {"access", "refresh"}
    """
    now = timezone.now()
    session = ApiSession(pk=uuid.uuid4(), user=user, session_version=user.session_version)
    pair = _issue_pair(session)
    session.created_at = now
    session.save(force_insert=True)
    User.objects.filter(pk=user.pk).update(last_login=now)
    audit.record("user.logged_in", user, by=by, changes={"session": (None, str(session.pk))}, broker_id=user.broker_id)
    return pair


def refresh(raw, *, by):
    """
    Exchange a refresh token for a new pair; the old one is dead from then on.

    Of any number of simultaneous uses of one token exactly one succeeds. Each other one, and any later use, is
    taken for theft and ends the whole session, the new pair included.

    :returns: {"access", "refresh"}, or None when the token is not good
    """
    claims = tokens.read(raw, kind="refresh")
    if claims is None:
        return None
    session_id, user_id, session_version, token_id = claims
    with transaction.atomic():
        session = (
            ApiSession.objects.live(timezone.now())
            .filter(pk=session_id, user_id=user_id, session_version=session_version)
            .select_for_update(of=("self",))
            .first()
        )
        if session is None:
            return None
        if session.refresh_id != token_id:
            actor = Actor.of(session.user, request_id=by.request_id, source=by.source, ip=by.ip)
            logs.event("token_reuse", level=logging.WARNING, actor_id=session.user_id, session=session.pk, ip=by.ip)
            _revoke(session, "session.reuse_detected", by=actor)
            return None
        pair = _issue_pair(session)
        session.save(update_fields=["refresh_id", "expires_at"])
        return pair


@transaction.atomic
def revoke_session(session, *, by):
    """End a session: its access and refresh tokens are dead at once. Ending an ended one changes nothing."""
    session = ApiSession.objects.select_for_update().get(pk=session.pk)
    if session.revoked_at is None:
        _revoke(session, "session.revoked", by=by)
    return session


@transaction.atomic
def end_sessions(staff, *, by):
    """
    End every session of a staff account at once and for good: the console's in all browsers, the API's, and its
    service tokens.

    :returns: (the account, how many API sessions and service tokens were open)
    :raises OutOfReach: for a trader
    :raises PermissionDenied: unless the actor is a superuser or the system, or ends its own
    """
    staff = lock(staff)
    if not staff.is_staff:
        raise OutOfReach
    if by.id != staff.pk:
        queries.require_superuser(by)
    ended = staff.end_sessions(timezone.now())
    save_next_version(staff, "session_version")
    changes = {"api_sessions": (ended, 0)}
    audit.record("staff.sessions_ended", staff, by=by, changes=changes, broker_id=staff.broker_id)
    return staff, ended


@transaction.atomic
def create_service_token(user, days, *, by):
    """
    A long-lived access token of a staff account, which `revoke_session` or any change of the account's password,
    status or role ends.

    :returns: (the token, the session)
    :raises InvalidChange: unless `days` is 1 to 3650
    :raises OperationRefused: ``not_staff``, ``inactive``
    """
    if not 1 <= days <= MAX_SERVICE_DAYS:
        raise InvalidChange(days=("invalid", f"Give a number of days from 1 to {MAX_SERVICE_DAYS}."))
    user = lock(user)
    if not user.is_staff:
        raise OperationRefused("not_staff", f"{user.email} is a trader; only staff accounts have tokens.")
    if not user.is_active:
        # A token made now would come alive with a later reactivation.
        raise OperationRefused("inactive", f"{user.email} is inactive. Activate the account first.")
    lifetime = timedelta(days=days)
    session = ApiSession(pk=uuid.uuid4(), user=user, session_version=user.session_version, kind=ApiSession.Kind.SERVICE)
    token, _, session.expires_at = tokens.issue("access", session, lifetime=lifetime)
    session.save(force_insert=True)
    changes = {"session": (None, str(session.pk)), "expires_at": (None, session.expires_at)}
    audit.record("user.service_token_created", user, by=by, changes=changes, broker_id=user.broker_id)
    return token, session


def _issue_pair(session):
    access, _, _ = tokens.issue("access", session)
    raw, session.refresh_id, session.expires_at = tokens.issue("refresh", session)
    return {"access": access, "refresh": raw}


def _revoke(session, action, *, by):
    session.revoked_at = timezone.now()
    session.save(update_fields=["revoked_at"])
    audit.record(
        action,
        session.user,
        by=by,
        changes={"session": (str(session.pk), None)},
        broker_id=session.user.broker_id,
    )
