"""
Making and reading bearer tokens. Signing is simplejwt's; whether a token is still good is the database's word:
its session lives, its account is active staff, and its session_version is the account's.

New tokens are signed with JWT_SIGNING_KEY; one that JWT_SIGNING_KEY_FALLBACKS signed is still read.
"""

import time
import uuid
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from rest_framework_simplejwt import state
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from support_platform.statements import Given, Statement

from . import queries
from .models import ApiSession, User

# A token that was verified is not verified anew while it is among the last so many: its signature stays as good as it
# was. Whether it has expired, and whether its session still lives, is asked every time.
KEPT = 1000

TYPES = {"access": AccessToken, "refresh": RefreshToken}


def issue(kind, session, *, lifetime=None):
    """
    A signed token of a session.

    :returns: (the token, its id, when it expires)
    """
    token = TYPES[kind]()
    if lifetime is not None:
        token.set_exp(lifetime=lifetime)
    token["user_id"] = session.user_id
    token["session"] = str(session.pk)
    token["session_version"] = session.session_version
    return str(token), token["jti"], token.current_time + (lifetime or token.lifetime)


def read(raw, *, kind):
    """
    The claims of a token that we signed and that has not expired, as (session id, user id, session_version,
    token id); None for anything else. A forged claim may be of any type, so each is checked.
    """
    try:
        text = raw.decode("ascii") if isinstance(raw, bytes) else raw
        claims = _verified(text, kind, state.token_backend, tuple(settings.JWT_SIGNING_KEY_FALLBACKS))
        if claims["exp"] <= time.time():
            return None
        session_id = uuid.UUID(claims["session"])
        user_id, session_version, token_id = claims["user_id"], claims["session_version"], claims["jti"]
    except Exception:
        # PyJWT, simplejwt, base64, JSON and datetime each fail in their own way; all of it is one refusal.
        return None
    if type(user_id) is not int or type(session_version) is not int or not isinstance(token_id, str):
        return None
    if not (0 < user_id < 2**63 and 0 < session_version < 2**31):
        return None
    return session_id, user_id, session_version, token_id


@lru_cache(maxsize=KEPT)
def _verified(raw, kind, backend, earlier_keys):
    """
    The token, if one of our keys (the backend's or an earlier one) signed it, it is of this kind, and had not expired
    when it was first read.

    :raises TokenError: with what the current key says of it, if none did
    """
    try:
        return TYPES[kind](raw)
    except TokenError:
        for key in earlier_keys:
            earlier = type("Earlier", (TYPES[kind],), {"token_backend": TokenBackend("HS256", key)})
            with suppress(TokenError):
                return earlier(raw)
        raise


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
