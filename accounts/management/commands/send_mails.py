from collections import Counter

from django.utils import timezone

from accounts import mail
from accounts.models import OutgoingMail
from support_platform.commands import SupportCommand, Unsuccessful
from support_platform.instants import format_instant


class Command(SupportCommand):
    help = (
        "Send the mails that wait and are due, until the mail server takes none. One that fails stays and is due again "
        "later. Made for cron."
    )

    def run(self, **options):
        # Only what is due now: a failed mail becomes due again, and would never let this end.
        start = timezone.now()
        waiting = OutgoingMail.objects.waiting()
        due = waiting.filter(next_attempt_at__lte=start)
        total = due.count()
        counts = Counter()
        with self.progress("Sending", total) as advance:
            for outcome in mail.deliver_waiting(start):
                counts[outcome] += 1
                advance(counts.total())
        sent = counts[mail.Outcome.SENT]
        failed = counts.total() - sent - counts[mail.Outcome.NOTHING]
        outcome = {
            "sent": sent,
            "failed": failed,
            "waiting": [
                {"mail": row.pk, "kind": row.kind, "next_attempt_at": format_instant(row.next_attempt_at)}
                | ({"error": row.last_error} if row.last_error else {})
                for row in waiting.order_by("next_attempt_at")[:100]
            ],
        }
        if failed:
            line = f"{failed} of {sent + failed} mails not sent; they stay and are tried again. Is EMAIL_URL right?"
            if untried := due.count():
                line += f" The mail server takes none; {untried} more were not tried."
            raise Unsuccessful(line, outcome)
        return outcome

    def show(self, outcome):
        self.table([("sent", outcome["sent"]), ("failed", outcome["failed"])])
        if outcome["waiting"]:
            rows = [
                (row["mail"], row["kind"], row["next_attempt_at"], row.get("error", "")) for row in outcome["waiting"]
            ]
            self.table(rows, header=("mail", "kind", "next attempt", "last error"), title="Waiting")
