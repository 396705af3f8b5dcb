"""
Mails: queued in the transaction of the change, sent after its commit, tried again until the server takes them.

What is sent is made at that moment from the account (templates/mail/): the queue holds no text and no link, so
reading the database gives no way into an account.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, Q
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
# While one sender holds a mail no other takes it; a sender that died lets go after this.
CLAIM = timedelta(minutes=2)
BATCH = 50


def queue(kind, user, *, to, nonce=""):
    """Queue a mail inside the caller's transaction; it leaves when (and only if) that commits."""
    mail = OutgoingMail.objects.create(kind=kind, user=user, to=to, nonce=nonce)
    transaction.on_commit(lambda: deliver(mail.pk))


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
    Send one queued mail, unless another sender has it. Never raises: a mail that fails stays queued.

    :returns: True if it was sent, False if the server did not take it, None if there was nothing to send
    """
    now = timezone.now()
    claimed = OutgoingMail.objects.filter(
        Q(next_attempt_at__lte=now), pk=pk, sent_at__isnull=True, dropped_at__isnull=True
    ).update(next_attempt_at=now + CLAIM, attempts=F("attempts") + 1)
    if not claimed:
        return None
    mail = OutgoingMail.objects.select_related("user__broker").get(pk=pk)
    context = _context(mail, now)
    if context is None:
        OutgoingMail.objects.filter(pk=pk).update(dropped_at=now)
        return None
    try:
        message(mail, context).send()
    except Exception as error:
        # Any library error of the mail server or the network: the mail stays, and only its kind is logged.
        delay = timedelta(seconds=min(15 * 2 ** min(mail.attempts, 10), 3600))
        OutgoingMail.objects.filter(pk=pk).update(
            next_attempt_at=timezone.now() + delay, last_error=f"{type(error).__name__}: {error}"[:200]
        )
        logger.warning("mail %s (%s) not sent: %s; next try in %s", pk, mail.kind, type(error).__name__, delay)
        return False
    OutgoingMail.objects.filter(pk=pk).update(sent_at=timezone.now(), last_error="")
    return True


def message(mail, context):
    text = render_to_string(f"mail/{mail.kind}.txt", context)
    html = render_to_string(f"mail/{mail.kind}.html", context)
    built = EmailMultiAlternatives(SUBJECTS[mail.kind], text, settings.DEFAULT_FROM_EMAIL, [mail.to])
    built.attach_alternative(html, "text/html")
    return built


def _context(mail, now):
    """What the template needs; None when the occasion is gone."""
    user = mail.user
    context = {"user": user, "broker": user.broker, "to": mail.to, "subject": SUBJECTS[mail.kind]}
    if mail.kind == OutgoingMail.Kind.PASSWORD_RESET:
        if mail.nonce != user.reset_nonce or not links.reset_is_open(user, now):
            return None
        context |= {"link": links.reset_link(user), "expires_at": user.reset_expires_at}
    elif mail.kind == OutgoingMail.Kind.EMAIL_CONFIRMATION:
        if mail.nonce != user.email_nonce or not links.email_change_is_open(user, now):
            return None
        context |= {"link": links.email_link(user), "expires_at": user.email_expires_at}
    elif mail.kind == OutgoingMail.Kind.EMAIL_CHANGE_NOTICE:
        context |= {"new_email": user.pending_email}
    return context
