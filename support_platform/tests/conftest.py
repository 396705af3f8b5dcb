import pytest
from django.db import transaction

from support_platform.audit import Actor, record
from trading.tests.factories import DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory


@pytest.fixture
def samples(trader):
    """One row of each resource, all of one trader: what `{id}` in a call's path stands for."""
    strategy = StrategyFactory(user=trader)
    deployment = DeploymentFactory(strategy=strategy, user=trader)
    with transaction.atomic():
        event = record(
            "user.contact_changed",
            trader,
            by=Actor(name="colleague@desk.example"),
            owner=trader,
            changes={"phone": (None, trader.phone)},
        )
    return {
        "users": trader,
        "strategies": StrategyFactory(user=trader),
        "deployments": deployment,
        "trades": TradeFactory(deployment=deployment),
        "scanners": ScannerFactory(user=trader),
        "audit": event,
    }
