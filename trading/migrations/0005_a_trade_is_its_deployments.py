"""
On PostgreSQL a trade refers to its deployment, strategy and trader by one foreign key instead of three: together they
are those of one deployment. It says more, and a row is checked once, which was half of what inserting it took.

To the models they stay three references. SQLite keeps its three keys, for there the table would have to be made anew.
"""

from django.db import migrations

# ruff: noqa: S608  names of our own, nothing from outside

REFERENCES = {"deployment_id": "trading_deployment", "strategy_id": "trading_strategy", "user_id": "accounts_user"}
COLUMNS = "deployment_id, strategy_id, user_id"
DEFERRED = "DEFERRABLE INITIALLY DEFERRED"


def join(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    schema_editor.execute("CREATE UNIQUE INDEX deployment_whose ON trading_deployment (id, strategy_id, user_id)")
    schema_editor.execute(
        f"ALTER TABLE trading_trade ADD CONSTRAINT trade_of_deployment FOREIGN KEY ({COLUMNS})"
        f" REFERENCES trading_deployment (id, strategy_id, user_id) {DEFERRED}"
    )
    for column in REFERENCES:
        schema_editor.execute(f"ALTER TABLE trading_trade DROP CONSTRAINT {_key(schema_editor, column)}")


def part(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for column, table in REFERENCES.items():
        schema_editor.execute(
            f"ALTER TABLE trading_trade ADD CONSTRAINT {_key(schema_editor, column)} FOREIGN KEY ({column})"
            f" REFERENCES {table} (id) {DEFERRED}"
        )
    schema_editor.execute("ALTER TABLE trading_trade DROP CONSTRAINT trade_of_deployment")
    schema_editor.execute("DROP INDEX deployment_whose")


def _key(schema_editor, column):
    """The name that Django gave the key of one column."""
    name = schema_editor._create_index_name("trading_trade", [column], suffix=f"_fk_{REFERENCES[column]}_id")
    return schema_editor.quote_name(name)


class Migration(migrations.Migration):
    dependencies = [("trading", "0004_orders_of_one_symbol")]
    operations = [migrations.RunPython(join, part)]
