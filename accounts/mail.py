"""
Mails: queued in the transaction of the change, sent after its commit, tried again until the server takes them.

What is sent is made at that moment from the account (templates/mail/): the queue holds no text and no link, so
reading the database gives no way into an account.
"""

import enum
import hashlib
import logging
import smtplib
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import Error as DatabaseError
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from support_platform import logs
from support_platform.rounds import Rounds, jitter

from . import links
from .models import OutgoingMail

SUBJECTS = {
    OutgoingMail.Kind.PASSWORD_RESET: "Set a new password",
    OutgoingMail.Kind.PASSWORD_CHANGED: "Your password was changed",
    OutgoingMail.Kind.EMAIL_CONFIRMATION: "Confirm your new e-mail address",
    OutgoingMail.Kind.EMAIL_CHANGE_NOTICE: "A change of your e-mail address was requested",
}
EMAIL_CHANGED = "Your e-mail address was changed"
# While one sender holds a mail no other takes it; a sender that died lets go after this. Longer than any send can
# take (smtp.LONGEST and one more EMAIL_TIMEOUT), with minutes to spare for clocks that differ between machines.
CLAIM = timedelta(minutes=5)
COURIER_PAUSE = 15  # seconds
HOUSEWORK_PAUSE = 3600  # seconds


class Outcome(enum.Enum):
    """What became of one try."""

    SENT = enum.auto()
    AWAY = enum.auto()  # the mail server takes no mail at all now
    DEFERRED = enum.auto()  # it does not take this one now (4xx), or we cannot make it
    REFUSED = enum.auto()  # it says that it never will (5xx)
    NOTHING = enum.auto()  # another sender has it, or its occasion is gone


# The next try comes after as long again as the trouble has lasted, within these bounds.
PAUSES = {
    Outcome.AWAY: (timedelta(seconds=15), timedelta(minutes=1)),
    Outcome.DEFERRED: (timedelta(minutes=1), timedelta(hours=1)),
    Outcome.REFUSED: (timedelta(minutes=15), timedelta(hours=12)),
}

# These write where we are: nobody is waited for, and the mail is there when the answer is.
LOCAL_BACKENDS = {
    f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased", "locmem")
}

# The courier of this process, if one was started in it.
_courier = None
# The claims of mails that the server took while the database could not note it.
_taken = []


def queue(kind, user, *, to, nonce=""):
    """
    Queue a mail inside the caller's transaction; it leaves when (and only if) that commits.

    In a process with a courier the caller does not wait for the mail server; elsewhere the mail is tried at once.
    Whatever fails after the commit is no failure of the change: the mail waits for the next round.
    """
    mail = OutgoingMail.objects.create(kind=kind, user=user, to=to, nonce=nonce)
    transaction.on_commit(lambda: _leave(mail), robust=True)


def _leave(mail):
    # A courier does not survive the forking of its process: threads do not.
    if _courier is not None and _courier.is_alive() and settings.EMAIL_BACKEND not in LOCAL_BACKENDS:
        _courier.woken.set()
    else:
        deliver(mail)


class Courier(Rounds):
    """
    Sends what waits: at once when `queue` wakes it, and every `pause` seconds what is due again or was left by others.

    Once an hour, when no mail is due, it calls `housework`, a generator function whose every step is short; a new
    mail interrupts it. A mail in hand that is given up at the end goes again after its claim.
    """

    def __init__(self, pause, housework):
        super().__init__("mail-courier", pause)
        self.housework = housework
        self.next_housework = time.monotonic()

    def failed(self, error):
        logs.event("courier_failed", level=logging.ERROR, error=type(error).__name__, retry_seconds=self.pause)

    def go_round(self):
        while _taken:
            _note_sent(_taken[0])
            _taken.pop(0)
        for _ in deliver_waiting():
            if self.is_ending:
                return
        if time.monotonic() >= self.next_housework:
            for _ in self.housework():
                if self.woken.is_set():
                    return  # the rest when it is idle again
            self.next_housework = time.monotonic() + HOUSEWORK_PAUSE * jitter()


def start_courier(pause=COURIER_PAUSE, housework=lambda: ()):
    """Start the one courier of this process."""
    global _courier
    _courier = Courier(pause, housework)
    _courier.start()
    return _courier


def deliver_waiting(until=None):
    """
    Try the mails that are due, least tried first and of those the newest: what waits long must not delay a new link.

    Ends when none is due (at `until`; without it also none that became due meanwhile), or when the server takes no
    mail at all, which one try is enough to know.

    :returns: the outcomes, one by one while they happen
    """
    while True:
        due = OutgoingMail.objects.waiting().filter(next_attempt_at__lte=until or timezone.now())
        mail = due.order_by("attempts", "-id").first()
        if mail is None:
            return
        outcome = deliver(mail)
        yield outcome
        if outcome is Outcome.AWAY:
            return


