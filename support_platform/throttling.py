"""
The published limits, counted exactly: django-ratelimit's counters inside DRF's throttles.

A counter is one atomic increment in the cache, in fixed windows, so that N requests at once never pass a limit
of N - 1. (A decorator on the view would run before the token is read and count everyone as one caller.)

While the cache is away, what may do harm uncounted (a login, a reset, a write) is refused, and signed-in reads are
counted by this process alone, with its share of the limit.
"""

import logging
import re
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django_ratelimit.core import get_usage
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework.exceptions import Throttled
from rest_framework.throttling import BaseThrottle

from . import logs, refusals
from .environment import parse_rate
from .exceptions import Unavailable

# Served while the cache is away: what a signed-in caller reads.
OPEN_BUCKETS = ("read", "analytics")

_WITH_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([0-9.]+))(?::[0-9]{1,5})?")


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


class Cache:
    """
    The shared counters, or the knowledge that they are away.

    A cache that hangs costs a request its timeout. So for a second after it failed nobody asks it, and then one
    request alone tries whether it is back.
    """

    PAUSE = 1.0

    def __init__(self):
        self._lock = threading.Lock()
        self._ask_again_at = None  # None: it is there

    def usage(self, request, bucket, key, value, limit, window, *, increment):
        """:raises Unavailable: if the counter cannot be read or counted up, for whatever reason"""
        if not self._may_be_asked():
            raise Unavailable("The cache is away.")
        try:
            usage = get_usage(
                request,
                group=f"{bucket}:{key}",
                key=lambda group, request: str(value),
                rate=(limit, window),
                increment=increment,
            )
            if type(usage["count"]) is not int:
                raise TypeError("the counter holds something else")
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            self._ask_again_at = time.monotonic() + self.PAUSE
            raise self._unavailable(error) from error
        except Exception as error:
            # It answers, but not with a number: full, read-only, or the key holds something else.
            self._ask_again_at = None
            raise self._unavailable(error) from error
        self._ask_again_at = None
        # The library says limit 0 when the counter vanished between two commands: closed, not open.
        used = usage["count"] if usage["limit"] else limit + 1
        # A window ends with the second named by time_left, so one second more is always enough.
        return Usage(bucket, key, limit, window, used, max(1, usage["time_left"] + 1))

    def note_refusal(self, bucket, broker_id):
        """For the console's home page. While the cache is away it goes unnoted, and nothing waits for it."""
        if not self._may_be_asked():
            return
        try:
            refusals.count_up(bucket, broker_id)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._ask_again_at = time.monotonic() + self.PAUSE
        except Exception as error:
            self._ask_again_at = None
            logs.event("refusal_not_counted", level=logging.WARNING, error=type(error).__name__)
        else:
            self._ask_again_at = None

    def _may_be_asked(self):
        with self._lock:
            now = time.monotonic()
            if self._ask_again_at is not None:
                if now < self._ask_again_at:
                    return False
                self._ask_again_at = now + self.PAUSE  # this request tries; the others go on without
            return True

    @staticmethod
    def _unavailable(error):
        logs.event("cache_away", level=logging.ERROR, error=type(error).__name__)
        return Unavailable("The cache does not count.")


