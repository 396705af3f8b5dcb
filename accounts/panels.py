"""Panels of a trader's page that tell of the account: what waits to be confirmed, the links that work, the mails."""

from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from support_platform.bounded import few
from support_platform.console.panels import Panel, list_url
from support_platform.models import AuditEvent

from . import links, mail
from .models import ApiSession, OutgoingMail


class Link(NamedTuple):
    """A link that was mailed to the trader. `mails` are those that told of it; `since` is None if they are gone."""

    since: datetime | None
    expires_at: datetime
    is_open: bool
    mails: list


class ContactPanel(Panel):
    """What has happened with the account's addresses and links, and which mails went out for it."""

    title = "Contact and mails"
    template = "admin/trader/contact.html"
    right = "accounts.view_user"
    is_wide = True

    def show(self, request, row):
        now = timezone.now()
        mails = few(OutgoingMail.objects.filter(user=row.pk).order_by("-id"))
        confirms, resets = links.email_change_is_open(row, now), links.reset_is_open(row, now)
        sessions = ApiSession.objects.filter(user=row.pk, revoked_at__isnull=True, expires_at__gt=now)
        return {
            "waiting": self._link(row, mails, row.email_nonce, row.email_expires_at, confirms),
            "reset": self._link(row, mails, row.reset_nonce, row.reset_expires_at, resets),
            "sessions": few(sessions.order_by("-created_at")).total,
            "mails": mails._replace(rows=[told(one) for one in mails.rows]),
            "deactivated": None if row.is_active else _deactivated(row, request.user),
            "all_mails": list_url(OutgoingMail, user=row.pk),
        }

    def _link(self, row, mails, nonce, expires_at, is_open):
        if not nonce:
            return None
        of_link = [one for one in mails.rows if one.nonce == nonce]
        if not of_link and mails.is_cut:
            of_link = OutgoingMail.objects.filter(user=row.pk, nonce=nonce).order_by("-id")[:2]
        since = min((one.created_at for one in of_link), default=None)
        return Link(since, expires_at, is_open, [told(one) for one in of_link])


def _deactivated(trader, staff):
    """The event that made the trader inactive, if this person may read it."""
    events = AuditEvent.objects.visible_to(staff).filter(subject_type="user", subject_id=trader.pk)
    return events.filter(action="user.deactivated").order_by("-at", "-id").first()


class ToldMail(NamedTuple):
    """A mail as the console shows it: without its nonce, the address masked."""

    pk: int
    name: str
    to: str
    created_at: datetime
    state: str
    note: str
    is_trouble: bool


def told(one):
    name = one.get_kind_display().replace("_", " ").capitalize()
    if one.sent_at:
        state, note = "sent", f"{one.sent_at:%Y-%m-%d %H:%M:%S} UTC"
    elif one.dropped_at:
        state = "dropped"
        note = f"given up: {one.last_error}" if one.last_error else "its occasion was gone"
    else:
        state = "waiting"
        note = f"{one.attempts} tries, the last failed: {one.last_error}" if one.last_error else "leaves shortly"
    is_trouble = bool(one.last_error) and not one.sent_at
    return ToldMail(one.pk, name, mail.masked(one.to), one.created_at, state, note, is_trouble)
