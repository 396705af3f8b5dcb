"""Command: seed_demo."""

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.db.models import F
from django.utils import timezone

from accounts.models import Broker, User
from accounts.tests.factories import BrokerFactory, TraderFactory
from support_platform.tests.commands import fail, run, tell
from trading.models import Deployment, Order, Scanner, Strategy, Trade

SMALL = ("--traders", 6, "--trades", 40)


def test_plants_data_that_looks_like_life(db, events):
    outcome = run("seed_demo", *SMALL)

    assert outcome["traders"] == User.objects.traders().count() == 6
    assert outcome["trades"] == Trade.objects.count() == 240
    assert outcome["orders"] == Order.objects.count() > 240
    assert {broker.name for broker in Broker.objects.all()} == {"Demo", "Other"}
    assert User.objects.filter(email="trader1@demo.example", broker__name="Demo", first_name="Trader").exists()
    assert User.objects.traders().filter(broker__name="Other").count() == 1
    assert User.objects.traders().filter(is_active=False).exists()
    assert Strategy.objects.filter(published_at__isnull=False).exists()
    assert Strategy.objects.deleted().exists()
    assert set(Deployment.objects.values_list("status", flat=True)) == {"active", "paused", "stopped"}
    assert set(Deployment.objects.values_list("mode", flat=True)) == {"live", "paper"}
    assert Trade.objects.open().exists()
    assert Trade.objects.filter(result__gt=0).exists()
    assert Trade.objects.filter(result__lt=0).exists()
    assert Trade.objects.filter(strike__isnull=False).exists()
    assert Order.objects.filter(filled_at__lt=F("acknowledged_at")).exists()
    assert Order.objects.filter(filled_at__isnull=True).exists()
    assert Scanner.objects.kept().exists()
    assert len(events(action="demo.seeded")) == 1


def test_every_trader_has_orders_of_the_last_15_minutes_and_none_of_the_future(db):
    run("seed_demo", *SMALL)

    now = timezone.now()
    recent = Order.objects.filter(placed_at__gte=now - timedelta(minutes=14))
    assert recent.values("user").distinct().count() == 6
    assert not Order.objects.filter(filled_at__gt=now).exists()
    assert not Trade.objects.filter(taken_at__gt=now).exists()
    assert not Trade.objects.filter(closed_at__gt=now).exists()


def test_results_follow_from_the_prices(db):
    run("seed_demo", *SMALL)

    for trade in Trade.objects.closed().filter(strike__isnull=True)[:200]:
        direction = 1 if trade.side == "long" else -1
        gross = direction * (trade.exit_price - trade.entry_price) * trade.quantity
        assert abs(gross - trade.fees - trade.result) <= 1


def test_the_same_seed_gives_the_same_data(db):
    def planted():
        run("seed_demo", *SMALL, "--seed", seed)
        rows = list(Trade.objects.order_by("user__email", "id").values_list("symbol", "side", "result"))
        for model in (Order, Trade, Deployment, Strategy, Scanner):
            model.objects.all().delete()
        User.objects.all().delete()
        Broker.objects.all().delete()
        return rows

    seed = 7
    first, second = planted(), planted()
    seed = 8
    assert first == second != planted()


def test_the_logins_work_and_are_printed(db, monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "another-Secret-17")

    told = tell("seed_demo", *SMALL)

    logins = ("viewer@demo.example", "agent@demo.example", "supervisor@demo.example", "agent@other.example")
    for email in (*logins, "admin@demo.example"):
        assert email in told
        assert authenticate(username=email, password="another-Secret-17") is not None
    assert "another-Secret-17" in told


def test_refuses_beside_other_data_unless_forced(db):
    BrokerFactory(name="Mine")

    assert fail("seed_demo").startswith("The database holds other data (1 brokers, 0 accounts)")
    assert not User.objects.exists()
    run("seed_demo", *SMALL, "--force")
    assert Broker.objects.filter(name="Mine", version=1).exists()


def test_refuses_to_add_twice(db):
    run("seed_demo", *SMALL)

    assert fail("seed_demo", "--force").startswith("The demo data is here already")
    assert User.objects.traders().count() == 6


def test_refuses_in_production(db, settings):
    settings.PRODUCTION = True

    assert fail("seed_demo", "--force").startswith("This is production")
    assert not User.objects.exists()


@pytest.mark.parametrize("option", ["--traders", "--trades", "--seed"])
@pytest.mark.parametrize("value", ["x", "1.5", "-1", "1e3", "9" * 30])
def test_refuses_bad_numbers(db, option, value):
    assert fail("seed_demo", f"{option}={value}").startswith(f"{option}: give a whole number")


def test_refuses_a_weak_password(db, monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "short")

    assert fail("seed_demo").startswith("DEMO_PASSWORD will not do: This password is too short.")


def test_if_empty_only_tells_the_logins_where_there_is_data(db):
    first, again = run("seed_demo", *SMALL, "--if-empty"), run("seed_demo", *SMALL, "--if-empty")

    assert first["traders"] == 6
    assert again == {"logins": first["logins"]}
    assert Trade.objects.count() == 240


def test_if_empty_leaves_other_data_alone(db):
    TraderFactory()

    assert run("seed_demo", *SMALL, "--if-empty") == {"logins": []}
    assert not Trade.objects.exists()
