"""
Demo data that looks like life: two brokers, staff of each role, traders with strategies, deployments, trades,
orders and scanners. The same seed gives the same data, at instants relative to `now`.

Amounts are made from whole ticks, so that every one is exact and short enough for SQLite.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from django.db import transaction

from accounts import operations, staff_operations
from accounts.models import Broker
from support_platform import audit
from trading.models import Deployment, Order, Scanner, Strategy, Trade

BROKERS = ("Demo", "Other")
# address -> (role, broker); the superuser has neither
STAFF = {
    "viewer@demo.example": ("Viewer", "Demo"),
    "agent@demo.example": ("Agent", "Demo"),
    "supervisor@demo.example": ("Supervisor", "Demo"),
    "agent@other.example": ("Agent", "Other"),
    "admin@demo.example": (None, None),
}
NUMBERS = ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"]
HISTORY = timedelta(days=120)
CENT = Decimal("0.01")
BATCH = 1000


@dataclass(frozen=True)
class Instrument:
    """
    `swing` is how many ticks a price may be away from `price`, `multiplier` what one unit stands for. An option's
    symbol has a place for its expiry.
    """

    symbol: str
    price: Decimal
    tick: Decimal
    swing: int
    quantity: Decimal
    multiplier: int = 1
    strike: Decimal | None = None


SPOT = (
    Instrument("EUR/USD", Decimal("1.08"), Decimal("0.00001"), 2500, Decimal("10000")),
    Instrument("BTC/USDT", Decimal("64000"), Decimal("0.01"), 400000, Decimal("0.05")),
    Instrument("ETH/USDT", Decimal("3100"), Decimal("0.01"), 20000, Decimal("0.5")),
    Instrument("AAPL", Decimal("190"), Decimal("0.01"), 900, Decimal("20")),
)
OPTIONS = (
    Instrument("SPY {expiry:%y%m%d}P00450000", Decimal("4.2"), CENT, 150, Decimal("2"), 100, Decimal("450")),
    Instrument("AAPL {expiry:%y%m%d}C00200000", Decimal("3.1"), CENT, 120, Decimal("3"), 100, Decimal("200")),
)


@transaction.atomic
def plant(*, traders, trades, seed, password, now, by, advance=lambda done: None):
    """
    Make it all: `traders` in all, a sixth of them with the other broker, and `trades` for each.

    :returns: how many rows of each kind were made
    """
    brokers = {name: _find_or_create_broker(name, by) for name in BROKERS}
    counts = {"traders": traders, "strategies": 0, "deployments": 0, "trades": 0, "orders": 0, "scanners": 0}
    elsewhere = max(traders // 6, min(traders - 1, 1))
    for index in range(traders):
        at_home = index < traders - elsewhere
        number = index + 1 if at_home else index + 1 - (traders - elsewhere)
        made = _Trader(brokers["Demo" if at_home else "Other"], number, index, Random(f"{seed}/{index}"), now, by)  # noqa: S311
        for kind, rows in made.make(trades).items():
            counts[kind] += rows
        advance(index + 1)
    # Last, for what is recorded of those without a broker makes every such login wait until this is over.
    for email, (role, broker) in STAFF.items():
        staff_operations.create_staff(
            email, password, role, by=by, broker=brokers.get(broker), is_superuser=role is None
        )
    audit.record(
        "demo.seeded",
        brokers["Demo"],
        by=by,
        changes={"seed": (None, seed)} | {kind: (None, count) for kind, count in counts.items()},
        broker_id=brokers["Demo"].pk,
    )
    return counts


def _find_or_create_broker(name, by):
    existing = Broker.objects.filter(name__iexact=name).first()
    return existing or staff_operations.create_broker(name, by=by, domain=f"{name.lower()}.example")


class _Trader:
    """One trader and all that is theirs; `index` decides which of the varieties it has."""

    def __init__(self, broker, number, index, random, now, by):
        self.index, self.random, self.now, self.by = index, random, now, by
        self.user = staff_operations.create_trader(
            f"trader{number}@{broker.name.lower()}.example",
            broker,
            by=by,
            first_name="Trader",
            last_name=NUMBERS[number - 1] if number <= len(NUMBERS) else str(number),
            phone=f"+4915550{index:06d}",
            created_at=now - HISTORY - timedelta(days=index % 60 + 1),
        )

    def make(self, trades):
        strategies = self.make_strategies()
        deployments = self.make_deployments(strategies)
        made_trades = self.make_trades(deployments, trades)
        orders = self.make_orders(made_trades)
        scanners = self.make_scanners()
        if self.index % 5 == 4:
            operations.set_status(self.user, "inactive", by=self.by, deployments="pause")
        return {
            "strategies": len(strategies),
            "deployments": len(deployments),
            "trades": len(made_trades),
            "orders": len(orders),
            "scanners": len(scanners),
        }

    def make_strategies(self):
        begun = self.now - HISTORY
        kinds = [
            ("Trend following", SPOT[self.index % len(SPOT)], "1h", {"entry": "ema_cross", "fast": 12, "slow": 48}),
            ("Mean reversion", SPOT[(self.index + 1) % len(SPOT)], "15m", {"entry": "bollinger", "length": 20}),
            ("Options income", OPTIONS[self.index % len(OPTIONS)], "1d", {"entry": "short_premium", "delta": 30}),
            ("First attempt", SPOT[(self.index + 2) % len(SPOT)], "5m", {"entry": "breakout", "bars": 10}),
        ]
        expiry = self.now + timedelta(days=45)
        self.instruments = {}
        rows = []
        for place, (name, instrument, timeframe, definition) in enumerate(kinds):
            instrument = replace(instrument, symbol=instrument.symbol.format(expiry=expiry))
            created_at = begun + timedelta(days=place, minutes=self.random.randrange(600))
            strategy = Strategy(
                user=self.user,
                name=name,
                symbol=instrument.symbol,
                timeframe=timeframe,
                definition=definition,
                created_at=created_at,
                published_at=created_at + timedelta(days=9) if place == self.index % 3 else None,
                deleted_at=self.now - timedelta(days=30) if place == 3 else None,
            )
            self.instruments[name] = instrument
            rows.append(strategy)
        return Strategy.objects.bulk_create(rows)

    def make_deployments(self, strategies):
        """Two active (one live, one paper), one paused or stopped, and the deleted strategy's, stopped."""
        third = ("paused", "stopped")[self.index % 2]
        plans = [("active", "live"), ("active", "paper"), (third, "live"), ("stopped", "paper")]
        rows = []
        for strategy, (status, mode) in zip(strategies, plans, strict=True):
            instrument = self.instruments[strategy.name]
            rows.append(
                Deployment(
                    user=self.user,
                    strategy=strategy,
                    status=status,
                    mode=mode,
                    symbol=instrument.symbol,
                    quantity=instrument.quantity,
                    stop_loss_pct=Decimal(self.random.randrange(5, 40)) / 10,
                    take_profit_pct=Decimal(self.random.randrange(10, 90)) / 10,
                    max_open_trades=self.random.randrange(1, 6),
                    order_type=self.random.choice(Deployment.OrderType.values),
                    capital=Decimal(self.random.randrange(5, 41) * 500),
                    started_at=strategy.created_at + timedelta(hours=1),
                    stopped_at=self.now - timedelta(days=31) if status == "stopped" else None,
                )
            )
        return Deployment.objects.bulk_create(rows)

    def make_trades(self, deployments, count):
        """The newest few are minutes old; the very newest of them are open."""
        running = [deployment for deployment in deployments if deployment.status == "active"]
        recent = min(count, 4)
        rows = [self.past_trade(self.random.choice(deployments)) for _ in range(count - recent)]
        rows += [self.recent_trade(self.random.choice(running), place) for place in range(recent)]
        return Trade.objects.bulk_create(sorted(rows, key=lambda trade: trade.taken_at), batch_size=BATCH)

    def past_trade(self, deployment):
        end = deployment.stopped_at or self.now - timedelta(hours=2)
        held = timedelta(seconds=self.random.randrange(300, 2 * 24 * 3600))
        span = end - held - deployment.started_at
        taken_at = deployment.started_at + timedelta(
            milliseconds=self.random.randrange(span // timedelta(milliseconds=1))
        )
        return self.trade(deployment, taken_at, taken_at + held)

    def recent_trade(self, deployment, place):
        taken_at = self.now - timedelta(seconds=60 + 180 * place + self.random.randrange(60))
        is_open = place < 2
        return self.trade(deployment, taken_at, None if is_open else taken_at + timedelta(seconds=45))

    def trade(self, deployment, taken_at, closed_at):
        instrument = self.instruments[deployment.strategy.name]
        side = self.random.choice(Trade.Side.values)
        direction = 1 if side == "long" else -1
        entry = instrument.price + self.random.randint(-instrument.swing, instrument.swing) * instrument.tick
        # A little more won than lost; the one in between, breakeven, happens as well.
        move = self.random.randint(-instrument.swing // 5, instrument.swing // 4) * direction * instrument.tick
        notional = entry * instrument.quantity * instrument.multiplier
        fees = (notional * Decimal("0.0002")).quantize(CENT)
        gross = direction * move * instrument.quantity * instrument.multiplier
        return Trade(
            user=self.user,
            strategy=deployment.strategy,
            deployment=deployment,
            symbol=instrument.symbol,
            side=side,
            quantity=instrument.quantity,
            entry_price=entry,
            exit_price=entry + move if closed_at else None,
            strike=instrument.strike,
            stop_loss=entry - direction * instrument.swing // 4 * instrument.tick,
            target=entry + direction * instrument.swing // 3 * instrument.tick,
            fees=fees,
            result=gross.quantize(CENT) - fees if closed_at else None,
            taken_at=taken_at,
            closed_at=closed_at,
        )

    def make_orders(self, trades):
        """An entry for each trade, an exit for each closed one, and now and then a limit order that never filled."""
        rows = []
        for trade in trades:
            entry_side, exit_side = ("buy", "sell") if trade.side == "long" else ("sell", "buy")
            rows.append(self.filled_order(trade, entry_side, trade.entry_price, trade.taken_at, len(rows)))
            if trade.closed_at:
                rows.append(self.filled_order(trade, exit_side, trade.exit_price, trade.closed_at, len(rows)))
            if self.random.random() < 0.05:
                rows.append(self.unfilled_order(trade, entry_side, len(rows)))
        return Order.objects.bulk_create(rows, batch_size=BATCH)

    def filled_order(self, trade, side, price, filled_at, number):
        tick = self.instruments[trade.strategy.name].tick
        cost = tick if side == "buy" else -tick
        delay, execution = self.random.choice((-1, 0, 0, 0, 1, 2)), self.random.choice((-1, 0, 0, 1, 1, 3, 9))
        arrival = price - execution * cost
        fate = self.random.random()
        # On a skewed clock the fill comes before its acknowledgement.
        fill = -self.milliseconds(2.5) if fate < 0.02 else self.milliseconds(3.6)
        acknowledged_at = filled_at - fill
        sent_at = min(acknowledged_at, filled_at) - self.milliseconds(4.7)
        return Order(
            user=self.user,
            strategy=trade.strategy,
            deployment=trade.deployment,
            trade=trade,
            external_id=f"demo-{number + 1}",
            symbol=trade.symbol,
            side=side,
            order_type="market",
            quantity=trade.quantity,
            filled_quantity=trade.quantity,
            expected_price=None if 0.02 <= fate < 0.04 else arrival - delay * cost,
            arrival_price=arrival,
            filled_price=price,
            signal_at=sent_at - self.milliseconds(3.0),
            sent_at=sent_at,
            acknowledged_at=None if 0.04 <= fate < 0.05 else acknowledged_at,
            filled_at=filled_at,
        )

    def unfilled_order(self, trade, side, number):
        signal_at = trade.taken_at - timedelta(seconds=30)
        sent_at = signal_at + self.milliseconds(3.0)
        return Order(
            user=self.user,
            strategy=trade.strategy,
            deployment=trade.deployment,
            external_id=f"demo-{number + 1}",
            symbol=trade.symbol,
            side=side,
            order_type="limit",
            quantity=trade.quantity,
            expected_price=trade.entry_price,
            signal_at=signal_at,
            sent_at=sent_at,
            acknowledged_at=sent_at + self.milliseconds(4.7),
        )

    def milliseconds(self, mu):
        """A latency with the long tail that latencies have; its median is e**mu milliseconds."""
        return timedelta(microseconds=round(1000 * min(self.random.lognormvariate(mu, 0.5), 5000)))

    def make_scanners(self):
        rows = [
            Scanner(
                user=self.user,
                name=name,
                symbol=symbol,
                criteria=criteria,
                created_at=self.now - timedelta(days=60 - place, minutes=self.random.randrange(600)),
                deleted_at=self.now - timedelta(days=7) if place == 2 and self.index % 2 else None,
            )
            for place, (name, symbol, criteria) in enumerate(
                [
                    ("Oversold majors", "", {"indicator": "rsi", "below": 30}),
                    ("Volume spike", "BTC/USDT", {"indicator": "volume", "above_average": 3}),
                    ("Gap up", "AAPL", {"indicator": "gap", "percent": 2}),
                ]
            )
        ]
        return Scanner.objects.bulk_create(rows)
