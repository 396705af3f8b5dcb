from django.db import migrations

from support_platform.permissions import sync_roles


def add(apps, schema_editor):
    sync_roles(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("support_platform", "0002_audit_is_append_only"),
        ("accounts", "0001_initial"),
        ("trading", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
