"""What of accounts can need attention on the console's home page."""

from datetime import timedelta

from django.utils import timezone

from support_platform.console.home import Matter

from . import mail
from .models import OutgoingMail, User
from .reach import ids_among, ours_among

# A mail leaves within seconds; this one has not.
LATE = timedelta(minutes=5)
MAX_LOOKED_AT = 2_000


class UnconfirmedEmails(Matter):
    name = "unconfirmed_email"
    title = "E-mail changes that wait for their confirmation"
    advice = "Ask the trader to follow the mailed link, or cancel the change."
    model = "accounts.user"
    rights = ("accounts.view_user",)

    def ids(self, request, limit):
        traders = User.objects.visible_to(request.user).filter(pending_email__isnull=False).order_by("-pk")
        return list(traders.values_list("pk", flat=True)[:limit])

    def words(self, row):
        return f"{row.email} to {row.pending_email}"


class UndeliveredMails(Matter):
    name = "undelivered"
    title = "Mails that did not reach the mail server"
    advice = "Look at the last error; a mail that was given up is not sent again, so repeat what sent it."
    model = "accounts.outgoingmail"
    rights = ("accounts.view_user",)

    def ids(self, request, limit):
        """Waiting ones that were tried in vain or are late, and those given up in the last day."""
        now = timezone.now()
        waiting = OutgoingMail.objects.waiting().order_by("-attempts", "-pk")
        waiting = waiting.exclude(attempts=0, created_at__gt=now - LATE)
        waiting = ids_among(request.user, waiting, MAX_LOOKED_AT)
        newest = OutgoingMail.objects.order_by("-pk")
        newest, _ = ours_among(request.user, newest, MAX_LOOKED_AT, "dropped_at", "refused_at")
        given_up = [pk for pk, dropped, refused in newest if refused and dropped and dropped > now - timedelta(days=1)]
        return sorted([*waiting, *given_up], reverse=True)[:limit]

    def words(self, row):
        return f"{row.get_kind_display()} to {mail.masked(row.to)}"
