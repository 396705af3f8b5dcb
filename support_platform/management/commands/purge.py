from django.conf import settings
from django.utils import timezone

from support_platform.commands import SupportCommand
from support_platform.management.purge import purge, useless


class Command(SupportCommand):
    help = (
        "Remove what has no more use: Idempotency-Keys older than 24 hours, mails sent or dropped and API sessions "
        f"ended more than {settings.PURGE_AFTER.days} days ago (PURGE_AFTER_DAYS), expired console sessions, and "
        "rollups that nobody reads, with their notes. Never audit events. The server does this by itself once an hour, "
        "unless MAIL_RETRY_IN_SERVER is off."
    )

    def run(self, **options):
        now = timezone.now()
        rows = useless(now)
        removed = dict.fromkeys(rows, 0)
        with self.progress("Removing", sum(found.count() for found in rows.values())) as advance:
            for name, count in purge(now):
                removed[name] += count
                advance(sum(removed.values()))
        return removed
