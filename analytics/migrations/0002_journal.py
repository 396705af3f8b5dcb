"""Triggers on trading's tables write the journal: whoever changes a row there, by whatever way."""

from django.db import migrations

# ruff: noqa: S608  names of our own, nothing from outside

TRADES, ORDERS = "trading_trade", "trading_order"
OWNERS = ("user_id", "strategy_id", "deployment_id")
TRADE_FACTS = ("taken_at", "result", "fees")
ORDER_PRICES = ("side", "expected_price", "filled_price", "filled_quantity")
ORDER_STAMPS = ("signal_at", "sent_at", "acknowledged_at", "filled_at")
ORDER_FACTS = (*ORDER_STAMPS, *ORDER_PRICES, "symbol", "arrival_price")
# What each table's rows are rolled up to, by their own instant.
TRADE_KINDS, ORDER_KINDS = ("performance",), ("latency", "slippage")
INSTANTS, IDS = ("low", "high"), ("first_trade", "last_trade")


# --- PostgreSQL: one trigger per statement, so that a bulk load writes few notes -----------------------------------
def noted(kinds, columns, rows):
    """One note per kind and scope of the rows `(user_id, strategy_id, deployment_id, at)`."""
    values = ", ".join(f"('{kind}')" for kind in kinds)
    return f"""
        INSERT INTO analytics_touch (kind, scope, scope_id, {", ".join(columns)})
        SELECT kind, CASE WHEN GROUPING(user_id) = 0 THEN 'user'
            WHEN GROUPING(strategy_id) = 0 THEN 'strategy' ELSE 'deployment' END,
            COALESCE(user_id, strategy_id, deployment_id), min(at), max(at)
        FROM ({rows}) moved CROSS JOIN (VALUES {values}) kinds (kind) WHERE at IS NOT NULL
        GROUP BY GROUPING SETS ((kind, user_id), (kind, strategy_id), (kind, deployment_id))
        HAVING COALESCE(user_id, strategy_id, deployment_id) IS NOT NULL;
    """


def rows(table, at, facts=()):
    """The rows of `old_rows` or `new_rows`; with `facts` those that differ in them, or in place, from the other's."""
    found = f"SELECT {named('r', OWNERS)}, r.{at} AS at FROM {table} r"
    if not facts:
        return found
    other = {"old_rows": "new_rows", "new_rows": "old_rows"}[table]
    return f"{found} LEFT JOIN {other} s ON s.id = r.id WHERE {differ(at, facts)}"


def rows_of_trades(table, facts=()):
    """The same of orders, by the trade that each belongs to, and the scopes of that trade."""
    owners = ", ".join(f"COALESCE(t.{name}, r.{name}) AS {name}" for name in OWNERS)
    found = f"SELECT {owners}, r.trade_id AS at FROM {table} r LEFT JOIN {TRADES} t ON t.id = r.trade_id"
    if not facts:
        return found
    other = {"old_rows": "new_rows", "new_rows": "old_rows"}[table]
    return f"{found} LEFT JOIN {other} s ON s.id = r.id WHERE {differ('trade_id', facts)}"


def differ(at, facts):
    columns = (*OWNERS, at, *facts)
    return f"({named('r', columns)}) IS DISTINCT FROM ({named('s', columns)})"


def named(row, columns):
    return ", ".join(f"{row}.{column}" for column in columns)


def trades_noted(table, facts=()):
    return noted(TRADE_KINDS, INSTANTS, rows(table, "closed_at", facts))


def orders_noted(table, facts=(), prices=()):
    by_instant = noted(ORDER_KINDS, INSTANTS, rows(table, "placed_at", facts))
    return by_instant + noted(TRADE_KINDS, IDS, rows_of_trades(table, prices))


def postgresql_triggers(table, inserted, deleted, updated):
    """SECURITY DEFINER: who may write trading's tables need not be let into the journal."""
    yield f"""
    CREATE FUNCTION {table}_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = SCHEMA_OF_OURS, pg_temp AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN {inserted}
        ELSIF TG_OP = 'DELETE' THEN {deleted}
        ELSIF TG_OP = 'UPDATE' THEN {updated}
        ELSE
            DELETE FROM analytics_performanceblock;
            DELETE FROM analytics_latencyblock;
            DELETE FROM analytics_slippageblock;
            UPDATE analytics_rollup SET version = version + 1;
        END IF;
        RETURN NULL;
    END $$
    """
    seen = {"INSERT": "NEW TABLE AS new_rows", "DELETE": "OLD TABLE AS old_rows"}
    seen["UPDATE"] = f"{seen['DELETE']} {seen['INSERT']}"
    for verb, tables in seen.items():
        yield f"""
        CREATE TRIGGER {table}_note_{verb.lower()} AFTER {verb} ON {table} REFERENCING {tables}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_note()
        """
    yield f"CREATE TRIGGER {table}_note_truncate AFTER TRUNCATE ON {table} EXECUTE FUNCTION {table}_note()"


