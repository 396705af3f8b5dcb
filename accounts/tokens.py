"""
Making and reading bearer tokens. Whether a token is still good is the database's word: its session lives, its account
is active staff, and its session_version is the account's.

New tokens are signed with JWT_SIGNING_KEY; one that JWT_SIGNING_KEY_FALLBACKS signed is still read.
"""

import base64
import hmac
import json
import time
import uuid
from contextlib import suppress
from typing import NamedTuple

import jwt
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from support_platform.statements import Given, Statement

from . import queries
from .models import ApiSession, User

_HEAD = jwt.encode({}, "a key as long as is asked for: 32", algorithm="HS256").partition(".")[0].encode()


def issue(kind, session, *, lifetime=None):
    """
    A signed token of a session.

    :returns: (the token, its id, when it expires)
    """
    now = timezone.now()
    ends = now + (lifetime or settings.TOKEN_LIFETIMES[kind])
    claims = {"token_type": kind, "iat": int(now.timestamp()), "exp": int(ends.timestamp()), "jti": uuid.uuid4().hex}
    claims |= {"user_id": session.user_id, "session": str(session.pk), "session_version": session.session_version}
    return jwt.encode(claims, settings.JWT_SIGNING_KEY, algorithm="HS256"), claims["jti"], ends


def read(raw, *, kind):
    """
    The claims of a token that we signed and that has not expired, as (session id, user id, session_version,
    token id); None for anything else. A forged claim may be of any type, so each is checked.
    """
    try:
        claims = _verified(raw if isinstance(raw, bytes) else raw.encode("ascii"))
        session_id, token_id = uuid.UUID(claims["session"]), claims["jti"]
        user_id, session_version, made, ends = (claims[name] for name in ("user_id", "session_version", "iat", "exp"))
        is_of_kind = claims["token_type"] == kind
    except Exception:
        # PyJWT, base64, JSON and UUID each fail in their own way; all of it is one refusal.
        return None
    if not all(type(number) is int for number in (user_id, session_version, made, ends)):
        return None
    if not (0 < user_id < 2**63 and 0 < session_version < 2**31 and made <= time.time() < ends < 2**40):
        return None
    return (session_id, user_id, session_version, token_id) if is_of_kind and isinstance(token_id, str) else None


def _verified(raw):
    """
    What a token says, if one of our keys signed it. One with any other head than ours is left to PyJWT to judge.

    :raises PyJWTError: if none did
    """
    signed, _, seal = raw.rpartition(b".")
    head, _, payload = signed.partition(b".")
    keys = [settings.JWT_SIGNING_KEY, *settings.JWT_SIGNING_KEY_FALLBACKS]
    if head == _HEAD and any(hmac.compare_digest(_seal(signed, key), seal) for key in keys):
        return json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    for key in keys[:-1]:
        with suppress(jwt.PyJWTError):
            return jwt.decode(raw, key, algorithms=["HS256"])
    return jwt.decode(raw, keys[-1], algorithms=["HS256"])


def _seal(signed, key):
    """HMAC-SHA256 as RFC 7515 writes it."""
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), signed, "sha256")).rstrip(b"=")


# What requests ask of their caller; the rest is read when somebody asks for it.
_CALLER = ("id", "version", "is_superuser", "email", "broker_id", "is_staff", "is_active", "session_version")


class LiveSession(NamedTuple):
    """A session that is good for this request."""

    pk: uuid.UUID
    user: User


def _of_claims():
    claimed = {name: Given(name, ApiSession._meta.get_field(name)) for name in ("id", "user_id", "session_version")}
    return ApiSession.objects.live(Given("now", ApiSession._meta.get_field("expires_at"))).filter(**claimed)


_LIVE = Statement(_of_claims, (*(f"user__{name}" for name in _CALLER), *queries.rights_of("user_id")))


def live_session(raw, *, kind, now):
    """
    The LiveSession a token belongs to; None when the token is not good (any more).

    One statement for session, account and rights: it runs on every request, because what is ended is ended at once.
    """
    claims = read(raw, kind=kind)
    if claims is None:
        return None
    session_id, user_id, session_version, _ = claims
    row = _LIVE.first(id=session_id, user_id=user_id, session_version=session_version, now=now)
    if row is None:
        return None
    *columns, own, of_groups = row
    user = User.from_db(DEFAULT_DB_ALIAS, _CALLER, columns)
    if not user.is_superuser:
        user._perm_cache = {*(own or "").split(), *(of_groups or "").split()}  # where has_perm looks first
    return LiveSession(session_id, user)


def session_of_refresh(raw):
    """The session a refresh token of ours belongs to, ended or not; None for any other token."""
    claims = read(raw, kind="refresh")
    if claims is None:
        return None
    return ApiSession.objects.filter(pk=claims[0], user_id=claims[1]).select_related("user").first()
