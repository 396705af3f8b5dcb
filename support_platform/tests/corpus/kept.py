"""What a refused request must not change."""

import re

from django.apps import apps
from django.core import mail

from support_platform.models import AuditChain, AuditEvent

# What a refused request leaves behind on purpose.
REFUSED_ATTEMPTS = re.compile(r".*\.(attempt_refused|login_refused)")


def kept():
    """All there is in the tables of our own, but for what a refused request leaves on purpose; and the mails sent."""
    rows = {}
    for app in ("support_platform", "accounts", "trading", "analytics"):
        for model in apps.get_app_config(app).get_models():
            if model is AuditChain:
                continue  # where the events' chains end; it moves with the events below
            found = model._base_manager.order_by("pk").values()
            if model is AuditEvent:
                found = [row for row in found if not REFUSED_ATTEMPTS.fullmatch(row["action"])]
            rows[model._meta.label] = list(found)
    return rows, len(mail.outbox)
