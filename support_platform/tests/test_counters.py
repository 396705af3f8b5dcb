"""Counting in Redis: one command a count, and none without its end. For runs with REDIS_URL."""

import threading

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from rest_framework.test import APIRequestFactory

from support_platform import throttling

pytestmark = pytest.mark.skipif(not settings.REDIS_URL, reason="counts in Redis")


@pytest.fixture
def commands(monkeypatch):
    """The commands that leave for Redis."""
    sent, send = [], redis.Connection.send_command

    def note(connection, *args, **options):
        sent.append(args)
        return send(connection, *args, **options)

    monkeypatch.setattr(redis.Connection, "send_command", note)
    return sent


def test_a_counted_read_is_one_command(viewer, commands):
    viewer.get("users/")  # the first brings the script
    commands.clear()

    viewer.get("users/")

    assert [command[0] for command in commands] == ["EVALSHA"]


def test_a_server_that_forgot_the_script_is_told_again(viewer):
    cache._cache.get_client().script_flush()
    left = [viewer.get("users/")["RateLimit"].split(";")[1] for _ in range(2)]
    assert left == ["r=599", "r=598"]


def test_a_connection_that_was_closed_meanwhile_is_made_anew(viewer):
    viewer.get("users/")
    cache._own.send_command("CLIENT", "ID")
    cache._cache.get_client().client_kill_filter(_id=cache._own.read_response())

    assert viewer.get("users/")["RateLimit"].split(";")[1] == "r=598"


def test_a_counter_ends_with_its_window():
    throttling.count(APIRequestFactory().get("/"), "write", "staff user", 1)
    client = cache._cache.get_client()
    (key,) = client.keys("*")
    assert 0 < client.ttl(key) <= 60 + 5  # the library's own margin


def test_add_and_incr_are_otherwise_those_of_a_cache():
    assert cache.add("once", 5, 60) is True
    assert cache.add("once", 6, 60) is False
    assert cache.incr("once") == 6
    assert cache.add("count", 1, 60) is True
    assert cache.incr("count") == 1  # told, not counted again
    assert cache.incr("count") == 2
    assert cache.incr("once", 3) == 9


def test_what_one_thread_counted_is_not_told_to_another():
    cache.add("count", 1, 60)
    told = []
    thread = threading.Thread(target=lambda: told.append(cache.incr("count")))
    thread.start()
    thread.join()
    assert told == [2]
