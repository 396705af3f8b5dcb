"""Traders made to order, straight in the database: copies of a seeded one with one row of each kind."""

import json
from dataclasses import dataclass

FAMILY = {
    "user": ("accounts_user", {"is_active": True, "pending_email": None, "version": 1}),
    "strategy": ("trading_strategy", {"deleted_at": None, "published_at": None, "version": 1}),
    "deployment": ("trading_deployment", {"status": "active", "stopped_at": None, "version": 1}),
    "trade": (
        "trading_trade",
        {"taken_at": "2026-01-05T09:00:00Z", "closed_at": "2026-01-05T10:00:00Z", "result": "12.5",
         "is_corrected": False, "version": 1},
    ),
    "scanner": ("trading_scanner", {"deleted_at": None, "version": 1}),
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """The ids of one trader and of one row of each kind, and the trader's address."""

    user: int
    strategy: int
    deployment: int
    trade: int
    scanner: int
    email: str


def make_family(connection, name, **changed):
    """
    A trader NAME@demo.example with a strategy, an active deployment, a closed trade and a scanner; `changed` has
    columns by kind: ``strategy={"deleted_at": ...}``; "{name}" in a text is the trader's.
    """
    email = f"{name}@demo.example"
    [model] = connection.execute("SELECT min(id) FROM accounts_user WHERE NOT is_staff").fetchone()
    ids = {}
    for kind, (table, columns) in FAMILY.items():
        owned = {f"{name}_id": pk for name, pk in ids.items() if _has_column(connection, table, f"{name}_id")}
        if kind == "user":
            owned, source = {"email": email}, model
        else:
            first = f"SELECT min(id) FROM {table} WHERE user_id = %s"
            [source] = connection.execute(first, [model]).fetchone()
        own = {
            column: value.replace("{name}", name) if isinstance(value, str) else value
            for column, value in changed.get(kind, {}).items()
        }
        ids[kind] = copy_row(connection, table, source, {**columns, **owned, **own})
    return Family(**ids, email=email)


def copy_row(connection, table, pk, columns):
    """
    A row like that one, with an id of its own and these columns.

    :returns: its id
    """
    statement = f"""
        INSERT INTO {table} SELECT (jsonb_populate_record(
            model, %s::jsonb || jsonb_build_object('id', nextval(pg_get_serial_sequence(%s, 'id')))
        )).* FROM {table} model WHERE id = %s RETURNING id"""
    return connection.execute(statement, [json.dumps(columns), table, pk]).fetchone()[0]


def _has_column(connection, table, name):
    statement = "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = %s"
    return connection.execute(statement, [table, name]).fetchone() is not None
