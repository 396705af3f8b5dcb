"""Instants: RFC 3339 with an offset in, UTC with Z out. A time without an offset is nobody's time: refused."""

import re
from datetime import UTC, datetime, timedelta

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

EXPECTED = "Give an instant with its offset, such as 2026-01-31T09:30:00Z."


def parse_instant(text):
    """
    :raises ValueError: when it is not an RFC 3339 instant with an offset between the years 1 and 9999
    """
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError(EXPECTED)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(EXPECTED) from None


def format_instant(value):
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_window(text):
    """
    A trailing window such as 15m, 24h or 30d.

    :raises ValueError: when it is none, or longer than 3,660 days
    """
    match = _WINDOW.fullmatch(text)
    window = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if window is None or window > timedelta(days=3660):
        raise ValueError("Give a number of minutes, hours or days up to 3660d, such as 15m, 24h or 30d.")
    return window
