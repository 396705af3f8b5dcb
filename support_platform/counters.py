"""The Redis cache that django-ratelimit counts in: one round trip a count instead of three."""

from hashlib import sha1

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

# A counter gets its end in the step that makes it, so that none is left without one.
_COUNT_UP = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""
_NAME = sha1(_COUNT_UP.encode(), usedforsecurity=False).hexdigest()  # what Redis calls a script that it knows


class CounterCache(RedisCache):
    """
    Django's cache, but `add(key, 1)` counts a key that is there up, atomically, and the `incr` with which
    django-ratelimit follows a refused add tells that count. Each thread has its own instance.
    """

    _counted = _own = None

    def add(self, key, value, timeout=None, version=None):
        if value != 1:
            return super().add(key, value, timeout, version)
        made = self.make_and_validate_key(key, version=version)
        count = self._count_up(made, timeout)
        self._counted = (made, count)
        return count == 1

    def incr(self, key, delta=1, version=None):
        counted, self._counted = self._counted, None
        if counted and counted[0] == self.make_and_validate_key(key, version=version):
            return counted[1]
        return super().incr(key, delta, version)

    def _count_up(self, key, timeout):
        # On a connection of its own: the client's way to one, and its look whether that lives, take as long again.
        is_new = self._own is None
        if is_new:
            self._own = self._cache._get_connection_pool(write=True).get_connection()
        try:
            return self._asked(key, timeout)
        except RedisConnectionError:
            if is_new:
                raise
            return self._asked(key, timeout)  # it had been closed since; it connects anew by itself

    def _asked(self, key, timeout):
        self._own.send_command("EVALSHA", _NAME, 1, key, timeout)
        try:
            return self._own.read_response()
        except NoScriptError:
            self._own.send_command("EVAL", _COUNT_UP, 1, key, timeout)
            return self._own.read_response()
