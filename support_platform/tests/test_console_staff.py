"""Staff accounts, brokers and sessions, the superuser's part of the console; and mails."""

import pytest
from django.contrib.auth import authenticate

from accounts.models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from accounts.tests.factories import PASSWORD, StaffFactory
from support_platform.tests.console import Console, address, edit_address, text_of, told

NEW = "another long password"


@pytest.fixture
def console(superuser):
    return Console(superuser.user)


def account(user):
    return StaffAccount.objects.get(pk=user.pk)


# --- brokers ------------------------------------------------------------------------------------------
def test_creates_and_changes_a_broker(console, events):
    console.post(address(Broker, "add"), {"name": "North", "domain": "north.example", "reason": "contract signed"})
    broker = Broker.objects.get(name="North")
    console.save(broker, domain="north2.example")

    broker.refresh_from_db()
    assert (broker.domain, broker.version) == ("north2.example", 2)
    assert [event.action for event in events()] == ["broker.created", "broker.changed"]
    assert events()[0].reason == "contract signed"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "North", "reason": ""}, "reason"),
    ],
)
def test_what_a_broker_may_not_be(console, values, field):
    answer = console.post(address(Broker, "add"), {"name": "North", "reason": "x", **values})

    assert answer.context["form"].errors.keys() == {field}
    assert not Broker.objects.exists()


def test_two_brokers_of_one_name_are_refused_in_the_form(console, broker):
    answer = console.post(address(Broker, "add"), {"name": broker.name.upper(), "reason": "x"})

    assert "There is a broker named" in text_of(answer)


# --- staff accounts -----------------------------------------------------------------------------------
def test_creates_a_staff_account_with_role_and_broker(console, broker, events):
    data = {"email": "New.Agent@Desk.example", "role": "Agent", "broker": broker.pk, "password": NEW, "reason": "hired"}

    answer = console.post(address(StaffAccount, "add"), data, follow=True)

    staff = User.objects.get(email="new.agent@desk.example")
    assert (staff.is_staff, staff.is_superuser, staff.broker) == (True, False, broker)
    assert [group.name for group in staff.groups.all()] == ["Agent"]
    assert authenticate(username=staff.email, password=NEW) == staff
    [event] = events()
    assert (event.action, event.subject_type, event.reason) == ("staff.created", "user", "hired")
    assert NEW not in answer.content.decode() + str(event.changes)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": "x"}, "email"),
        ({"role": ""}, "role"),
        ({"role": "Boss"}, "role"),
        ({"broker": "9" * 30}, "broker"),
        ({"broker": "x"}, "broker"),
        ({"password": "short"}, "password"),
        ({"password": ""}, "password"),
    ],
)
def test_what_a_staff_account_may_not_be(console, values, field):
    data = {"email": "new@desk.example", "role": "Agent", "password": NEW, "reason": "hired", **values}

    answer = console.post(address(StaffAccount, "add"), data)

    assert answer.context["form"].errors.keys() == {field}
    assert not User.objects.filter(email="new@desk.example").exists()


def test_a_taken_address_is_refused_in_the_form(console, trader):
    data = {"email": trader.email, "role": "Agent", "password": NEW, "reason": "hired"}

    assert "There is an account with the address" in text_of(console.post(address(StaffAccount, "add"), data))


def test_a_new_role_and_broker_end_every_session(console, agent, other_broker, events):
    theirs = Console(agent.user)

    console.save(account(agent.user), role="Viewer", broker=other_broker.pk, first_name="Kim")

    changed = User.objects.get(pk=agent.user.pk)
    assert [group.name for group in changed.groups.all()] == ["Viewer"]
    assert (changed.broker, changed.first_name) == (other_broker, "Kim")
    assert agent.get("users/").status_code == 401
    assert theirs.get("/admin/").status_code == 302
    [event] = events(action="staff.changed")
    assert event.subject_type == "user"


def test_a_new_password_is_set_and_told_to_nobody(console, agent, events):
    asked = console.ask(account(agent.user), "set_password")
    data = {"seen": asked.context["form"].initial["seen"], "password": NEW, "reason": "forgotten"}
    url = edit_address(account(agent.user), "set_password")
    preview = console.post(url, {**data, "step": "preview"})
    assert authenticate(username=agent.user.email, password=PASSWORD)
    assert NEW not in preview.content.decode()
    assert console.post(url, {**data, "password": "", "step": "confirm"}).context["form"].errors.keys() == {"password"}
    answer = console.post(url, {**data, "step": "confirm"})

    assert authenticate(username=agent.user.email, password=NEW)
    assert authenticate(username=agent.user.email, password=PASSWORD) is None
    assert NEW not in answer.content.decode() + str(events()[-1].changes)
    assert "pbkdf2" not in console.page(account(agent.user)).content.decode()
    assert agent.user.password not in console.page(account(agent.user)).content.decode()


