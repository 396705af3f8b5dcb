import pytest
from django.test import TestCase, override_settings

from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.people import World
from trading import operations
from trading.tests.factories import DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory


@pytest.fixture(scope="module")
def stage(django_db_setup, django_db_blocker):
    """One World for all tests of a module; to be used through `world`."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with django_db_blocker.unblock(), override_settings(PASSWORD_HASHERS=hashers):
        transactions = TestCase._enter_atomics()
        try:
            yield World()
        finally:
            TestCase._rollback_atomics(transactions)


@pytest.fixture
def world(stage, db):
    """The people and rows of the permission tables, as they were before the test."""
    stage.has_written = True
    return stage


@pytest.fixture
def samples(trader):
    """One row of each resource, all of one trader: what `{id}` in a call's path stands for."""
    strategy = StrategyFactory(user=trader)
    deployment = DeploymentFactory(strategy=strategy, user=trader)
    operations.delete_scanner(ScannerFactory(user=trader), by=Actor(name="colleague@desk.example"))
    return {
        "users": trader,
        "strategies": StrategyFactory(user=trader),
        "deployments": deployment,
        "trades": TradeFactory(deployment=deployment),
        "scanners": ScannerFactory(user=trader),
        "audit": AuditEvent.objects.latest("id"),
    }


@pytest.fixture
def unlimited(settings):
    """Limits that no test reaches."""
    settings.RATE_LIMITS = {
        bucket: {key: ["1000000/m"] for key in keys} for bucket, keys in settings.RATE_LIMITS.items()
    }
