"""Each audit event gets its place and its seal in the chain of its broker, the existing ones in the order of their ids."""

from importlib import import_module

from django.db import migrations, models

from support_platform.audit_chain import chain_of, keys, seal

append_only = import_module("support_platform.migrations.0002_audit_is_append_only")

EVENTS, CHAINS = "support_platform_auditevent", "support_platform_auditchain"
BATCH = 2000
MESSAGE = "the end of an audit chain only moves on"

POSTGRESQL = [
    f"""
    CREATE FUNCTION {CHAINS}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$
    """,
    f"""
    CREATE TRIGGER {CHAINS}_moves_on BEFORE UPDATE ON {CHAINS} FOR EACH ROW
    WHEN (NEW.chain <> OLD.chain OR NEW.length <> OLD.length + 1) EXECUTE FUNCTION {CHAINS}_refuse()
    """,
    f"CREATE TRIGGER {CHAINS}_no_delete BEFORE DELETE ON {CHAINS} FOR EACH ROW EXECUTE FUNCTION {CHAINS}_refuse()",
    f"CREATE TRIGGER {CHAINS}_no_truncate BEFORE TRUNCATE ON {CHAINS} EXECUTE FUNCTION {CHAINS}_refuse()",
]
POSTGRESQL_REVERSE = [
    f"DROP TRIGGER {CHAINS}_no_truncate ON {CHAINS}",
    f"DROP TRIGGER {CHAINS}_no_delete ON {CHAINS}",
    f"DROP TRIGGER {CHAINS}_moves_on ON {CHAINS}",
    f"DROP FUNCTION {CHAINS}_refuse()",
]
SQLITE = [
    f"""
    CREATE TRIGGER {CHAINS}_moves_on BEFORE UPDATE ON {CHAINS}
    WHEN NEW.chain <> OLD.chain OR NEW.length <> OLD.length + 1
    BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END
    """,
    f"CREATE TRIGGER {CHAINS}_no_delete BEFORE DELETE ON {CHAINS} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END",
]
SQLITE_REVERSE = [f"DROP TRIGGER {CHAINS}_no_delete", f"DROP TRIGGER {CHAINS}_moves_on"]


def add_triggers(apps, schema_editor):
    append_only.add(apps, schema_editor)
    append_only.run(schema_editor, POSTGRESQL, SQLITE)


def remove_triggers(apps, schema_editor):
    append_only.run(schema_editor, POSTGRESQL_REVERSE, SQLITE_REVERSE)
    append_only.remove(apps, schema_editor)


def seal_existing(apps, schema_editor):
    rows = apps.get_model("support_platform", "AuditEvent").objects.order_by("id")
    key, ends, last = keys()[0], {}, 0
    while batch := list(rows.filter(id__gt=last).values()[:BATCH]):
        sealed = []
        for event in batch:
            event["chain"] = chain_of(event["broker"])
            length, previous = ends.get(event["chain"], (0, ""))
            event["sequence"] = length + 1
            ends[event["chain"]] = event["sequence"], seal(event, previous, key)
            sealed.append((event["chain"], *ends[event["chain"]], event["id"]))
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {EVENTS} SET chain = %s, sequence = %s, seal = %s WHERE id = %s", sealed)  # noqa: S608  names of our own
        last = batch[-1]["id"]
    chains = apps.get_model("support_platform", "AuditChain").objects
    chains.bulk_create(chains.model(chain=chain, length=length, seal=seal) for chain, (length, seal) in ends.items())


class Migration(migrations.Migration):
    dependencies = [("support_platform", "0004_idempotency_record")]
    operations = [
        migrations.CreateModel(
            name="AuditChain",
            fields=[
                ("chain", models.BigIntegerField(primary_key=True, serialize=False)),
                ("length", models.BigIntegerField(default=0)),
                ("seal", models.CharField(blank=True, max_length=64)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(append_only.remove, append_only.add),
        migrations.AddField("auditevent", "chain", models.BigIntegerField(null=True)),
        migrations.AddField("auditevent", "sequence", models.BigIntegerField(null=True)),
        migrations.AddField("auditevent", "seal", models.CharField(max_length=64, null=True)),
        migrations.RunPython(seal_existing, migrations.RunPython.noop),
        migrations.AlterField("auditevent", "chain", models.BigIntegerField()),
        migrations.AlterField("auditevent", "sequence", models.BigIntegerField()),
        migrations.AlterField("auditevent", "seal", models.CharField(max_length=64)),
        migrations.AddConstraint(
            "auditevent", models.UniqueConstraint(fields=["chain", "sequence"], name="audit_chain_sequence")
        ),
        migrations.RunPython(add_triggers, remove_triggers),
    ]
