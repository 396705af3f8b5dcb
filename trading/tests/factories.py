from datetime import UTC, datetime, timedelta
from decimal import Decimal

import factory

from accounts.tests.factories import TraderFactory
from trading.models import Deployment, Order, Scanner, Strategy, Trade

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class StrategyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Strategy

    user = factory.SubFactory(TraderFactory)
    name = factory.Sequence(lambda n: f"Strategy {n}")
    symbol = "EUR/USD"
    timeframe = "1h"
    created_at = factory.Sequence(lambda n: START + timedelta(minutes=n))


class DeploymentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Deployment

    user = factory.SubFactory(TraderFactory)
    strategy = factory.SubFactory(StrategyFactory, user=factory.SelfAttribute("..user"))
    symbol = "EUR/USD"
    quantity = Decimal("1.5")
    capital = Decimal("10000")
    started_at = factory.Sequence(lambda n: START + timedelta(minutes=n))


class TradeFactory(factory.django.DjangoModelFactory):
    """A closed winner; pass closed_at=None, exit_price=None, result=None for an open trade."""

    class Meta:
        model = Trade

    deployment = factory.SubFactory(DeploymentFactory)
    user = factory.LazyAttribute(lambda trade: trade.deployment.user)
    strategy = factory.LazyAttribute(lambda trade: trade.deployment.strategy)
    symbol = "EUR/USD"
    side = "long"
    quantity = Decimal("2")
    entry_price = Decimal("1.1")
    exit_price = Decimal("1.2")
    fees = Decimal("0.5")
    result = Decimal("12.5")
    taken_at = factory.Sequence(lambda n: START + timedelta(hours=n))
    closed_at = factory.LazyAttribute(lambda trade: trade.taken_at + timedelta(minutes=30))


class OrderFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Order

    user = factory.SubFactory(TraderFactory)
    external_id = factory.Sequence(lambda n: f"order-{n}")
    symbol = "EUR/USD"
    side = "buy"
    quantity = Decimal("1")
    sent_at = factory.Sequence(lambda n: START + timedelta(seconds=n))


class ScannerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Scanner

    user = factory.SubFactory(TraderFactory)
    name = factory.Sequence(lambda n: f"Scanner {n}")
    created_at = factory.Sequence(lambda n: START + timedelta(minutes=n))
