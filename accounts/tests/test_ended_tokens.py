"""What ends tokens ends them at once and for good; and service tokens, which only that ends early."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts import session_operations, staff_operations
from accounts.models import ApiSession, User
from accounts.tests.bearer import CALL, call, log_in, refresh, refusal_of
from accounts.tests.factories import StaffFactory, TraderFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.exceptions import InvalidChange, OperationRefused

BY = Actor(name="test")


def deactivate(staff):
    staff_operations.change_staff(staff, by=BY, is_active=False)


def change_password(staff):
    staff_operations.change_staff(staff, by=BY, password="another 77 good one")


def change_role(staff):
    staff_operations.change_staff(staff, by=BY, role="Viewer")


def revoke(staff):
    for session in staff.api_sessions.all():
        session_operations.revoke_session(session, by=BY)


def end_staff_status(staff):
    User.objects.filter(pk=staff.pk).update(is_staff=False)


def delete(staff):
    User.objects.get(pk=staff.pk).delete()


def deactivate_past_the_operations(staff):
    User.objects.filter(pk=staff.pk).update(is_active=False)


def raise_session_version(staff):
    User.objects.filter(pk=staff.pk).update(session_version=F("session_version") + 1)


ENDS = [
    deactivate,
    change_password,
    change_role,
    revoke,
    end_staff_status,
    delete,
    deactivate_past_the_operations,
    raise_session_version,
]


@pytest.mark.parametrize("end", ENDS)
def test_access_refresh_and_service_tokens_die_at_once(staff, pair, end):
    service, _ = session_operations.create_service_token(staff, 30, by=BY)
    assert call(service).status_code == call(pair["access"]).status_code == 200

    end(staff)

    told = [refusal_of(call(pair["access"])), refusal_of(call(service)), refusal_of(refresh(pair["refresh"]))]
    assert told == [refusal_of(Api().get(CALL))] * 3


def test_reactivation_revives_none_of_them(staff, pair):
    service, _ = session_operations.create_service_token(staff, 30, by=BY)
    deactivate(staff)

    staff_operations.change_staff(staff, by=BY, is_active=True)

    assert refusal_of(call(pair["access"])) and refusal_of(call(service)) and refusal_of(refresh(pair["refresh"]))
    assert log_in(staff.email).status_code == 200


def test_a_role_given_back_revives_none_of_them(staff, pair):
    change_role(staff)
    staff_operations.change_staff(staff, by=BY, role="Agent")

    assert refusal_of(call(pair["access"])) and refusal_of(refresh(pair["refresh"]))


def test_a_log_in_overtaken_by_a_deactivation_is_dead_from_the_start(staff):
    checked = User.objects.get(pk=staff.pk)
    deactivate(staff)

    pair = session_operations.log_in(checked, by=BY)

    assert refusal_of(call(pair["access"]))


def test_a_service_token_works_for_its_days_and_no_longer(staff, events):
    token, session = session_operations.create_service_token(staff, 30, by=BY)

    assert call(token).status_code == 200
    assert abs(session.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    [event] = events()
    assert event.action == "user.service_token_created" and token not in json.dumps(event.changes)
    ApiSession.objects.update(expires_at=timezone.now())
    assert refusal_of(call(token))


def test_a_service_token_revokes_itself(staff):
    token, _ = session_operations.create_service_token(staff, 30, by=BY)

    assert Api(token=token).post("auth/token/revoke/").status_code == 200
    assert refusal_of(call(token))


@pytest.mark.parametrize("days", [0, -1, 3651, 10**12])
def test_a_service_token_of_impossible_days(staff, days):
    with pytest.raises(InvalidChange):
        session_operations.create_service_token(staff, days, by=BY)


@pytest.mark.parametrize(
    ("account", "code"),
    [(lambda: TraderFactory(), "not_staff"), (lambda: StaffFactory(is_active=False), "inactive")],
)
@pytest.mark.django_db
def test_a_service_token_is_for_active_staff(account, code):
    with pytest.raises(OperationRefused) as refused:
        session_operations.create_service_token(account(), 30, by=BY)

    assert refused.value.code == code
    assert not ApiSession.objects.exists()


def test_a_console_session_ends_with_session_version(staff):
    before = staff.get_session_auth_hash()

    change_role(staff)

    staff.refresh_from_db()
    assert staff.get_session_auth_hash() != before
