"""The operations on traders refuse staff themselves, whoever calls them and by whatever way."""

import pytest

from accounts import operations
from accounts.models import User
from accounts.tests.factories import StaffFactory, SuperuserFactory
from support_platform.audit import Actor
from support_platform.exceptions import OutOfReach

BY = Actor(name="test")


@pytest.mark.django_db
@pytest.mark.parametrize("make", [StaffFactory, SuperuserFactory])
@pytest.mark.parametrize(
    "operation",
    [
        lambda user: operations.reset_password(user, by=BY),
        lambda user: operations.change_contact(user, by=BY, phone="+4915112345678"),
        lambda user: operations.change_contact(user, by=BY, email="other@desk.example", verified=True),
        lambda user: operations.cancel_email_change(user, by=BY),
        lambda user: operations.set_status(user, User.Status.INACTIVE, by=BY),
    ],
)
def test_operations_on_traders_touch_no_staff(make, operation, events, mailoutbox):
    user = User.objects.get(pk=make().pk)
    before = User.objects.filter(pk=user.pk).values().get()

    with pytest.raises(OutOfReach):
        operation(user)

    assert User.objects.filter(pk=user.pk).values().get() == before
    assert events() == []
    assert mailoutbox == []