class OwnCounters:
    """Counters of this process alone, in fixed windows, for reads while the cache is away."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts = {}  # (when its window ends, bucket, key, value, window) -> requests

    def usage(self, bucket, key, value, limit, window, *, increment):
        """As of the cache, with this process's share of the limit: rounded up, so that nobody is shut out."""
        now = int(time.time())
        ends = now - now % window + window
        name = (ends, bucket, key, value, window)
        with self._lock:
            self._counts = {other: count for other, count in self._counts.items() if other[0] > now}
            used = self._counts.get(name, 0) + increment
            if increment:
                self._counts[name] = used
        return Usage(bucket, key, -(-limit // settings.WORKERS), window, used, ends - now)


_shared, _own = Cache(), OwnCounters()


def usages(request, bucket, key, value, *, increment):
    """
    The counters of one bucket by one key, counted up or only read.

    :raises Unavailable: if the cache is away and the bucket is one that is closed then
    """
    found = []
    for rate in settings.RATE_LIMITS[bucket][key]:
        counter = (bucket, key, value, *parse_rate(rate))
        try:
            found.append(_shared.usage(request, *counter, increment=increment))
        except Unavailable:
            if bucket not in OPEN_BUCKETS:
                raise
            found.append(_own.usage(*counter, increment=increment))
    return found


def count(request, bucket, key, value, *, then=()):
    """
    Count this request against a bucket and note the figures for its headers.

    `then` are the (bucket, key, value) that a request which passes is counted by next: the wait that is told covers
    them, so that it is enough.

    :raises Throttled: with the seconds to wait, once the limit is passed
    :raises Unavailable: if the cache is away and the bucket is one that is closed then
    """
    http_request = getattr(request, "_request", request)
    found = usages(http_request, bucket, key, value, increment=True)
    noted = http_request.__dict__.setdefault("rate_limits", [])
    noted.extend(found)
    if any(usage.exceeded for usage in found):
        logs.event("rate_limited", level=logging.WARNING, bucket=bucket, key=key, ip=client_address(http_request))
        # Whose a login is, nobody knows yet; any other is counted once the caller is known.
        caller = None if bucket == "login" else getattr(request, "user", None)
        _shared.note_refusal(bucket, getattr(caller, "broker_id", None))
        next_ones = [usage for other in then for usage in usages(http_request, *other, increment=False)]
        raise Throttled(wait=max(usage.reset for usage in (*noted, *next_ones) if not usage.remaining))


def count_login(request, email):
    """Count a login by its address and by the e-mail that was typed, whatever that was."""
    by_email = []
    if isinstance(email, str) and len(email) <= 254:
        by_email = [("login", "e-mail", email.strip().lower())]
    count(request, "login", "address", address_key(request), then=by_email)
    for counter in by_email:
        count(request, *counter)


def count_caller(request, bucket):
    """Count a signed-in member of staff."""
    count(request, bucket, "staff user", request.user.pk)


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

    `own` maps a key ("staff user") to the caller's value; a limit counted by anything else has no remaining, nor has
    one that is closed because the cache is away.
    """
    http_request = getattr(request, "_request", request)
    rows = []
    for bucket, keys in settings.RATE_LIMITS.items():
        for key, rates in keys.items():
            known = _known(http_request, bucket, key, own)
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


def _known(request, bucket, key, own):
    try:
        return usages(request, bucket, key, own[key], increment=False) if key in own else None
    except Unavailable:
        return None


def client_address(request):
    """
    The address a request comes from: the peer, or what the trusted proxies (TRUSTED_PROXY_HOPS) say.

    Without the zone of a link-local address; an IPv4 address that a dual-stack socket shows as ::ffff:… is IPv4.
    A proxy may add a port. The header `Forwarded` is not read: a proxy that sets one passes the other on unchecked.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXY_HOPS:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= settings.TRUSTED_PROXY_HOPS:
            address = _without_port(hops[-settings.TRUSTED_PROXY_HOPS])
    return _plain_address(address)


@lru_cache(maxsize=1024)
def _plain_address(address):
    try:
        parsed = ip_address(address.partition("%")[0])
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    except ValueError:
        return "0.0.0.0"  # noqa: S104  not an address to bind, but the one bucket of the unknown


def _without_port(hop):
    match = _WITH_PORT.fullmatch(hop)
    return (match[1] or match[2] or "") if match else hop


def address_key(request):
    """What an address is counted by: an IPv6 address by its /64, which is what one customer holds."""
    address = client_address(request)
    return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address


class CallerThrottle(BaseThrottle):
    """Counts a signed-in caller in the view's bucket: `bucket` of the view, else read or write by method."""

    def allow_request(self, request, view):
        if request.user.is_authenticated:
            default = "read" if request.method in ("GET", "HEAD") else "write"
            count_caller(request, getattr(view, "bucket", None) or default)
        return True


class LoginThrottle(BaseThrottle):
    """Counts a login by address and by e-mail, before any password is looked at."""

    def allow_request(self, request, view):
        count_login(request, request.data.get("email"))
        return True
