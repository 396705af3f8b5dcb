"""The real logs: read for the arithmetic, and as rows of a trader for the API."""

import csv
import json
import random
from datetime import datetime
from decimal import Decimal

import pytest

from trading.models import Order, Trade
from trading.tests.factories import DeploymentFactory, StrategyFactory

from .comparison import SMALL

STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")


@pytest.fixture(scope="session")
def read_log(real_data):
    """The rows of a CSV file of the real data, and what another source expects of them."""

    def read(folder, name):
        with open(real_data / folder / name, newline="") as file:
            rows = list(csv.DictReader(file))
        return rows, json.loads((real_data / folder / "expected.json").read_text())

    return read


@pytest.fixture
def shuffled():
    def shuffle(rows):
        mixed = list(rows)
        random.Random(7).shuffle(mixed)
        return mixed

    return shuffle


@pytest.fixture
def tokyo(trader, read_log):
    """The trader's orders are those of a real log; what another source expects of them."""
    rows, expected = read_log("binance-latency-tokyo", "orders.csv")
    Order.objects.bulk_create(
        Order(
            user=trader,
            external_id=row["order_id"],
            symbol=row["symbol"],
            side=row["side"],
            **{stamp: instant(row[stamp]) for stamp in STAMPS},
        )
        for row in rows
    )
    return expected["files"]["orders.csv"]


@pytest.fixture
def tastyworks(trader, read_log):
    """
    The trader's trades are those of a real log, without capital; what another source expects of them, and the
    strategies by name.
    """
    rows, expected = read_log("tastyworks-options", "trades.csv")
    deployments = {
        name: DeploymentFactory(strategy=StrategyFactory(user=trader, name=name), user=trader, capital=None)
        for name in sorted({row["strategy"] for row in rows})
    }
    Trade.objects.bulk_create(
        Trade(
            user=trader,
            strategy=deployments[row["strategy"]].strategy,
            deployment=deployments[row["strategy"]],
            symbol=row["symbol"],
            side=row["side"],
            taken_at=instant(row["taken_at"]),
            closed_at=instant(row["closed_at"]),
            **{name: amount(row[name]) for name in ("quantity", "entry_price", "exit_price", "fees", "result")},
        )
        for row in rows
    )
    return expected["trades.csv"], {name: deployment.strategy for name, deployment in deployments.items()}


def instant(text):
    return datetime.fromisoformat(text) if text else None


def amount(text):
    return Decimal(text) if text else None


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows, for scopes of a few."""
    for module, values in SMALL.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader, capital=Decimal(100))
