"""Reads that need thought: a trader's story, from every table that tells a part of it."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, Value
from django.db.models.fields.tuple_lookups import TupleGreaterThan, TupleLessThan

from accounts.mail import masked
from accounts.models import OutgoingMail, User
from support_platform.bounded import rows_of_all
from support_platform.decimals import format_decimal
from support_platform.models import AuditEvent

from .models import Deployment, Trade


@dataclass(frozen=True)
class Entry:
    """One moment of the story. The subject is the row it is about; `event` is what the audit trail has of it."""

    at: datetime
    kind: str
    row_id: int
    subject_type: str
    subject_id: int | None
    summary: str
    event: AuditEvent | None

    @property
    def place(self):
        """Its place in the story, which no other entry has."""
        return self.at, self.kind, self.row_id

    @property
    def pk(self):
        return f"{self.kind}:{self.row_id}"


@dataclass(frozen=True)
class Source:
    """
    The rows that give the entries of one kind, each at the instant in `column`, to whoever has `right`.

    `rows(trader, staff)` are those of one trader, served in order by an index that begins with the trader where there
    can be many. `tell(row)` is (subject type, subject id, summary).
    """

    rows: Callable
    column: str
    right: str
    tell: Callable


def _tell_event(event):
    words = event.action.rpartition(".")[2].replace("_", " ").capitalize()
    fields = ", ".join(sorted(event.changes))
    return event.subject_type, event.subject_id, f"{words}: {fields}" if fields else words


def _tell_mail(mail):
    state = "sent" if mail.sent_at else "dropped" if mail.dropped_at else "waiting"
    return "user", mail.user_id, f"Mail ({mail.get_kind_display().lower()}) to {masked(mail.to)}: {state}"


def _tell_deployment(verb):
    def tell(deployment):
        where = f" on {deployment.symbol}" if deployment.symbol else ""
        text = f"{verb} a {deployment.mode} deployment of {deployment.strategy.name}{where}"
        return "deployment", deployment.pk, text

    return tell


def _tell_taken(trade):
    price, quantity = format_decimal(trade.entry_price), format_decimal(trade.quantity)
    return "trade", trade.pk, f"Took {quantity} {trade.symbol} {trade.side} at {price}"


def _tell_closed(trade):
    return "trade", trade.pk, f"Closed {trade.symbol} {trade.side}: {trade.outcome}, {format_decimal(trade.result)}"


def _mails(**lookups):
    return lambda trader, staff: OutgoingMail.objects.filter(user=trader.pk, **lookups)


def _deployments(trader, staff):
    return Deployment.objects.filter(user=trader.pk)


def _trades(trader, staff):
    return Trade.objects.filter(user=trader.pk)


# What is told of a row of this model besides its own columns.
_RELATED = {Deployment: ["strategy"]}
_OF_RESETS = {"kind": OutgoingMail.Kind.PASSWORD_RESET}
_OF_OTHERS = {"kind__in": [kind for kind in OutgoingMail.Kind.values if kind != OutgoingMail.Kind.PASSWORD_RESET]}
SOURCES = {
    "audit": Source(
        lambda trader, staff: AuditEvent.objects.visible_to(staff).filter(user=trader.pk),
        "at",
        "accounts.view_user",
        _tell_event,
    ),
    "login": Source(
        lambda trader, staff: User.objects.filter(pk=trader.pk),
        "last_login",
        "accounts.view_user",
        lambda user: ("user", user.pk, "Last login"),
    ),
    "reset": Source(_mails(**_OF_RESETS), "created_at", "accounts.view_user", _tell_mail),
    "mail": Source(_mails(**_OF_OTHERS), "created_at", "accounts.view_user", _tell_mail),
    "deployment_started": Source(_deployments, "started_at", "trading.view_deployment", _tell_deployment("Started")),
    "deployment_stopped": Source(_deployments, "stopped_at", "trading.view_deployment", _tell_deployment("Stopped")),
    "trade_taken": Source(_trades, "taken_at", "trading.view_trade", _tell_taken),
    "trade_closed": Source(_trades, "closed_at", "trading.view_trade", _tell_closed),
}


class Timeline:
    """
    One trader's story as a staff member may see it, in the order of (instant, kind, id of the row).

    One statement asks each table for no more places than the page has, by an index; then only the rows that stand on
    the page are read. It costs the same for a trader with ten trades and with a million.
    """

    def __init__(self, trader, staff, *, kind=None, at_after=None, at_before=None):
        """Half-open: from `at_after` until before `at_before`."""
        self.parts = {}
        for name, source in SOURCES.items():
            if kind in (None, name) and staff.has_perm(source.right):
                span = {f"{source.column}__gte": at_after, f"{source.column}__lt": at_before}
                span = {lookup: instant for lookup, instant in span.items() if instant is not None}
                rows = source.rows(trader, staff).filter(**span, **{f"{source.column}__isnull": False})
                self.parts[name] = source, rows

    def count(self, limit):
        """How many entries there are; of one kind none beyond the limit are counted."""
        return sum(rows[:limit].count() for _, rows in self.parts.values())

    def entries(self, limit, *, beyond=None, descending=True):
        """The first `limit` entries, of those beyond a `place` when it is given."""
        sign, asked = "-" if descending else "", []
        for kind, (source, rows) in self.parts.items():
            if beyond is not None:
                rows = rows.filter(_beyond(beyond, kind, source.column, descending))
            rows = rows.order_by(f"{sign}{source.column}", f"{sign}id")
            asked.append(rows.values_list(source.column, Value(kind), "id")[:limit])
        return self._told(sorted(rows_of_all(asked), reverse=descending)[:limit])

    def _told(self, places):
        """The entries at these places. A row that has gone since the places were read is left out."""
        ids = defaultdict(set)
        for _, kind, row_id in places:
            ids[self._model(kind)].add(row_id)
        found = {
            model: model.objects.select_related(*_RELATED.get(model, [None])).in_bulk(wanted)
            for model, wanted in ids.items()
        }
        told = ((at, kind, found[self._model(kind)].get(row_id)) for at, kind, row_id in places)
        return [_entry(at, kind, self.parts[kind][0], row) for at, kind, row in told if row is not None]

    def _model(self, kind):
        return self.parts[kind][1].model


def _beyond(place, kind, column, descending):
    """What a row of this kind must be to stand beyond the place: at its very instant the kind decides, then the id."""
    at, kind_there, row_id = place
    if kind == kind_there:
        compare = TupleLessThan if descending else TupleGreaterThan
        return compare((F(column), F("id")), (at, row_id))
    comes_later = kind < kind_there if descending else kind > kind_there
    return Q(**{f"{column}__{'lt' if descending else 'gt'}{'e' if comes_later else ''}": at})


def _entry(at, kind, source, row):
    event = row if isinstance(row, AuditEvent) else None
    return Entry(at, kind, row.pk, *source.tell(row), event)
