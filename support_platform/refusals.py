"""
How many requests the limits refused, by bucket and hour, kept in the cache for a day: for whoever asks in the console.

What cannot be counted is not: a refusal costs one more step of the cache, and never fails because of it.
"""

import time

from django.conf import settings
from django.core.cache import cache

HOURS = 24
_HOUR = 3600
ALL = "all"


def count_up(bucket, broker_id):
    """:raises Exception: whatever the cache raises"""
    hour = int(time.time()) // _HOUR
    for broker in {ALL, broker_id or ALL}:
        name = _name(bucket, broker, hour)
        if not cache.add(name, 1, (HOURS + 1) * _HOUR):
            cache.incr(name)


def of_last_day(broker_id):
    """
    {bucket: how many requests were refused in the last 24 hours} of the staff of a broker; of all callers for None.

    :raises Exception: whatever the cache raises
    """
    now = int(time.time()) // _HOUR
    names = {
        _name(bucket, broker_id or ALL, hour): bucket
        for bucket in settings.RATE_LIMITS
        for hour in range(now - HOURS, now + 1)
    }
    counts = dict.fromkeys(settings.RATE_LIMITS, 0)
    for name, count in cache.get_many(names).items():
        counts[names[name]] += count
    return {bucket: count for bucket, count in counts.items() if count}


def _name(bucket, broker, hour):
    return f"refused:{bucket}:{broker}:{hour}"
