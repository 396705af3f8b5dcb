"""PostgreSQL looks no more for what it could compress in the steps of blocks: it finds nothing, and took longest for it."""

from django.db import migrations


def store(how):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE analytics_performanceblock ALTER COLUMN steps SET STORAGE {how}")

    return run


class Migration(migrations.Migration):
    dependencies = [("analytics", "0003_answers")]
    operations = [migrations.RunPython(store("EXTERNAL"), store("EXTENDED"))]
