"""A trader with one row of each kind, to play a case with."""

from datetime import timedelta
from decimal import Decimal

from accounts.tests.factories import TraderFactory
from trading.tests.factories import (
    START,
    DeploymentFactory,
    OrderFactory,
    ScannerFactory,
    StrategyFactory,
    TradeFactory,
)


def milliseconds(count):
    return timedelta(milliseconds=count)


class Case:
    """
    A trader whose strategy Trend runs and has traded three times: +40, -25, +12.5, on a capital of 10000; each trade
    with its entry and exit order. A strategy Breakout and a scanner Gap up, which nothing hangs on.
    """

    def __init__(self, broker, name="anna"):
        self.name = name
        self.trader = TraderFactory(
            broker=broker, email=f"{name}@demo.example", first_name="Case", last_name="Trader", created_at=START
        )
        self.running = StrategyFactory(user=self.trader, name="Trend", created_at=START)
        self.deployment = DeploymentFactory(user=self.trader, strategy=self.running, started_at=START)
        self.trades = [
            self.trade(number, Decimal(result)) for number, result in enumerate(("40", "-25", "12.5"), start=1)
        ]
        self.strategy = StrategyFactory(user=self.trader, name="Breakout", created_at=START)
        self.scanner = ScannerFactory(user=self.trader, name="Gap up", created_at=START)
        self.order = self.trades[0].orders.first()
        # As the API names the kinds.
        self.rows = {
            "users": self.trader,
            "strategies": self.strategy,
            "deployments": self.deployment,
            "trades": self.trades[-1],
            "scanners": self.scanner,
        }

    def trade(self, number, result):
        taken_at = START + timedelta(days=number)
        trade = TradeFactory(
            deployment=self.deployment,
            result=result,
            taken_at=taken_at,
            closed_at=taken_at + timedelta(hours=1),
            external_id=f"{self.name}-trade-{number}",
        )
        for side, filled_at, expected in (("buy", trade.taken_at, "1.1"), ("sell", trade.closed_at, "1.2")):
            OrderFactory(
                user=self.trader,
                trade=trade,
                strategy=trade.strategy,
                deployment=trade.deployment,
                external_id=f"{self.name}-{side}-{number}",
                side=side,
                quantity=trade.quantity,
                filled_quantity=trade.quantity,
                expected_price=Decimal(expected),
                arrival_price=Decimal(expected),
                filled_price=Decimal(expected) + Decimal("0.0005"),
                signal_at=filled_at - milliseconds(250),
                sent_at=filled_at - milliseconds(200),
                acknowledged_at=filled_at - milliseconds(80),
                filled_at=filled_at,
            )
        return trade
