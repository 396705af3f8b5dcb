"""
Random changes of trades and orders from one seed: imports, corrections, reopenings and closings by the platform's
operations; rows written, rewritten, moved and deleted by SQL straight into the database.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from django.db import connection, transaction
from django.db.models import F, Max, Min

from analytics.queries import Span
from support_platform.audit import Actor
from support_platform.instants import format_instant
from trading.import_operations import import_orders, import_trades
from trading.imports import Batch
from trading.models import Deployment, Order, Trade
from trading.operations import correct_trade

START = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = "history"
# Beyond so many rows a history deletes more than it adds.
MOST = 300


class History:
    """The changes, some for each call of `step`; `kinds` counts them. Two may go on side by side, from two seeds."""

    def __init__(self, deployments, seed, name="", statements=10):
        """`statements`: how many, at most, are in one transaction."""
        self.random, self.deployments, self.name = Random(seed), deployments, name
        self.most = statements
        self.users = {deployment.user_id for deployment in deployments}
        self.by, self.names, self.kinds, self.ids = Actor("command"), 0, Counter(), {}
        self.operations = {
            self.import_trades: 1,
            self.import_orders: 1,
            self.correct: 4,
            self.reopen: 2,
            self.close: 2,
        }
        self.statements = {
            self.insert_trades: 3,
            self.insert_orders: 3,
            self.close_by_sql: 2,
            self.correct_by_sql: 4,
            self.rewrite: 3,
            self.reopen_by_sql: 1,
            self.move: 1,
            self.change_orders: 4,
            self.assign_orders: 2,
            self.change_capital: 1,
            self.delete_trades: 4,
            self.delete_orders: 4,
        }

    def step(self):
        """An operation, or some statements in one transaction; those that find no row do not count."""
        if self.random.random() < 0.3:
            self._do(self.operations)
            return
        before = self.kinds.copy()
        try:
            with transaction.atomic():
                for _ in range(self.random.randint(1, self.most)):
                    self._do(self.statements)
        except BaseException:
            self.kinds = before
            raise

    def _do(self, changes):
        change = self.random.choices(list(changes), list(changes.values()))[0]
        self.kinds[change.__name__] += bool(change())

    # --- by the operations --------------------------------------------------------------------------------------
    def import_trades(self):
        deployment = self.random.choice(self.deployments)
        rows = [self._trade() | {"strategy": deployment.strategy.name} for _ in range(self.random.randint(1, 6))]
        return import_trades(self._file(rows), **self._destination(deployment), capital=None)

    def import_orders(self):
        deployment = self.random.choice(self.deployments)
        names = self._some_trades(3, user=deployment.user, external_id__isnull=False)
        names = [*names.values_list("external_id", flat=True), None]
        rows = [self._order() | {"trade": self.random.choice(names)} for _ in range(self.random.randint(1, 6))]
        return import_orders(self._file(rows), **self._destination(deployment), strategy=deployment.strategy.name)

    def correct(self):
        values = {"result": self.amount()}
        if self.random.random() < 0.5:
            closed_at = self.instant()
            values |= {"closed_at": closed_at, "taken_at": closed_at - timedelta(hours=1)}
        return self._correct(values, closed_at__isnull=False)

    def reopen(self):
        return self._correct({"closed_at": None}, closed_at__isnull=False)

    def close(self):
        return self._correct({"closed_at": START + timedelta(days=50), "result": self.amount()}, closed_at__isnull=True)

    def _correct(self, values, **lookups):
        trade = self._some_trades(1, **lookups).first()
        return trade and correct_trade(trade, by=self.by, now=START + timedelta(days=99), **values)

    # --- by SQL, whoever writes it ------------------------------------------------------------------------------
    def insert_trades(self):
        made = []
        for _ in range(self.random.randint(1, 8)):
            deployment = self.random.choice(self.deployments)
            place = {"user": deployment.user, "strategy": deployment.strategy, "deployment": deployment}
            made.append(Trade(**place, **self._trade()))
        return Trade.objects.bulk_create(made)

    def insert_orders(self):
        made = []
        for trade in self._some_trades(8):
            values = self._order()
            place = {name: getattr(trade, name) for name in ("user_id", "strategy_id", "deployment_id")}
            made.append(Order(**place, trade_id=trade.pk, external_id=values.pop("order_id"), **values))
        return Order.objects.bulk_create(made)

    def close_by_sql(self):
        closed_at = F("taken_at") + timedelta(seconds=5)
        return self._some_trades(9, closed_at__isnull=True).update(closed_at=closed_at, result=self.amount())

    def correct_by_sql(self):
        return self._some_trades(2, closed_at__isnull=False).update(result=self.amount())

    def reopen_by_sql(self):
        return self._some_trades(2).update(closed_at=None, result=None)

    def rewrite(self):
        first = self._first(Trade)
        values = [str(abs(self.amount())), first, first + 100, self.random.randint(2, 40)]
        return sql("UPDATE trading_trade SET fees = %s WHERE id BETWEEN %s AND %s AND id %% %s = 1", *values)

    def move(self):
        to = self.random.choice(self.deployments)
        place = {"deployment": to, "strategy": to.strategy_id, "user": to.user_id}
        return self._some_trades(3).update(**place, external_id=None)

    def change_orders(self):
        changes = [{"filled_price": abs(self.amount())}, {"trade": None}, {"side": "sell"}, self._stamps()]
        changes += [{"filled_at": self.instant()}, {"signal_at": None}, {"symbol": "EUR/USD"}]
        changes += [{"expected_price": 0}, {"arrival_price": abs(self.amount())}, {"filled_quantity": None}]
        return self._some_orders(3).update(**self.random.choice(changes))

    def assign_orders(self):
        trade = self._some_trades(1).first()
        return trade and self._some_orders(2).update(trade=trade)

    def change_capital(self):
        capital = self.random.choice([None, Decimal("0.5"), abs(self.amount()) + 1])
        return Deployment.objects.filter(pk=self.random.choice(self.deployments).pk).update(capital=capital)

    def delete_trades(self):
        return self._delete(
            "trading_trade t", Trade, "NOT EXISTS (SELECT 1 FROM trading_order o WHERE o.trade_id = t.id)"
        )

    def delete_orders(self):
        return self._delete("trading_order t", Order, "1 = 1")

    def _delete(self, table, model, where):
        most = self.random.randint(1, 5 if model.objects.count() < MOST else 30)
        found = f"SELECT t.id FROM {table} WHERE t.id >= %s AND {where} ORDER BY t.id LIMIT %s"
        return sql(f"DELETE FROM {table.split()[0]} WHERE id IN ({found})", self._first(model), most)

    # --- dice ---------------------------------------------------------------------------------------------------
    def instant(self):
        """A few are often the same."""
        minutes = self.random.choice([self.random.randrange(60 * 24 * 40), 90 * self.random.randrange(40)])
        return START + timedelta(minutes=minutes, microseconds=self.random.choice([0, 0, 1]))

    def amount(self):
        return Decimal(self.random.randrange(-(10**6), 10**6)).scaleb(-self.random.choice([0, 2, 12]))

    def span(self):
        edges = sorted([self.instant(), self.instant()])
        return self.random.choice([Span(), Span(), Span(*edges), Span(since=edges[0]), Span(until=edges[1])])

    def _trade(self):
        self.names += 1
        closed_at, is_open = self.instant(), self.random.random() < 0.15
        return {
            "external_id": f"{self.name} trade {self.names}",
            "symbol": "EUR/USD",
            "side": "long",
            "quantity": Decimal(1),
            "entry_price": Decimal(1),
            "fees": abs(self.amount()),
            "result": None if is_open else self.amount(),
            "taken_at": closed_at - timedelta(microseconds=self.random.randrange(10**10)),
            "closed_at": None if is_open else closed_at,
        }

    def _order(self):
        self.names += 1
        names = ("expected_price", "arrival_price", "filled_price", "filled_quantity")
        return {
            "order_id": f"{self.name} order {self.names}",
            "symbol": self.random.choice(["EUR/USD", "a, b", "{c}"]),
            "side": self.random.choice(["buy", "sell"]),
            **self._stamps(),
            **{name: abs(self.amount()) if self.random.random() < 0.9 else None for name in names},
        }

    def _stamps(self):
        """Sometimes one is missing, or all are; gaps of very different size, some of them negative."""
        at, found = self.instant(), {}
        for name in ("signal_at", "sent_at", "acknowledged_at", "filled_at"):
            at += timedelta(microseconds=int(self.random.lognormvariate(8, 3)) - self.random.choice([0, 0, 0, 900]))
            found[name] = at if self.random.random() < 0.95 else None
        return found if self.random.random() < 0.97 else dict.fromkeys(found)

    def _some_trades(self, most, **lookups):
        return self._some(Trade, most, lookups | {"user__in": self.users})

    def _some_orders(self, most, **lookups):
        return self._some(Order, most, lookups | {"user__in": self.users})

    def _some(self, model, most, lookups):
        """From 1 to `most` rows that stand together, as a queryset that can be changed."""
        rows = model.objects.filter(pk__gte=self._first(model), **lookups).order_by("pk").values("pk")
        return model.objects.filter(pk__in=rows[: self.random.randint(1, most)])

    def _first(self, model):
        """Where to begin: any id, more or less; which there are is looked at now and then."""
        uses, least, greatest = self.ids.get(model, (0, 0, 0))
        if not uses:
            uses, (least, greatest) = 20, model.objects.aggregate(Min("pk"), Max("pk")).values()
        self.ids[model] = uses - 1, least, greatest
        return (least or 0) + self.random.randrange(max(1, (greatest or 0) - (least or 0) - 5))

    def _file(self, rows):
        shown = [
            {name: format_instant(value) if isinstance(value, datetime) else value for name, value in row.items()}
            for row in rows
        ]
        columns = {name: [row[name] for row in shown] for name in shown[0]}
        return [Batch(list(range(2, 2 + len(rows))), columns)]

    def _destination(self, deployment):
        user = deployment.user
        return {"by": self.by, "email": user.email, "broker": user.broker.name, "source": SOURCE}


def sql(text, *params):
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        return cursor.rowcount
