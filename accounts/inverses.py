"""What undoes the changes of a trader's account. Nothing here touches a staff account."""

from support_platform.inverses import Call, Inverse

from . import operations
from .models import User

CONTACT, OVERRIDE = "accounts.change_contact", "accounts.override_email_verification"


def _contact(user, changes):
    """
    The phone, the address and the address that waits, as they were. An address that is asked for again is mailed a
    new link; one that was replaced at once comes back at once, and what waited then stays cancelled.
    """
    arguments, rights = {}, [CONTACT]
    if "phone" in changes:
        arguments["phone"] = changes["phone"][0]
    if "email" in changes:
        arguments |= {"email": changes["email"][0], "verified": True}
        rights.append(OVERRIDE)
    elif "pending_email" in changes:
        waited = changes["pending_email"][0]
        if waited is None and "phone" not in changes:
            return Call(operations.cancel_email_change, (CONTACT,))
        arguments["email"] = waited or user.email  # to ask for the address that holds cancels what waits
    return Call(operations.change_contact, tuple(rights), arguments)


def _status(user, changes):
    """Reactivation revives neither tokens nor links nor deployments."""
    return Call(operations.set_status, ("accounts.change_status",), {"status": changes["status"][0]})


INVERSES = {
    "user.contact_changed": Inverse(User, _contact),
    "user.email_confirmed": Inverse(User, _contact),
    "user.email_change_cancelled": Inverse(User, _contact),
    "user.activated": Inverse(User, _status),
    "user.deactivated": Inverse(User, _status),
    "user.created": "An account is not taken back. Deactivate it.",
    "user.password_reset": "A mailed link is not called back. Only the newest works: reset again, or deactivate.",
    "user.password_changed": "No old password is kept. Reset the password.",
    "user.deployments_treated": "Deployments that stopped are stopped for good. Resume the paused ones each by itself.",
    "user.deployments_stopped": "Stopped is final. Deploy the strategies anew.",
    "user.attempt_refused": "It was refused: nothing changed.",
    "user.logged_in": "A login changes nothing. Revoke the session.",
    "staff.created": "Staff accounts are changed by a superuser, in the console.",
    "staff.changed": "Staff accounts are changed by a superuser, in the console.",
    "staff.sessions_ended": "An ended session stays ended. Log in again.",
    "staff.second_factor_enrolled": "The account's owner sets it up or turns it off; a superuser can remove it.",
    "staff.recovery_codes_replaced": "Only the newest codes work. Their owner can make new ones.",
    "staff.second_factor_removed": "No key is kept. The account's owner sets up a new second factor.",
}
