"""What has no more use, of every domain, and how it leaves. Audit events are not among it: they stay."""

from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import ApiSession, OutgoingMail
from analytics import rollups
from support_platform import idempotency
from support_platform.purging import delete_in_batches


def useless(now):
    """{what it is called: the rows}."""
    before = now - settings.PURGE_AFTER
    return {
        "idempotency_records": idempotency.expired(now),
        "mails": OutgoingMail.objects.done_before(before),
        "api_sessions": ApiSession.objects.ended_before(before),
        "console_sessions": Session.objects.filter(expire_date__lt=now),
        "rollups": rollups.abandoned(),
        "touches": rollups.unread_touches(),
    }


def purge(now=None):
    """
    Remove it, in short transactions. Stopped between two steps, what is gone is gone and the rest waits for next time.

    :returns: (what it is called, how many are gone), batch by batch while it happens
    """
    for name, rows in useless(now or timezone.now()).items():
        for count in delete_in_batches(rows):
            yield name, count
