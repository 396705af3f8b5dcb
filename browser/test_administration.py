"""What only a superuser does: staff accounts, brokers, sessions."""

from accounts.models import ApiSession, Broker, StaffAccount, User
from conftest import Api
from support_platform.models import AuditEvent
from support_platform.tests.console import address

NEW_PASSWORD = "violet tram 48 lantern"


def test_a_colleague_begins_changes_role_and_leaves(broker, desk, window):
    person = desk("superuser").open(address(StaffAccount, "add"))
    person.fill(e_mail="new@desk.example", role="Viewer", broker=str(broker.pk), password=NEW_PASSWORD, reason="begins")
    person.button("Add staff account").click()
    person.sees("was created")

    colleague = window().open("/admin/login/")
    colleague.fill(e_mail="new@desk.example", password=NEW_PASSWORD)
    colleague.button("Log in").click()
    colleague.sees("Home")

    account = StaffAccount.objects.get(email="new@desk.example")
    person.open(account)
    person.operate("Change account", role="Agent", reason="learned it")
    person.open(account)
    person.operate("Change account", active=False, reason="leaves")
    colleague.open("/admin/")

    assert colleague.path == "/admin/login/"
    told = AuditEvent.objects.filter(subject_type="user", subject_id=account.pk, actor=person.user.email).order_by("id")
    assert [event.reason for event in told] == ["begins", "learned it", "leaves"]


def test_nobody_shuts_themselves_out(desk):
    person = desk("superuser")
    person.open(StaffAccount.objects.get(pk=person.user.pk))

    person.ask("Change account")
    person.fill(person.step("Change account", "ask"), active=False, reason="by mistake")
    person.button("Show what will happen").click()
    person.sees("Nobody deactivates or demotes their own account.")

    assert User.objects.get(pk=person.user.pk).is_active


def test_a_broker_is_made_and_renamed(desk):
    person = desk("superuser").open(address(Broker, "add"))
    person.fill(name="Third", domain="third.example", reason="new partner")
    person.button("Add broker").click()
    person.sees("was created")

    person.open(Broker.objects.get(name="Third"))
    person.operate("Change broker", name="Third Ltd", reason="renamed")

    assert Broker.objects.get(domain="third.example").name == "Third Ltd"


def test_a_session_of_the_api_is_ended(people, desk):
    agent = people("Agent")
    api = Api(agent)
    assert api.get("users/").status_code == 200

    person = desk("superuser").open(ApiSession)
    person.choose("Revoke", agent.email)
    person.preview("Revoke", reason="lost the laptop")
    person.confirm("Revoke")

    assert api.get("users/").status_code == 401
    assert AuditEvent.objects.filter(reason="lost the laptop").count() == 1
