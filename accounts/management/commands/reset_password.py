from accounts import mail, operations
from accounts.commands import TraderCommand
from accounts.models import OutgoingMail
from support_platform.instants import format_instant
from support_platform.retries import retried


class Command(TraderCommand):
    help = "Mail a trader a link to set a new password. Every earlier link dies."
    right = "accounts.reset_password"

    def run(self, *, email, **options):
        trader = retried(operations.reset_password, self.find_trader(email), by=self.by)
        queued = OutgoingMail.objects.get(user=trader, nonce=trader.reset_nonce)
        return {
            "id": trader.pk,
            "sent_to": mail.masked(trader.email),
            "expires_at": format_instant(trader.reset_expires_at),
            "mail": "sent" if queued.sent_at else "waiting",
        }

    def show(self, outcome):
        self.table(outcome.items())
        if outcome["mail"] == "waiting":
            self.say("The mail server has not taken it yet; it is tried again, or run: manage.py send_mails")
