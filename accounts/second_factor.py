"""
The secrets of the second factor: how they are made, kept and checked. docs/decisions/0022-second-factor.md says why.

A device's key must be had in the clear to check a code, so it is sealed with the server's SECRET_KEY: a copy of the
database alone makes no code. A recovery code is 80 random bits, so its plain hash is nothing to guess at.
"""

import hashlib
import re
import secrets
import time
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

KEY_BYTES, SALT_BYTES, MARK_BYTES = 20, 16, 16
RECOVERY_CODES = 10
ISSUER = "Support platform"
STEP_SECONDS = 30
# How many steps a device's clock may be off, before and after: the code shown before and after count, too.
TOLERANCE = 1
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


def new_key():
    return secrets.token_bytes(KEY_BYTES)


def seal(key, user_id):
    """
    The key as the database keeps it: readable only with SECRET_KEY, and only as this account's.

    A fresh salt makes a pad that hides this one key, and the mark tells whether, and under which SECRET_KEY, the
    whole was made here.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    hidden = _masked(key, salt, user_id, settings.SECRET_KEY)
    return urlsafe_b64encode(salt + hidden + _mark(salt + hidden, user_id, settings.SECRET_KEY)).decode()


def unseal(sealed, user_id):
    """
    :returns: (the key, whether the present SECRET_KEY sealed it), or (None, False) if none of our keys did
    """
    raw = urlsafe_b64decode(sealed)
    body, mark = raw[:-MARK_BYTES], raw[-MARK_BYTES:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if constant_time_compare(mark, _mark(body, user_id, secret)):
            key = _masked(body[SALT_BYTES:], body[:SALT_BYTES], user_id, secret)
            return key, secret == settings.SECRET_KEY
    return None, False


def _masked(key, salt, user_id, secret):
    pad = _hmac("accounts.second_factor.pad", salt, user_id, secret)
    return bytes(a ^ b for a, b in zip(key, pad, strict=False))


def _mark(body, user_id, secret):
    return _hmac("accounts.second_factor.mark", body, user_id, secret)[:MARK_BYTES]


def _hmac(purpose, value, user_id, secret):
    return salted_hmac(purpose, b"%d:%s" % (user_id, value), secret=secret, algorithm="sha256").digest()


def step_of(code, key, *, drift=0, after=-1):
    """
    Which step of 30 seconds the code is of, as the device counts them; None if it is not one of now (RFC 6238), or of
    no later step than `after`: a code that was used, and all before it, are used up.

    :returns: (the step, how many steps the device's clock is off), or None
    """
    from django_otp.oath import TOTP  # at the first code, not at every start

    if not _CODE.fullmatch(code):
        return None
    totp = TOTP(key, step=STEP_SECONDS, drift=drift)
    totp.time = time.time()
    return (totp.t(), totp.drift) if totp.verify(int(code), tolerance=TOLERANCE, min_t=after + 1) else None


def new_recovery_code():
    """Four groups of four letters and digits, without those that are read as another."""
    letters = b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def digest_of(recovery_code):
    """What is kept of a recovery code. However it was typed: with or without dashes and spaces, in any case."""
    plain = re.sub(r"[\s-]", "", recovery_code).lower()
    return hashlib.sha256(plain.encode()).hexdigest()


def as_text(key):
    """The key as people type it into their app."""
    letters = b32encode(key).decode()
    return " ".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def address_of(key, email):
    """What the QR code holds (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    told = {"secret": b32encode(key).decode(), "issuer": ISSUER, "digits": 6, "period": STEP_SECONDS}
    return f"otpauth://totp/{quote(f'{ISSUER}:{email}')}?{urlencode(told, quote_via=quote)}"


def picture_of(address):
    """The QR code as an SVG element, without a file, a script or a style."""
    from qrcode import QRCode
    from qrcode.image.svg import SvgPathImage

    code = QRCode(border=2, image_factory=SvgPathImage)
    code.add_data(address)
    return code.make_image().to_string(encoding="unicode")