POSTGRESQL = [
    *postgresql_triggers(
        TRADES,
        trades_noted("new_rows"),
        trades_noted("old_rows"),
        # Where a row stayed in its place, the note of what it was is enough.
        trades_noted("old_rows", TRADE_FACTS) + noted(TRADE_KINDS, INSTANTS, rows("new_rows", "closed_at", ("id",))),
    ),
    *postgresql_triggers(
        ORDERS,
        orders_noted("new_rows"),
        orders_noted("old_rows"),
        orders_noted("old_rows", ORDER_FACTS, ORDER_PRICES) + orders_noted("new_rows", ("id",), ("id",)),
    ),
]
POSTGRESQL_REVERSE = [
    f"DROP TRIGGER {table}_note_{verb} ON {table}"
    for table in (TRADES, ORDERS)
    for verb in ("insert", "delete", "update", "truncate")
] + [f"DROP FUNCTION {table}_note()" for table in (TRADES, ORDERS)]


# --- SQLite: row by row, for scopes that have a rollup --------------------------------------------------------------
# Its writers come one after the other, so none can be under way that does not see a rollup which has been begun.
def noted_one(kinds, columns, row):
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return f"""
        INSERT INTO analytics_touch (kind, scope, scope_id, {", ".join(columns)})
        SELECT r.kind, r.scope, r.scope_id, moved.at, moved.at FROM ({row}) moved
        JOIN analytics_rollup r ON r.kind IN ({listed}) AND (
            (r.scope = 'user' AND r.scope_id = moved.user_id)
            OR (r.scope = 'strategy' AND r.scope_id = moved.strategy_id)
            OR (r.scope = 'deployment' AND r.scope_id = moved.deployment_id)
        ) WHERE moved.at IS NOT NULL;
    """


def one(row, at):
    return f"SELECT {', '.join(f'{row}.{name} AS {name}' for name in OWNERS)}, {row}.{at} AS at"


def one_of_trade(row):
    trade = f"FROM {TRADES} t WHERE t.id = {row}.trade_id"
    owners = (f"COALESCE((SELECT t.{name} {trade}), {row}.{name}) AS {name}" for name in OWNERS)
    return f"SELECT {', '.join(owners)}, {row}.trade_id AS at"


def trade_noted(row):
    return noted_one(TRADE_KINDS, INSTANTS, one(row, "closed_at"))


def order_noted(row):
    return noted_one(ORDER_KINDS, INSTANTS, one(row, "placed_at")) + noted_one(TRADE_KINDS, IDS, one_of_trade(row))


def sqlite_triggers(table, places, facts, noted, replaced):
    def changed(*columns):
        return " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in columns)

    events = {
        "insert": ("INSERT", "", "NEW"),
        "delete": ("DELETE", "", "OLD"),
        "update": ("UPDATE", f"WHEN {changed('id', *OWNERS, *places, *facts)}", "OLD"),
        # Where a row stayed in its place, the note of what it was is enough.
        "move": ("UPDATE", f"WHEN {changed('id', *OWNERS, *places)}", "NEW"),
    }
    for name, (verb, condition, row) in events.items():
        yield f"CREATE TRIGGER {table}_note_{name} AFTER {verb} ON {table} {condition} BEGIN {noted(row)} END"
    # INSERT OR REPLACE removes the old row without asking the DELETE trigger.
    there = "{0}.id = NEW.id OR ({0}.user_id = NEW.user_id AND {0}.external_id = NEW.external_id)".format("x")
    yield f"""
    CREATE TRIGGER {table}_note_replace BEFORE INSERT ON {table}
    WHEN EXISTS (SELECT 1 FROM {table} x WHERE {there})
    BEGIN {replaced(f"FROM {table} x WHERE {there}")} END
    """


SQLITE = [
    *sqlite_triggers(
        TRADES,
        ("closed_at",),
        TRADE_FACTS,
        trade_noted,
        lambda found: noted_one(TRADE_KINDS, INSTANTS, f"{one('x', 'closed_at')} {found}"),
    ),
    *sqlite_triggers(
        ORDERS,
        ("placed_at", "trade_id"),
        ORDER_FACTS,
        order_noted,
        lambda found: (
            noted_one(ORDER_KINDS, INSTANTS, f"{one('x', 'placed_at')} {found}")
            + noted_one(TRADE_KINDS, IDS, f"{one_of_trade('x')} {found}")
        ),
    ),
]
SQLITE_REVERSE = [
    f"DROP TRIGGER {table}_note_{verb}"
    for table in (TRADES, ORDERS)
    for verb in ("insert", "delete", "update", "move", "replace")
]


def add(apps, schema_editor):
    run(schema_editor, POSTGRESQL, SQLITE)


def remove(apps, schema_editor):
    run(schema_editor, POSTGRESQL_REVERSE, SQLITE_REVERSE)


def run(schema_editor, postgresql, sqlite):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        for statement in sqlite:
            schema_editor.execute(statement)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = connection.ops.quote_name(cursor.fetchone()[0])
    for statement in postgresql:
        schema_editor.execute(statement.replace("SCHEMA_OF_OURS", schema))


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_rollups"), ("trading", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
