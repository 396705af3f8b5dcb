"""Statements that are written once: other values give other rows, and a lost connection is made anew."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.db.models import BigIntegerField, TextField

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform.locking import lock
from support_platform.statements import Given, Insert, Statement, Update, columns_of
from trading.models import Trade
from trading.tests.factories import DeploymentFactory, TradeFactory


@pytest.fixture
def trade(trader):
    return TradeFactory(deployment=DeploymentFactory(user=trader))


BY_ID = Statement(lambda: User.objects.filter(pk=Given("id", BigIntegerField())), columns_of(User))


def test_each_run_has_its_own_values(db):
    traders = [TraderFactory(first_name="Ünï"), TraderFactory(phone="+4915112345678")]

    for trader in traders * 2:
        found = User.from_db("default", columns_of(User), BY_ID.first(id=trader.pk))
        assert {name: getattr(found, name) for name in columns_of(User)} == User.objects.values().get(pk=trader.pk)
    assert BY_ID.first(id=10**9) is None


def test_a_run_gives_all_rows_or_so_many(db):
    named = Statement(lambda: User.objects.filter(last_name=Given("name", TextField())).order_by("-id"), ("id",))
    older, newer = (TraderFactory(last_name="Twice").pk for _ in range(2))
    TraderFactory(last_name="Once")

    assert named.rows(name="Twice") == [(newer,), (older,)]
    assert named.rows(name="Twice", limit=1) == [(newer,)]
    assert named.first(name="Twice") == (newer,)
    assert named.rows(name="Never") == []


def test_what_is_given_is_never_part_of_the_sql(db):
    by_name = Statement(lambda: User.objects.filter(first_name=Given("name", TextField())), ("first_name",))
    TraderFactory(first_name="' OR 1=1 --")
    TraderFactory(first_name="%s")

    assert by_name.first(name="' OR 1=1 --") == ("' OR 1=1 --",)
    assert by_name.first(name="%s") == ("%s",)
    assert by_name.first(name="' OR '1'='1") is None


def test_an_update_writes_its_columns_of_its_row(db):
    trader, other = TraderFactory(), TraderFactory()
    change = Update(User, ["phone", "first_name"])
    trader.phone, trader.first_name, trader.last_name = None, "%s ' Ünï", "not this one"

    change.write(trader)

    kept = User.objects.get(pk=trader.pk)
    assert (kept.phone, kept.first_name) == (None, "%s ' Ünï")
    assert kept.last_name != "not this one"
    assert User.objects.get(pk=other.pk).first_name == other.first_name
    with pytest.raises(DatabaseError, match="not there"):
        change.write(User(pk=10**9))


def test_an_update_refuses_what_the_column_would_not_keep(trade):
    trade.fees = Decimal("1e-13")
    with pytest.raises(ValidationError):
        Update(Trade, ["fees"]).write(trade)


def test_an_insert_writes_the_row_and_tells_its_id(trade):
    fields = {name: getattr(trade, name) for name in columns_of(Trade) if name != "id"}
    new = Trade(**{**fields, "external_id": "the second", "strike": None})

    Insert(Trade).write(new)

    kept = Trade.objects.get(pk=new.pk)
    assert new.pk != trade.pk
    assert {name: getattr(kept, name) for name in columns_of(Trade)} == {
        name: getattr(new, name) for name in columns_of(Trade)
    }


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_rows_are_locked_within_a_transaction_only(real_database):
    trader = TraderFactory()
    with pytest.raises(transaction.TransactionManagementError):
        lock(trader)
    with transaction.atomic():
        assert lock(trader) == trader


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
