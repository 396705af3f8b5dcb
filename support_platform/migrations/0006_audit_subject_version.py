"""An audit event keeps the version of its subject after the change; null in those from before, which stay as sealed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("support_platform", "0005_audit_chain")]
    operations = [migrations.AddField("auditevent", "subject_version", models.BigIntegerField(null=True))]
