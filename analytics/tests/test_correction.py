"""A deployment's figures before and after a correction: those of the raw rows, whatever is changed to what."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from analytics import performance, queries
from analytics.queries import DeploymentFigures, Span
from trading.tests.factories import DeploymentFactory, TradeFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESULTS = ["0", "1", "-1", "2.5", "-2.5", "0.000000000001", "-123456789012345.5"]


def by_definition(deployment):
    trades = queries.closed_trades({"deployment": deployment.pk}, Span())
    return queries.json_ready(performance.figures(trades, deployment.capital))


def become(trade, dice):
    """Open, or closed at one of few instants, so that many close at once."""
    is_open = dice.random() < 0.2
    trade.closed_at = None if is_open else NOON + timedelta(minutes=dice.randrange(4))
    trade.result = None if is_open else Decimal(dice.choice(RESULTS))


@pytest.mark.parametrize("capital", [None, Decimal("100")])
@pytest.mark.parametrize("seed", range(4))
def test_both_are_the_figures_of_the_raw_rows(trader, seed, capital):
    dice = random.Random(seed)
    deployment = DeploymentFactory(user=trader, capital=capital)
    trades = [TradeFactory.build(deployment=deployment, user=trader, strategy=deployment.strategy) for _ in range(6)]
    for trade in trades:
        trade.taken_at = NOON - timedelta(days=1)
        become(trade, dice)
        trade.save()
    for _ in range(25):
        trade = dice.choice(trades[: dice.randint(1, 6)])
        with transaction.atomic():
            figures = DeploymentFigures(deployment)
            assert figures.before == by_definition(deployment)
            was = trade.closed_at, trade.result
            become(trade, dice)
            trade.save()

            assert figures.after(was, trade) == by_definition(deployment)


def test_of_a_deployment_without_closed_trades(trader):
    deployment = DeploymentFactory(user=trader)
    with transaction.atomic():
        assert DeploymentFigures(deployment).before == by_definition(deployment)
    assert queries.deployment_figures(deployment) == by_definition(deployment)
