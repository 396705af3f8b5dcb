import threading

import pytest

from support_platform import views


def test_live_asks_nothing_of_anybody(client):
    """Without the database mark: a query would fail this test."""
    answer = client.get("/health/live/")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_when_database_cache_and_migrations_are(client):
    answer = client.get("/health/ready/")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "cache": "ok", "migrations": "ok"}


@pytest.mark.django_db
def test_a_database_that_hangs_is_told_in_time(client, monkeypatch):
    goes_on = threading.Event()
    monkeypatch.setattr(views, "PATIENCE", 0.1)
    monkeypatch.setitem(views.PROBES, "database", lambda probing: goes_on.wait(30) and 1 / 0)

    answer = client.get("/health/ready/")
    goes_on.set()

    assert answer.status_code == 503
    told = {"status": "unavailable", "database": "unavailable", "cache": "ok", "migrations": "unknown"}
    assert answer.json() == told


@pytest.mark.django_db
@pytest.mark.parametrize("part", ["database", "cache", "migrations"])
def test_not_ready_names_the_part_and_nothing_more(client, monkeypatch, part):
    def fail(probing):
        raise ConnectionError("password=secret host=db.internal")

    monkeypatch.setitem(views.PROBES, part, fail)

    answer = client.get("/health/ready/")

    assert answer.status_code == 503
    expected = dict.fromkeys(("database", "cache", "migrations"), "ok") | {part: "unavailable"}
    if part == "database":
        expected["migrations"] = "unknown"  # a database that is away is not asked a second time
    assert answer.json() == {"status": "unavailable", **expected}
    assert client.get("/health/live/").status_code == 200


@pytest.mark.django_db
def test_a_migration_that_waits_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(views.MigrationExecutor, "migration_plan", lambda self, targets: [("accounts", "0002")])

    answer = client.get("/health/ready/")

    assert (answer.status_code, answer.json()["migrations"]) == (503, "pending")


@pytest.mark.django_db
def test_a_cache_that_forgets_is_not_ready(client, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    assert client.get("/health/ready/").json()["cache"] == "unavailable"


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_health_is_only_read(client, path, method):
    assert getattr(client, method)(path).status_code == 405
