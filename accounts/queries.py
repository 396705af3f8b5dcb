"""Reads that need thought."""

from support_platform.exceptions import OutOfReach

from .models import User


def find_trader(staff, *, user_id=None, email=None):
    """
    The trader a staff member names by id and/or address (in any case).

    :raises OutOfReach: if there is none within the staff member's reach
    """
    traders = User.objects.visible_to(staff)
    if user_id is not None:
        traders = traders.filter(pk=user_id)
    if email is not None:
        traders = traders.filter(email=email.lower())
    trader = traders.first()
    if trader is None:
        raise OutOfReach
    return trader
