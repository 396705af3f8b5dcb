"""What the database ends through no fault of the request is done again, a few times; anything else is not."""

import time
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction

from accounts import operations as account_operations
from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform import retries
from support_platform.exceptions import OperationRefused
from support_platform.tests.calls import assert_problem
from trading import operations


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(retries, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))


def ended_with(sqlstate):
    error = OperationalError("ended by the database")
    error.__cause__ = type("DriverError", (Exception,), {"sqlstate": sqlstate})()
    return error


def failing(times, error):
    """A change that fails that often, then says how often it was called."""
    calls = []

    def change():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    change.calls = calls
    return change


@pytest.mark.parametrize("sqlstate", retries.REPEATABLE)
def test_up_to_three_repetitions(real_database, sqlstate):
    assert retries.retried(failing(3, ended_with(sqlstate))) == 4


def test_not_a_fourth(real_database):
    change = failing(4, ended_with("40P01"))

    with pytest.raises(OperationalError):
        retries.retried(change)

    assert len(change.calls) == 4


@pytest.mark.parametrize(
    "error",
    [ended_with("57014"), ended_with(None), OperationRefused("a", "b")],
    ids=["cancelled", "unknown", "refused"],
)
def test_nothing_else_is_repeated(real_database, error):
    change = failing(1, error)

    with pytest.raises(type(error)):
        retries.retried(change)

    assert len(change.calls) == 1


@pytest.mark.django_db
def test_inside_a_transaction_nothing_is_repeated():
    change = failing(1, ended_with("40P01"))

    with pytest.raises(OperationalError), transaction.atomic():
        retries.retried(change)

    assert len(change.calls) == 1


def test_patience_has_an_end(real_database, monkeypatch):
    monkeypatch.setattr(retries, "PATIENCE", -1)
    change = failing(1, ended_with("55P03"))

    with pytest.raises(OperationalError):
        retries.retried(change)

    assert len(change.calls) == 1


@pytest.mark.parametrize(("times", "status"), [(3, 200), (4, 503)])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["plain", "keyed"])
def test_the_api_repeats_a_write(real_database, supervisor, samples, events, monkeypatch, times, status, headers):
    delete_scanner, failure = operations.delete_scanner, failing(times, ended_with("40P01"))

    def falls(scanner, **arguments):
        with transaction.atomic():
            deleted = delete_scanner(scanner, **arguments)
            failure()
            return deleted

    monkeypatch.setattr(operations, "delete_scanner", falls)

    answer = supervisor.client.delete(
        f"/api/v1/scanners/{samples['scanners'].pk}/", headers=supervisor.headers | headers
    )

    if status == 200:
        assert answer.status_code == 200
        assert len(events(action="scanner.deleted")) == 1
    else:
        assert_problem(answer, 503)
        assert answer["Retry-After"]
        assert events() == []


def test_a_reset_that_is_repeated_counts_once_against_its_limit(real_database, agent, trader, monkeypatch, settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"reset": {"target trader": ["1/h"]}}
    reset_password, failure = account_operations.reset_password, failing(2, ended_with("40001"))

    def falls(user, **arguments):
        failure()
        return reset_password(user, **arguments)

    monkeypatch.setattr(account_operations, "reset_password", falls)

    address = f"/api/v1/users/{trader.pk}/password-reset/"

    answers = [agent.client.post(address, {}, "application/json", headers=agent.headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 429]


def test_two_that_wait_for_each_other_both_come_to_an_end(race, broker):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one transaction write at a time; none waits for another's row")
    one, other = TraderFactory(broker=broker), TraderFactory(broker=broker)

    def change(first, second):
        def both():
            with transaction.atomic():
                for user in (first, second):
                    User.objects.select_for_update().get(pk=user.pk)
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_sleep(0.3)")
            return "done"

        return lambda: retries.retried(both)

    assert race(change(one, other), change(other, one)) == ["done", "done"]
