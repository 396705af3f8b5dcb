"""
Reading the environment strictly: what is missing, malformed, weak or misspelt is named, all of it at once, and nothing
starts. A value is shown only where it cannot be a secret.

Stands alone: the settings and the server's configuration are read with it.
"""

import difflib
import os
import re
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# A variable that begins like this is ours, and one that nobody reads is a mistyped name.
PREFIXES = (
    *("RATE_LIMIT_", "PASSWORD_RESET_", "EMAIL_CONFIRMATION_", "TRUSTED_PROXY_", "AUDIT_REASON_", "MAIL_RETRY_"),
    *("SECRET_KEY_", "JWT_SIGNING_", "SECURE_SSL_", "SECURE_HSTS_", "AUDIT_KEY_", "MAIL_GIVE_", "PURGE_AFTER_"),
    "CONSOLE_",
)
KEY_LENGTH = 50
_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})?([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_rate(rate):
    """
    "120/m" -> (120, 60).

    :raises ValueError: when it is not COUNT/[N](s|m|h|d)
    """
    match = _RATE.fullmatch(rate)
    if not match:
        raise ValueError(f"{rate!r} is not a rate; write COUNT/s, /m, /h or /d, such as 120/m.")
    return int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]


def is_weak(key):
    """Too short, too uniform, or the one of a project's template: as Django's own deployment check judges it."""
    return len(key) < KEY_LENGTH or len(set(key)) < 5 or key.startswith("django-insecure-")


class Environment:
    """Each reading takes a variable's name and its default; it notes what is wrong and goes on with the default."""

    def __init__(self):
        self.variables = os.environ
        self.known = set()
        self.complaints = []

    def refuse(self, wrong, complaint):
        if wrong:
            self.complaints.append(complaint)

    def check(self):
        """
        What all readings came to.

        :raises ImproperlyConfigured: with one line for each complaint
        """
        for name in sorted(self.variables):
            if name.startswith(PREFIXES) and name not in self.known:
                meant = difflib.get_close_matches(name, self.known, 1)
                self.complaints.append(
                    f"{name} is not a setting{f'; {meant[0]} is' if meant else ''}. docs/settings.md lists them."
                )
        if self.complaints:
            raise ImproperlyConfigured("\n".join(self.complaints))

    def require(self, *names):
        """
        :raises ImproperlyConfigured: at once, naming those that are missing or empty
        """
        missing = [name for name in names if not self.text(name)]
        if missing:
            raise ImproperlyConfigured(f"ENVIRONMENT=production needs these variables: {', '.join(missing)}.")

    def text(self, name, default=""):
        """An empty variable is one that is not set."""
        self.known.add(name)
        return self.variables.get(name, "").strip() or default

    def texts(self, name, default=()):
        return [part.strip() for part in self.text(name).split(",") if part.strip()] or list(default)

    def choice(self, name, default, choices):
        given = self.variables.get(name, default)
        self.known.add(name)
        if given not in choices:
            self.complaints.append(f"{name} is {given!r}; it must be {' or '.join(map(repr, choices))}.")
            return default
        return given

    def switch(self, name, default):
        self.known.add(name)
        if name not in self.variables:
            return default
        given = self.variables[name]
        self.refuse(given.strip().lower() not in SWITCH, f"{name} is {given!r}; it must be 'true' or 'false'.")
        return SWITCH.get(given.strip().lower(), default)

    def number(self, name, default, minimum, maximum):
        self.known.add(name)
        given = self.variables.get(name, str(default)).strip()
        if given.isascii() and given.isdigit() and len(given) < 12 and minimum <= int(given) <= maximum:
            return int(given)
        self.complaints.append(f"{name} is {given!r}; it must be a whole number from {minimum} to {maximum}.")
        return default

    def rates(self, name, default):
        self.known.add(name)
        if name not in self.variables:
            return default
        given = [rate.strip() for rate in self.variables[name].split(",")]
        for rate in given:
            try:
                parse_rate(rate)
            except ValueError as error:
                self.complaints.append(f"{name}: {error}")
                return default
        return given

    def address(self, name, default, schemes, read=None):
        """
        A URL that begins with one of `schemes`, or what `read` makes of it. It can hold a password, so no complaint
        shows it.
        """
        given = self.text(name)
        if not given:
            return read(default) if read else default
        try:
            if given.partition("://")[0] not in schemes or not (read or urlsplit(given).port != 0):
                raise ValueError(name)
            return read(given) if read else given
        except (ValueError, KeyError, ImproperlyConfigured):
            begins = ", ".join(f"{scheme}://" for scheme in schemes)
            self.complaints.append(
                f"{name} cannot be read. It begins with one of {begins}; special characters in a password are"
                " percent-encoded."
            )
            return read(default) if read else default


DATABASE_URLS = ("postgres", "postgresql", "sqlite")
CACHE_URLS = ("redis", "rediss")
MAIL_URLS = ("smtp", "smtps", "smtp+tls", "smtp+ssl", "consolemail", "filemail")
read_database = environ.Env.db_url_config
read_mail = environ.Env.email_url_config
