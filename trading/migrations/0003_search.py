import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import support_platform.folded

# References whose own index only says again what an index with more columns begins with.
SERVED = {
    "strategy": ["user"],
    "scanner": ["user"],
    "deployment": ["user", "strategy"],
    "trade": ["user", "strategy", "deployment"],
    "order": ["user", "strategy", "deployment"],
}


def drop_served(apps, schema_editor):
    """
    Only the indexes go. (For the change of a field SQLite would make the tables anew, and with them lose the triggers
    that others have put there.)
    """
    for model, column in _columns(apps):
        name = schema_editor._create_index_name(model._meta.db_table, [column])
        schema_editor.execute(f"DROP INDEX IF EXISTS {schema_editor.quote_name(name)}")


def create_served(apps, schema_editor):
    for model, column in _columns(apps):
        name = schema_editor.quote_name(schema_editor._create_index_name(model._meta.db_table, [column]))
        target = f"{schema_editor.quote_name(model._meta.db_table)} ({schema_editor.quote_name(column)})"
        schema_editor.execute(f"CREATE INDEX {name} ON {target}")


def _columns(apps):
    for name, fields in SERVED.items():
        model = apps.get_model("trading", name)
        for field in fields:
            yield model, model._meta.get_field(field).column


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0002_trades_of_one_run_by_when_they_were_taken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_served, create_served)],
            state_operations=[
                migrations.AlterField(
                    model_name="deployment",
                    name="strategy",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deployments",
                        to="trading.strategy",
                    ),
                ),
                migrations.AlterField(
                    model_name="deployment",
                    name="user",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
                migrations.AlterField(
                    model_name="order",
                    name="deployment",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orders",
                        to="trading.deployment",
                    ),
                ),
                migrations.AlterField(
                    model_name="order",
                    name="strategy",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orders",
                        to="trading.strategy",
                    ),
                ),
                migrations.AlterField(
                    model_name="order",
                    name="user",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
                migrations.AlterField(
                    model_name="scanner",
                    name="user",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
                migrations.AlterField(
                    model_name="strategy",
                    name="user",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
                migrations.AlterField(
                    model_name="trade",
                    name="deployment",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trades",
                        to="trading.deployment",
                    ),
                ),
                migrations.AlterField(
                    model_name="trade",
                    name="strategy",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="trades",
                        to="trading.strategy",
                    ),
                ),
                migrations.AlterField(
                    model_name="trade",
                    name="user",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(support_platform.folded.Folded("symbol"), name="deployment_symbol"),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(
                condition=models.Q(("status", "stopped"), _negated=True),
                fields=["user", "status"],
                name="deployment_running",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["placed_at", "id"], name="order_placed"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["external_id"], name="order_external_id"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("acknowledged_at__isnull", True), ("filled_at__isnull", True)),
                fields=["sent_at", "id"],
                name="order_unanswered",
            ),
        ),
        migrations.AddIndex(
            model_name="scanner",
            index=models.Index(support_platform.folded.Folded("name"), name="scanner_name"),
        ),
        migrations.AddIndex(
            model_name="scanner",
            index=models.Index(support_platform.folded.Folded("symbol"), name="scanner_symbol"),
        ),
        migrations.AddIndex(
            model_name="strategy",
            index=models.Index(support_platform.folded.Folded("name"), name="strategy_name"),
        ),
        migrations.AddIndex(
            model_name="strategy",
            index=models.Index(support_platform.folded.Folded("symbol"), name="strategy_symbol"),
        ),
        migrations.AddIndex(
            model_name="strategy",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="strategy_deleted"
            ),
        ),
        migrations.AddIndex(
            model_name="trade",
            index=models.Index(fields=["external_id"], name="trade_external_id"),
        ),
    ]