def deliver(mail):
    """
    Send one queued mail, unless another sender has it. A mail that fails stays queued; only the database may raise.

    The claim is the number of the attempt: who claims later has a higher one, and from then on this sender neither
    sends nor notes anything.
    """
    now = timezone.now()
    waiting = OutgoingMail.objects.waiting().filter(pk=mail.pk)
    unclaimed = waiting.filter(attempts=mail.attempts, next_attempt_at__lte=now)
    if not unclaimed.update(attempts=mail.attempts + 1, next_attempt_at=now + CLAIM):
        return Outcome.NOTHING
    claim = waiting.filter(attempts=mail.attempts + 1)
    mail = claim.select_related("user__broker").first()
    if mail is None:  # the account is gone, and its mails with it
        return Outcome.NOTHING
    try:
        context = _context(mail, now)
        if context is None:
            claim.update(dropped_at=now)
            return Outcome.NOTHING
        built = message(mail, context)
        with _mail_server() as server:
            if not claim.exists():
                return Outcome.NOTHING
            server.send_messages([built])
            _note_sent(claim)
    except DatabaseError:
        raise
    except Exception as error:
        # Any error of the mail server, the network, the templates: the mail stays.
        return _postpone(mail, claim, error)
    return Outcome.SENT


@contextmanager
def _mail_server():
    """An open connection. Once the mail is taken, a failing farewell changes nothing."""
    server = get_connection()
    try:
        server.open()
        yield server
    finally:
        with suppress(Exception):
            server.close()


def _note_sent(claim):
    try:
        claim.update(sent_at=timezone.now(), last_error="")
    except DatabaseError:
        # The courier notes it later. If the database stays away longer than the claim, the mail goes again.
        if claim not in _taken:
            _taken.append(claim)
        raise


def _postpone(mail, claim, error):
    now = timezone.now()
    outcome, reason = _verdict(error)
    values = {"last_error": reason}
    facts = {"mail": mail.pk, "kind": mail.kind, "error": reason}
    if outcome is Outcome.AWAY:
        since = mail.created_at
    else:
        since = values["refused_at"] = mail.refused_at or now
        if now - since >= settings.MAIL_GIVE_UP:
            claim.update(**values, dropped_at=now)
            facts |= {"attempts": mail.attempts}
            logs.event("mail_given_up", level=logging.ERROR, **facts)
            return outcome
    shortest, longest = PAUSES[outcome]
    pause = min(max(now - since, shortest), longest) * jitter()
    claim.update(**values, next_attempt_at=now + pause)
    logs.event("mail_failed", level=logging.WARNING, **facts, retry_seconds=round(pause.total_seconds()))
    return outcome


def _verdict(error):
    """
    What a failed try says of the mail and of the server.

    :returns: (the outcome, the error without its words: a server's can quote the mail, and the mail holds the link)
    """
    code = getattr(error, "smtp_code", None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max(refusal[0] for refusal in error.recipients.values())
    is_of_mail = isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) and code >= 400
    if isinstance(error.__context__, TimeoutError):
        error = error.__context__  # smtplib calls it a disconnection
    reason = f"{type(error).__name__} {code or getattr(error, 'errno', None) or ''}".strip()
    if is_of_mail and code != 421:  # with 421 a server takes its leave
        return (Outcome.REFUSED if code >= 500 else Outcome.DEFERRED), reason
    if isinstance(error, OSError | ImportError | ImproperlyConfigured):
        return Outcome.AWAY, reason
    return Outcome.DEFERRED, reason


def message(mail, context):
    text = render_to_string(f"mail/{mail.kind}.txt", context)
    html = render_to_string(f"mail/{mail.kind}.html", context)
    built = EmailMultiAlternatives(
        context["subject"],
        text,
        settings.DEFAULT_FROM_EMAIL,
        [mail.to],
        headers={
            "Message-ID": message_id(mail),
            "Auto-Submitted": "auto-generated",  # RFC 3834: keeps out-of-office replies away
        },
    )
    built.attach_alternative(html, "text/html")
    return built


def message_id(mail):
    """The same at every try: a mail that a server took without our learning of it is a double that receivers drop."""
    made_of = hashlib.sha256(f"{mail.pk} {mail.created_at.isoformat()} {mail.to}".encode()).hexdigest()
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{made_of[:40]}@{domain}>"


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
