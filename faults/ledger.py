"""
Whether the rows and the audit trail tell the same story.

The trail is played back over the rows as they were at the start. Each event must begin where the one before it ended,
and what comes out must be the rows as they are, versions and money exactly. A change without its event, an event
without its change, a change kept twice and one kept in part: each leaves a difference.
"""

from datetime import datetime
from decimal import Decimal

# What a trader's rows hold and the trail tells of. `status` is how the trail names it.
COLUMNS = {
    "user": ("email", "pending_email", "phone", "status"),
    "strategy": ("deleted_at", "published_at"),
    "deployment": (
        "status",
        "quantity",
        "stop_loss_pct",
        "take_profit_pct",
        "max_open_trades",
        "order_type",
        "capital",
    ),
    "trade": ("taken_at", "closed_at", "strike", "result", "is_corrected"),
    "scanner": ("deleted_at",),
}
TABLES = {
    "user": "accounts_user",
    "strategy": "trading_strategy",
    "deployment": "trading_deployment",
    "trade": "trading_trade",
    "scanner": "trading_scanner",
}
# Entries of an event's changes that are no column of its subject's.
ELSEWHERE = {"deployments", "session", "attempted", "reverts"}
# Columns the trail names but no answer shows; what silently follows from another change is not told again.
UNSEEN = {"reset_expires_at", "session_version"}


def read_rows(connection):
    """{(type, id): {"version": ..., column: value}} of every trader's rows, over one database connection."""
    rows = {}
    for kind, table in TABLES.items():
        columns = [_expression(kind, name) for name in COLUMNS[kind]]
        traders = " WHERE NOT is_staff" if kind == "user" else ""
        names = ("id", "version", *COLUMNS[kind])
        for values in connection.execute(f"SELECT id, version, {', '.join(columns)} FROM {table}{traders}"):
            row = dict(zip(names, values, strict=True))
            rows[kind, row.pop("id")] = row
    return rows


class Ledger:
    """
    The rows as the trail tells them.

    `history` is {(type, id): {version: columns}}, every state a row has had since the start; `faults` says in words
    where the trail contradicts itself.
    """

    def __init__(self, rows):
        self.rows = {key: dict(row) for key, row in rows.items()}
        self.history = {key: {row["version"]: dict(row)} for key, row in rows.items()}
        self.faults = []

    def play(self, events):
        """Each a `stand.Event`, in the order of their ids."""
        for event in events:
            subject = (event.subject_type, event.subject_id)
            own = {name: pair for name, pair in event.changes.items() if name not in ELSEWHERE}
            if own and subject in self.rows:
                if event.action == "trade.corrected":
                    own["is_corrected"] = (self.rows[subject]["is_corrected"], True)
                self._move(event, subject, own)
            before, after = event.changes.get("deployments") or ({}, {})
            for pk in after:
                self._move(event, ("deployment", int(pk)), {"status": (before[pk], after[pk])})

    def _move(self, event, subject, changes):
        row = self.rows[subject]
        row["version"] += 1
        for name, (before, after) in changes.items():
            if name in UNSEEN:
                continue
            if not same(row[name], before):
                self.faults.append(
                    f"event {event.id} ({event.request_id}) changes {name} of {subject} from {before!r}, "
                    f"but the trail left it at {row[name]!r}"
                )
            row[name] = after
        self.history[subject][row["version"]] = dict(row)

    def differences(self, rows):
        """The faults of the trail, and where the rows are not what it tells."""
        found = list(self.faults)
        for key, row in rows.items():
            told = self.rows.get(key)
            if told is None:
                found.append(f"{key} is a row that was not there at the start")
                continue
            found += [
                f"{key}: {name} is {value!r}, the trail tells {told[name]!r}"
                for name, value in row.items()
                if not same(told[name], value)
            ]
        return found + [f"{key} is gone" for key in self.rows.keys() - rows.keys()]


def same(one, other):
    """Two values are the same, whether as the database gives them or as the trail and the answers write them."""
    return _plain(one, other) == _plain(other, one)


def _plain(value, beside):
    if isinstance(value, str) and isinstance(beside, datetime):
        return datetime.fromisoformat(value)
    if isinstance(value, Decimal) or (isinstance(beside, Decimal) and not isinstance(value, bool | None)):
        return Decimal(str(value))
    if isinstance(value, str) and isinstance(beside, str) and value != beside:
        return _as_written(value)
    return value


def _as_written(text):
    """Two spellings of one instant or number are one value."""
    for read in (datetime.fromisoformat, Decimal):
        try:
            return read(text)
        except (ValueError, ArithmeticError):
            continue
    return text


def _expression(kind, name):
    return "CASE WHEN is_active THEN 'active' ELSE 'inactive' END" if (kind, name) == ("user", "status") else name