def test_deactivates_staff_but_nobody_themselves(console, superuser, agent):
    fields = console.fields(account(agent.user))
    del fields["is_active"]
    console.send(account(agent.user), {**fields, "reason": "left"})
    assert not User.objects.get(pk=agent.user.pk).is_active

    fields = console.fields(account(superuser.user))
    del fields["is_active"]
    answer = console.send(account(superuser.user), {**fields, "reason": "left"})
    assert "Nobody deactivates or demotes their own account" in text_of(answer)
    assert User.objects.get(pk=superuser.user.pk).is_active


def test_a_stale_staff_page_is_refused(console, agent):
    opened = console.fields(account(agent.user))
    console.save(account(agent.user), first_name="Kim")

    answer = console.send(account(agent.user), {**opened, "last_name": "Late", "reason": "x"})

    assert ("first name", "Test", "Kim") in answer.context["meanwhile"]
    assert User.objects.get(pk=agent.user.pk).last_name != "Late"


@pytest.mark.parametrize("role", ["viewer", "agent", "supervisor"])
def test_staff_reach_no_staff_account_and_the_attempt_is_on_record(request, role, broker, events):
    person = request.getfixturevalue(role)
    colleague = StaffFactory(broker=broker, role="Viewer")
    console = Console(person.user)
    seen_events = len(events())

    for whom in (colleague, person.user):
        data = {"email": "evil@desk.example", "is_superuser": "on", "password": NEW, "version": 1, "reason": "x"}
        assert console.post(address(StaffAccount, "change", whom.pk), data).status_code == 403
        assert console.post(address(StaffAccount, "delete", whom.pk), {"post": "yes"}).status_code == 403
    assert console.post(address(StaffAccount, "add"), {"email": "evil@desk.example"}).status_code == 403

    assert not User.objects.filter(email="evil@desk.example").exists()
    recorded = events()[seen_events:]
    assert [event.action for event in recorded] == ["user.attempt_refused"] * 5
    assert [event.subject_id for event in recorded] == [colleague.pk] * 2 + [person.user.pk] * 2 + [None]


def test_a_trader_is_no_staff_account(console, trader):
    assert console.get(address(StaffAccount, "change", trader.pk)).headers["Location"] == "/admin/"


def test_groups_have_no_page(console):
    assert console.get("/admin/auth/group/").status_code == 404


# --- sessions and mails -------------------------------------------------------------------------------
def test_revokes_a_session(console, agent, events):
    [session] = ApiSession.objects.filter(user=agent.user)

    page = console.page(session)
    assert session.refresh_id not in page.content.decode()
    console.operate(ApiSession, "revoke", [session])
    assert agent.get("users/").status_code == 401
    answer = console.operate(ApiSession, "revoke", [session])

    assert told(answer) == ["Nothing to do: it is so already."]
    assert len(events(action="session.revoked")) == 1


def test_the_audit_trail_of_a_session_is_that_of_its_staff_account(console, agent):
    [session] = ApiSession.objects.filter(user=agent.user)

    answer = console.get(address(ApiSession, "history", session.pk))
    trail = console.get(answer.headers["Location"])

    assert trail.status_code == 200
    assert agent.user.email in trail.content.decode()


def test_mails_show_no_secret(console, agent, trader):
    agent.post(f"users/{trader.pk}/password-reset/")
    [mail] = OutgoingMail.objects.all()
    assert mail.nonce

    for path in (address(OutgoingMail), address(mail), address(trader)):
        assert mail.nonce not in console.get(path).content.decode()


def test_whoever_sees_a_trader_sees_whether_the_mail_left(broker, foreign_trader, agent, trader):
    agent.post(f"users/{trader.pk}/password-reset/")
    OutgoingMail.objects.create(kind="password_changed", user=foreign_trader, to=foreign_trader.email)
    viewer = Console(StaffFactory(broker=broker, role="Viewer"))
    [mail] = OutgoingMail.objects.filter(user=trader)

    listed = viewer.get(address(OutgoingMail), user=trader.pk)

    assert address(OutgoingMail) in viewer.page(trader).content.decode()
    assert list(viewer.get(address(OutgoingMail)).context["cl"].result_list) == [mail]
    assert "sent" in text_of(listed) and "t***@demo.example" in text_of(listed)
    assert viewer.page(mail).status_code == 200
    assert viewer.post(address(mail), {"sent_at": ""}).status_code == 403
