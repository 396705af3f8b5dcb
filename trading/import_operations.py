"""
Operations that bring a trader's history in: trades and orders from files.

One import is one transaction and one audit event of the trader's. Rows go in by batches, so that a file of any
length needs the same memory.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal, localcontext

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max

from accounts import staff_operations
from accounts.models import Broker, User
from support_platform import audit
from support_platform.decimals import MAX_DIGITS, check_fits, format_decimal
from support_platform.exceptions import InvalidChange, OutOfReach
from support_platform.instants import format_instant, parse_instant
from support_platform.locking import lock, refused_if_taken

from .bulk_insert import Among, RowRefused, bulk_insert
from .import_columns import by_time
from .models import Deployment, Order, Strategy, Trade

CENT = Decimal("0.01")
STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
# What support may correct in a trade; where it did, the file is no longer the truth.
CORRECTABLE = frozenset({"taken_at", "closed_at", "strike", "result"})


@dataclass
class Outcome:
    """What an import did. `faults` maps the line of each rejected row to its (column, what is wrong) pairs."""

    user: User
    read: int = 0
    imported: int = 0
    already_there: int = 0
    rounded: int = 0
    strategies_created: int = 0
    deployments_created: int = 0
    faults: dict = field(default_factory=dict)

    @property
    def rejected(self):
        return len(self.faults)


class RowsRefused(Exception):
    """
    Some rows are bad, and none was to be skipped: `outcome.faults` names every one. Or the database refuses one that
    looked good: it is among them, and rows after it are not looked at. Nothing is kept.
    """

    def __init__(self, outcome):
        outcome.imported = outcome.rounded = outcome.strategies_created = outcome.deployments_created = 0
        super().__init__(f"{outcome.rejected} of {outcome.read} rows are bad; nothing was imported.")
        self.outcome = outcome


@transaction.atomic
def import_trades(batches, *, by, email, broker, source, capital, mode=Deployment.Mode.LIVE, set_aside=None):
    """
    Bring in the trades of one trader; `batches` are imports.Batch, with `external_id` among their values. They are
    read by a thread of its own, so what yields them must not ask the database.

    `source` is where they come from, for the audit trail.
    Makes the broker, the trader, the strategies (found by exact name among the kept ones) and one deployment per
    strategy in this mode where missing. `capital` is the account's starting capital, shared over the deployments
    that are made. A trade that is there already is left alone; a good row that says otherwise is a bad row.
    `set_aside` takes the faults of the bad rows, as Outcome has them, and keeps them; if it cannot, nothing is kept.

    :raises OutOfReach: if the address is that of staff or of another broker's trader
    :raises InvalidChange: if the capital cannot be shared
    :raises RowsRefused: for bad rows, without `set_aside`
    """
    user, is_new = _find_or_add_trader(email, broker, by)
    intake = _Intake(Trade.objects.select_related("strategy"), user, "external_id")
    homes = _Homes(user, mode)
    for batch in _read_ahead(batches):
        intake.sift(batch)
        values = batch.values
        found = homes.of_all(values.pop("strategy"), values["taken_at"])
        values["strategy_id"], values["deployment_id"] = found
        intake.insert(batch)
    homes.settle(capital)
    return _finish("trades.imported", intake, homes, is_new, by, source, set_aside)


@transaction.atomic
def import_orders(batches, *, by, email, broker, source, strategy=None, set_aside=None):
    """
    Bring in the orders of one trader; `batches` are imports.Batch.

    An order that names a trade takes that trade's strategy and deployment; the others belong to the strategy of
    that name, made with one deployment where missing, or to none.

    :raises OutOfReach: if the address is that of staff or of another broker's trader
    :raises RowsRefused: for bad rows, without `set_aside` (as in import_trades)
    """
    user, is_new = _find_or_add_trader(email, broker, by)
    intake = _Intake(Order.objects.all(), user, "order_id")
    homes = _Homes(user)
    for batch in _read_ahead(batches):
        homes_of_trades = _link_trades(batch, user)
        intake.sift(batch)
        values = batch.values
        stamps = zip(*(values[name] for name in STAMPS), strict=True)
        names = [None if trade in homes_of_trades else strategy for trade in values["trade_id"]]
        own = zip(*homes.of_all(names, [next(filter(None, four), None) for four in stamps]), strict=True)
        found = [homes_of_trades.get(trade, home) for trade, home in zip(values["trade_id"], own, strict=True)]
        values["strategy_id"], values["deployment_id"] = map(list, zip(*found, strict=True)) if found else ([], [])
        intake.insert(batch)
    homes.settle()
    return _finish("orders.imported", intake, homes, is_new, by, source, set_aside)


def _find_or_add_trader(email, broker_name, by):
    """(the trader, whether it is new). A new one is on record only with the import: what is recorded blocks others."""
    broker = Broker.objects.filter(name__iexact=broker_name).first()
    broker = broker or staff_operations.create_broker(broker_name, by=by)
    user = User.objects.filter(email=User.objects.normalize_email(email)).first()
    if user is None:
        with refused_if_taken("email_taken", f"There is an account with the address {email} already."):
            return User.objects.create_user(email, broker=broker), True
    if user.is_staff or user.is_superuser or user.broker_id != broker.pk:
        raise OutOfReach(f"{user.email} is another account's address, not that of a trader of {broker.name}.")
    return lock(user), False


def _read_ahead(batches):
    """The batches, the next of them read by a thread of its own while the database takes the one before."""
    batches = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while batch := coming.result():
            coming = reader.submit(next, batches, None)
            yield batch


def _link_trades(batch, user):
    """Replace the `trade` of each row (an external_id) by `trade_id`; (strategy, deployment) of the trades, by id."""
    names = batch.values.pop("trade", None) or [None] * len(batch.lines)
    asked = set(names) - {None}
    homes, ids = {}, {None: None}
    if asked:
        trades = Trade.objects.filter(Among(F("external_id"), list(asked)), user=user)
        for name, pk, *home in trades.values_list("external_id", "pk", "strategy_id", "deployment_id"):
            ids[name], homes[pk] = pk, home
    batch.values["trade_id"] = list(map(ids.get, names))
    if unknown := asked - ids.keys():
        told = "The trader has no trade with the external_id {}. Import trades first."
        faults = {at: [("trade", told.format(name))] for at, name in enumerate(names) if name in unknown}
        batch.reject(faults)
    return homes


class _Intake:
    """Tells the rows that are new from those that are there already and those that are bad, and counts."""

    def __init__(self, queryset, user, key):
        self.queryset, self.key = queryset.filter(user=user), key
        self.outcome = Outcome(user)
        # Rows past this one were made by this import: the trader is locked, so by nobody else.
        self.last_id = self.queryset.aggregate(last=Max("pk"))["last"] or 0

    def sift(self, batch):
        """Leave in it the rows that are to be made, each with its `external_id`."""
        outcome, names = self.outcome, batch.values.pop(self.key)
        outcome.read += len(batch.lines) + len(batch.faults)
        batch.values["external_id"] = names
        if len(set(names)) < len(names):
            self._reject_repeated(batch)
        # Where there was nothing before, rows of lines are new: nobody else can have added any.
        if self.last_id or not batch.is_named_by_line:
            self._leave_out_existing(batch)
        outcome.faults |= dict(sorted(batch.faults.items()))
        outcome.imported += len(batch.lines)
        if batch.rounded:
            outcome.rounded += sum(batch.rounded.get(line, 0) for line in batch.lines)

    def insert(self, batch):
        """
        :raises RowsRefused: if the table refuses one that has passed every check before
        """
        try:
            bulk_insert(self.queryset.model, batch.values | {"user_id": self.outcome.user.pk})
        except RowRefused as refusal:
            self.outcome.faults[batch.lines[refusal.position]] = [("line", f"The database refuses it: {refusal}.")]
            raise RowsRefused(self.outcome) from refusal

    def _reject_repeated(self, batch):
        first, faults = {}, {}
        for position, (name, line) in enumerate(zip(batch.values["external_id"], batch.lines, strict=True)):
            if first.setdefault(name, line) != line:
                faults[position] = [(self.key, f"{name} stands in line {first[name]} already.")]
        batch.reject(faults)

    def _leave_out_existing(self, batch):
        existing = self.queryset.filter(Among(F("external_id"), batch.values["external_id"]))
        if not existing:
            return
        places = {name: position for position, name in enumerate(batch.values["external_id"])}
        faults, same = {}, set()
        for there in existing:
            position = places[there.external_id]
            row = {name: values[position] for name, values in batch.values.items()}
            if there.pk > self.last_id:
                faults[position] = f"{there.external_id} stands in an earlier line already."
            elif differing := _differences(there, row):
                faults[position] = f"{there.external_id} is there already with other values: {differing}."
            else:
                same.add(position)
        self.outcome.already_there += len(same)
        batch.faults |= {batch.lines[position]: [(self.key, text)] for position, text in faults.items()}
        batch.leave_out(same | faults.keys())


def _differences(existing, values):
    """Where a row of the file differs from the one that is there, in words; empty where it does not."""
    ignored = CORRECTABLE if getattr(existing, "is_corrected", False) else ()
    told = []
    for name, value in values.items():
        if name == "strategy":
            there = existing.strategy.name
        else:
            there, value = getattr(existing, name), existing._meta.get_field(name).to_python(value)
        if there != value and name not in ignored:
            told.append(f"{name} {_shown(there)} there, {_shown(value)} here")
    return "; ".join(told)


def _shown(value):
    if isinstance(value, Decimal):
        return format_decimal(value)
    if hasattr(value, "astimezone"):
        return format_instant(value)
    return "empty" if value in (None, "") else str(value)


class _Homes:
    """The strategy and the deployment that rows belong to, found or made when the first row asks."""

    def __init__(self, user, mode=None):
        self.user, self.mode = user, mode
        self.found = {}
        self.strategies_created = 0
        self.made = {}  # the deployments that this import makes, by id

    def of_all(self, names, instants):
        """(ids of the strategies, ids of the deployments) of rows with these names; of None they are None."""
        earliest = {}
        for name, at in zip(names, instants, strict=True):
            if name not in earliest or (at and (not earliest[name] or by_time(at) < by_time(earliest[name]))):
                earliest[name] = at
        earliest.pop(None, None)
        homes = {name: self.of(name, at and parse_instant(at)) for name, at in earliest.items()}
        ids = [{name: home[place].pk for name, home in homes.items()} for place in (0, 1)]
        return [list(map(known.get, names)) for known in ids]

    def of(self, name, at):
        """The strategy of that name and its deployment; one that is made starts with the earliest row."""
        if name not in self.found:
            strategy = self._find_or_create_strategy(name)
            self.found[name] = strategy, self._find_or_create_deployment(strategy, at)
        strategy, deployment = self.found[name]
        if at is not None and at < deployment.started_at and deployment.pk in self.made:
            deployment.started_at = at
        return strategy, deployment

    def settle(self, capital=None):
        """Write what is known of the new deployments only now: when they started and their share of the capital."""
        made = list(self.made.values())
        shares = _shares(capital, len(made)) if capital is not None and made else [None] * len(made)
        for deployment, share in zip(made, shares, strict=True):
            deployment.capital = share
            deployment.save(update_fields=["capital", "started_at"])

    def _find_or_create_strategy(self, name):
        kept = Strategy.objects.kept().filter(user=self.user, name=name).order_by("pk")
        strategy = kept.select_for_update().first()
        if strategy is None:
            strategy = Strategy.objects.create(user=self.user, name=name)
            self.strategies_created += 1
        return strategy

    def _find_or_create_deployment(self, strategy, at):
        rows = Deployment.objects.filter(user=self.user, strategy=strategy)
        if self.mode is not None:
            rows = rows.filter(mode=self.mode)
        deployment = rows.order_by("pk").first()
        if deployment is None:
            # An import sets nothing running for an account that is closed.
            status = Deployment.Status.ACTIVE if self.user.is_active else Deployment.Status.PAUSED
            known = {"mode": self.mode} if self.mode else {}
            known |= {"started_at": at} if at else {}
            deployment = Deployment.objects.create(user=self.user, strategy=strategy, status=status, **known)
            self.made[deployment.pk] = deployment
        return deployment


def _shares(capital, count):
    """
    The capital in equal shares, rounded down to cents, what is left over on the first: their sum is exactly it.

    :raises InvalidChange: if it is not more than 0, cannot be kept, or is too small for that many shares
    """
    with localcontext(prec=2 * MAX_DIGITS):
        share = (capital / count).quantize(CENT, ROUND_DOWN) if count > 1 else capital
        shares = [capital - share * (count - 1)] + [share] * (count - 1)
    try:
        for amount in shares[:2]:
            check_fits(amount)
    except ValidationError as error:
        raise InvalidChange(capital=(error.code, error.message)) from None
    if share <= 0:
        raise InvalidChange(capital=("too_small", f"Is too small to be shared over {count} deployments."))
    return shares


def _finish(action, intake, homes, is_new, by, source, set_aside):
    """Refuse, or record what was done. Where nothing was, nothing is kept: not even a trader made on the way."""
    outcome = intake.outcome
    outcome.strategies_created = homes.strategies_created
    outcome.deployments_created = len(homes.made)
    if outcome.faults and not set_aside:
        raise RowsRefused(outcome)
    if outcome.faults:
        set_aside(outcome.faults)
    if not outcome.imported:
        transaction.set_rollback(True)
        return outcome
    if is_new:
        staff_operations.record_new_trader(outcome.user, by=by)
    counts = ("imported", "already_there", "rejected", "rounded", "strategies_created", "deployments_created")
    audit.record(
        action,
        outcome.user,
        by=by,
        owner=outcome.user,
        changes={"source": (None, source)} | {name: (None, getattr(outcome, name)) for name in counts},
    )
    return outcome
