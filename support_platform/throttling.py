"""
The published limits, counted exactly: django-ratelimit's counters inside DRF's throttles.

A counter is one atomic increment in the cache, in fixed windows, so that N requests at once never pass a limit
of N - 1. (A decorator on the view would run before the token is read and count everyone as one caller.)
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django_ratelimit.core import get_usage
from rest_framework.exceptions import Throttled
from rest_framework.throttling import BaseThrottle

_RATE = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)?([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Usage:
    """What one counter says: `limit` requests per `window` seconds, `count` used, `reset` seconds to go."""

    bucket: str
    key: str
    limit: int
    window: int
    count: int
    reset: int

    @property
    def remaining(self):
        return max(0, self.limit - self.count)

    @property
    def exceeded(self):
        return self.count > self.limit


def parse_rate(rate):
    """
    "120/m" -> (120, 60).

    :raises ValueError: when it is not COUNT/[N](s|m|h|d)
    """
    match = _RATE.fullmatch(rate)
    if not match:
        raise ValueError(f"{rate!r} is not a rate; write COUNT/s, /m, /h or /d, such as 120/m.")
    return int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]


def usages(request, bucket, key, value, *, increment):
    """The counters of one bucket by one key, counted up or only read."""
    found = []
    for rate in settings.RATE_LIMITS[bucket][key]:
        limit, window = parse_rate(rate)
        usage = get_usage(
            request,
            group=f"{bucket}:{key}",
            key=lambda group, request: str(value),
            rate=(limit, window),
            increment=increment,
        )
        # The library says limit 0 when the counter vanished between two commands: closed, not open.
        used = usage["count"] if usage["limit"] else limit + 1
        # A window ends with the second named by time_left, so one second more is always enough.
        found.append(Usage(bucket, key, limit, window, used, max(1, usage["time_left"] + 1)))
    return found


def count(request, bucket, key, value):
    """
    Count this request against a bucket and note the figures for its headers.

    :raises Throttled: with the seconds to wait, once the limit is passed
    """
    http_request = getattr(request, "_request", request)
    found = usages(http_request, bucket, key, value, increment=True)
    noted = http_request.__dict__.setdefault("rate_limits", [])
    noted.extend(found)
    exceeded = [usage for usage in found if usage.exceeded]
    if exceeded:
        raise Throttled(wait=max(usage.reset for usage in exceeded))


def headers(request):
    """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers) of the tightest counter."""
    noted = getattr(getattr(request, "_request", request), "rate_limits", None)
    if not noted:
        return {}
    # With the fewest requests left; of two equal ones the one that stays closed longer.
    tightest = min(noted, key=lambda usage: (usage.remaining, -usage.reset))
    return {
        "RateLimit-Policy": f'"{tightest.bucket}";q={tightest.limit};w={tightest.window}',
        "RateLimit": f'"{tightest.bucket}";r={tightest.remaining};t={tightest.reset}',
    }


def standings(request, own):
    """
    Every published limit with what is left of it.

    `own` maps a key ("staff user") to the caller's value; a limit counted by anything else has no remaining.
    """
    http_request = getattr(request, "_request", request)
    rows = []
    for bucket, keys in settings.RATE_LIMITS.items():
        for key, rates in keys.items():
            known = usages(http_request, bucket, key, own[key], increment=False) if key in own else None
            for index, rate in enumerate(rates):
                limit, window = parse_rate(rate)
                rows.append(
                    {
                        "bucket": bucket,
                        "key": key,
                        "limit": limit,
                        "window_seconds": window,
                        "remaining": known[index].remaining if known else None,
                        "reset_seconds": known[index].reset if known else None,
                    }
                )
    return rows


def client_address(request):
    """
    The address a request comes from: the peer, or what the trusted proxies (TRUSTED_PROXY_HOPS) say.

    Without the zone of a link-local address; an IPv4 address that a dual-stack socket shows as ::ffff:… is IPv4.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXY_HOPS:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= settings.TRUSTED_PROXY_HOPS:
            address = hops[-settings.TRUSTED_PROXY_HOPS]
    try:
        parsed = ip_address(address.partition("%")[0])
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    except ValueError:
        return "0.0.0.0"  # noqa: S104  not an address to bind, but the one bucket of the unknown


def address_key(request):
    """What an address is counted by: an IPv6 address by its /64, which is what one customer holds."""
    address = client_address(request)
    return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address


class CallerThrottle(BaseThrottle):
    """Counts a signed-in caller in the view's bucket: `bucket` of the view, else read or write by method."""

    def allow_request(self, request, view):
        if request.user.is_authenticated:
            default = "read" if request.method in ("GET", "HEAD") else "write"
            count(request, getattr(view, "bucket", None) or default, "staff user", request.user.pk)
        return True


class LoginThrottle(BaseThrottle):
    """Counts a login by address and by e-mail, before any password is looked at."""

    def allow_request(self, request, view):
        count(request, "login", "address", address_key(request))
        email = request.data.get("email")
        if isinstance(email, str) and len(email) <= 254:
            count(request, "login", "e-mail", email.strip().lower())
        return True
