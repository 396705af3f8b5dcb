"""
Mails: queued in the transaction of the change, sent after its commit, tried again until the server takes them.

What is sent is made at that moment from the account (templates/mail/): the queue holds no text and no link, so
reading the database gives no way into an account.
"""

import logging
import threading
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connections, transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from . import links
from .models import OutgoingMail

logger = logging.getLogger(__name__)

SUBJECTS = {
    OutgoingMail.Kind.PASSWORD_RESET: "Set a new password",
    OutgoingMail.Kind.PASSWORD_CHANGED: "Your password was changed",
    OutgoingMail.Kind.EMAIL_CONFIRMATION: "Confirm your new e-mail address",
    OutgoingMail.Kind.EMAIL_CHANGE_NOTICE: "A change of your e-mail address was requested",
}
EMAIL_CHANGED = "Your e-mail address was changed"
# While one sender holds a mail no other takes it; a sender that died lets go after this.
CLAIM = timedelta(minutes=2)
BATCH = 50
COURIER_PAUSE = 15  # seconds


def queue(kind, user, *, to, nonce=""):
    """
    Queue a mail inside the caller's transaction; it leaves when (and only if) that commits.

    Whatever fails after the commit is no failure of the change: the mail waits for the next round.
    """
    mail = OutgoingMail.objects.create(kind=kind, user=user, to=to, nonce=nonce)
    transaction.on_commit(lambda: deliver(mail.pk), robust=True)


def start_courier(pause=COURIER_PAUSE):
    """
    Try the waiting mails every `pause` seconds, in a daemon thread that outlives any error and holds no database
    connection while it waits.

    :returns: an event; setting it ends the thread
    """
    stop = threading.Event()

    def rounds():
        while not stop.wait(pause):
            try:
                deliver_waiting()
            except Exception as error:
                # Mostly a database that is away; the next round tries again.
                logger.error("waiting mails not looked at: %s; next try in %s s", type(error).__name__, pause)
            finally:
                connections.close_all()

    threading.Thread(target=rounds, name="mail-courier", daemon=True).start()
    return stop


def deliver_waiting(now=None):
    """
    Try every mail that is due.

    :returns: (sent, failed)
    """
    now = now or timezone.now()
    due = OutgoingMail.objects.filter(sent_at__isnull=True, dropped_at__isnull=True, next_attempt_at__lte=now)
    outcomes = [deliver(pk) for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:BATCH]]
    return outcomes.count(True), outcomes.count(False)


def deliver(pk):
    """
    Send one queued mail, unless another sender has it. A mail that fails stays queued; only the database may raise.

    :returns: True if it was sent, False if the server did not take it, None if there was nothing to send
    """
    now = timezone.now()
    waiting = OutgoingMail.objects.filter(pk=pk, sent_at__isnull=True, dropped_at__isnull=True)
    claimed = waiting.filter(next_attempt_at__lte=now).update(next_attempt_at=now + CLAIM, attempts=F("attempts") + 1)
    if not claimed:
        return None
    mail = OutgoingMail.objects.select_related("user__broker").get(pk=pk)
    context = _context(mail, now)
    if context is None:
        waiting.update(dropped_at=now)
        return None
    try:
        message(mail, context).send()
    except Exception as error:
        # Any library error of the mail server or the network: the mail stays.
        delay = timedelta(seconds=min(15 * 2 ** min(mail.attempts, 10), 3600))
        reason = _kind_of(error)
        waiting.update(next_attempt_at=timezone.now() + delay, last_error=reason)
        logger.warning("mail %s (%s) not sent: %s; next try in %s", pk, mail.kind, reason, delay)
        return False
    waiting.update(sent_at=timezone.now(), last_error="")
    return True


def message(mail, context):
    text = render_to_string(f"mail/{mail.kind}.txt", context)
    html = render_to_string(f"mail/{mail.kind}.html", context)
    built = EmailMultiAlternatives(
        context["subject"],
        text,
        settings.DEFAULT_FROM_EMAIL,
        [mail.to],
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: keeps out-of-office replies away
    )
    built.attach_alternative(html, "text/html")
    return built


def masked(address):
    """An address as it may be shown to others: the first letter and the domain."""
    local, _, domain = address.rpartition("@")
    return f"{local[0]}***@{domain}"


def _context(mail, now):
    """What the templates need; None when the occasion is gone."""
    user, kind = mail.user, OutgoingMail.Kind
    context = {"user": user, "broker": user.broker, "to": mail.to, "subject": SUBJECTS[mail.kind]}
    if mail.kind == kind.PASSWORD_RESET:
        if mail.nonce != user.reset_nonce or not links.reset_is_open(user, now):
            return None
        return context | {"link": links.reset_link(user), "expires_at": user.reset_expires_at}
    if mail.kind == kind.EMAIL_CONFIRMATION:
        if mail.nonce != user.email_nonce or not links.email_change_is_open(user, now):
            return None
        return context | {"link": links.email_link(user), "expires_at": user.email_expires_at}
    if mail.kind == kind.EMAIL_CHANGE_NOTICE:
        if user.email != mail.to:
            # Confirmed, or switched at once: more reason to tell the old address, not less.
            return context | {"changed": True, "subject": EMAIL_CHANGED, "new_email": masked(user.email)}
        if mail.nonce != user.email_nonce or not user.pending_email:
            return None
        return context | {"changed": False, "new_email": masked(user.pending_email)}
    return context | {"changed_at": mail.created_at}


def _kind_of(error):
    """An error without its words: a mail server's can quote the mail, and the mail holds the link."""
    code = getattr(error, "smtp_code", None) or getattr(error, "errno", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
