"""Statements that are written once: other values give other rows, and a lost connection is made anew."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import BigIntegerField, TextField

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform.statements import Given, Statement, columns_of

BY_ID = Statement(lambda: User.objects.filter(pk=Given("id", BigIntegerField())), columns_of(User))


def test_each_run_has_its_own_values(db):
    traders = [TraderFactory(first_name="Ünï"), TraderFactory(phone="+4915112345678")]

    for trader in traders * 2:
        found = User.from_db("default", columns_of(User), BY_ID.first(id=trader.pk))
        assert {name: getattr(found, name) for name in columns_of(User)} == User.objects.values().get(pk=trader.pk)
    assert BY_ID.first(id=10**9) is None


def test_what_is_given_is_never_part_of_the_sql(db):
    by_name = Statement(lambda: User.objects.filter(first_name=Given("name", TextField())), ("first_name",))
    TraderFactory(first_name="' OR 1=1 --")
    TraderFactory(first_name="%s")

    assert by_name.first(name="' OR 1=1 --") == ("' OR 1=1 --",)
    assert by_name.first(name="%s") == ("%s",)
    assert by_name.first(name="' OR '1'='1") is None


def lose_the_connection():
    with connection.connection.__class__.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])


@pytest.mark.skipif("connection.vendor != 'postgresql'")
@pytest.mark.parametrize("is_new_request", [True, False])
def test_a_lost_connection_is_made_anew_once_in_a_request(real_database, is_new_request):
    trader = TraderFactory()
    assert BY_ID.first(id=trader.pk)
    if is_new_request:
        connection.close_if_unusable_or_obsolete()
    lose_the_connection()

    if is_new_request:
        assert BY_ID.first(id=trader.pk)[0] == trader.pk
    else:
        with pytest.raises(DatabaseError):
            BY_ID.first(id=trader.pk)
        connection.close()


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_connection_lost_in_a_transaction_is_not_replaced(real_database):
    trader = TraderFactory()
    connection.close_if_unusable_or_obsolete()
    with pytest.raises(DatabaseError), transaction.atomic():
        lose_the_connection()
        BY_ID.first(id=trader.pk)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_postgresql_plans_it_once(db):
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    connection.connection._prepared.clear()
    for number in range(3):
        BY_ID.first(id=10**9 + number)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%accounts_user%%'")
        assert cursor.fetchone() == (1,)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_plan_that_a_migration_made_void_is_made_anew(real_database):
    trader = TraderFactory()
    assert BY_ID.first(id=trader.pk)
    connection.close_if_unusable_or_obsolete()
    alter = "ALTER TABLE accounts_user ALTER COLUMN reset_nonce TYPE varchar(%s)"
    try:
        with connection.connection.__class__.connect(**connection.get_connection_params()) as other:
            other.execute(alter % 44)
        assert BY_ID.first(id=trader.pk)[0] == trader.pk
    finally:
        with connection.cursor() as cursor:
            cursor.execute(alter % 43)
