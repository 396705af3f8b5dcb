"""
The two links a trader gets by mail: to set a new password, and to confirm a new address.

A link is a signature over (user, nonce). The nonce stands in the account and is replaced by each newer link and
cleared by use, by a change of the address and by deactivation; the signing key stands in the settings. So only
the newest link works, once, and neither the database nor a mail queue alone is enough to make one.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from .models import User

RESET, EMAIL = "accounts.reset-link", "accounts.email-link"


def new_nonce():
    return secrets.token_urlsafe(32)


def reset_is_open(user, now):
    return bool(user.reset_nonce) and user.is_active and not user.is_staff and now < user.reset_expires_at


def email_change_is_open(user, now):
    waiting = bool(user.email_nonce) and bool(user.pending_email)
    return waiting and user.is_active and not user.is_staff and now < user.email_expires_at


def is_genuine(token, purpose):
    """Whether we signed it for this purpose (RESET, EMAIL); whether it still works only the account can say."""
    return _load(purpose, token) is not None


def reset_link(user):
    return settings.PUBLIC_URL + reverse("password-reset", args=[_token(RESET, user.pk, user.reset_nonce)])


def email_link(user):
    return settings.PUBLIC_URL + reverse("email-confirmation", args=[_token(EMAIL, user.pk, user.email_nonce)])


def user_of_reset(token, now, *, locked=False):
    """The trader whose open reset link this is, or None."""
    user, nonce = _read(RESET, token, locked)
    return user if user and reset_is_open(user, now) and constant_time_compare(nonce, user.reset_nonce) else None


def user_of_email_change(token, now, *, locked=False):
    """The trader whose open confirmation link this is, or None."""
    user, nonce = _read(EMAIL, token, locked)
    return user if user and email_change_is_open(user, now) and constant_time_compare(nonce, user.email_nonce) else None


def _token(salt, user_id, nonce):
    return signing.dumps([user_id, nonce], salt=salt)


def _read(salt, token, locked):
    loaded = _load(salt, token)
    if loaded is None:
        return None, None
    user_id, nonce = loaded
    users = User.objects.select_for_update() if locked else User.objects
    return users.filter(pk=user_id).first(), nonce


def _load(salt, token):
    try:
        user_id, nonce = signing.loads(token, salt=salt)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return user_id, nonce
