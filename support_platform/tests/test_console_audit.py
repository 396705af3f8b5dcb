"""The audit trail in the console: readable, scoped as in the API, and never changed."""

import pytest
from django.contrib.auth.models import Permission

from accounts import operations
from accounts.models import User
from accounts.tests.factories import StaffFactory
from support_platform import audit_chain
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.console import COLLEAGUE, Console, address, text_of, told


@pytest.fixture
def event(trader):
    operations.change_contact(trader, by=COLLEAGUE.because("asked by phone"), phone="+4915112345678")
    return AuditEvent.objects.get(action="user.contact_changed")


def listed(console, **query):
    return [row.pk for row in console.get(address(AuditEvent), **query).context["cl"].result_list]


def test_supervisors_read_their_brokers_trail(supervisor, event, foreign_trader):
    operations.change_contact(foreign_trader, by=COLLEAGUE, phone="+4915100000000")
    foreign = AuditEvent.objects.latest("id")
    console = Console(supervisor.user)

    assert event.pk in listed(console)
    assert foreign.pk not in listed(console)
    assert console.page(foreign).headers["Location"] == "/admin/"


@pytest.mark.parametrize("role", ["viewer", "agent"])
def test_others_read_only_what_they_did(request, role, event, trader):
    person = request.getfixturevalue(role)
    operations.change_contact(trader, by=Actor.of(person.user), phone="+4915100000000")
    own = AuditEvent.objects.latest("id")
    console = Console(person.user)

    assert event.pk not in listed(console)
    assert own.pk in listed(console)
    assert console.page(event).headers["Location"] == "/admin/"


def test_an_event_is_told_readably(supervisor, event, trader):
    page = Console(supervisor.user).page(event)

    words = text_of(page)
    assert "Phone – +4915112345678" in words
    assert "asked by phone" in words
    assert address(trader) in page.content.decode()


def test_no_path_changes_an_event(superuser, event):
    console = Console(superuser.user)

    assert [operation.name for operation, _ in console.page(event).context["operations"]] == [
        "revert"
    ]  # by another event
    assert console.post(address(event), {"actor": "x", "reason": "x", "version": 1}).status_code == 403
    assert console.post(address(AuditEvent, "delete", event.pk), {"post": "yes"}).status_code == 403
    assert console.get(address(AuditEvent, "add")).status_code == 403
    console.choose(AuditEvent, "delete_selected", [event])
    assert AuditEvent.objects.get(pk=event.pk).actor == event.actor


def test_a_rows_history_is_its_audit_trail(supervisor, event, trader):
    console = Console(supervisor.user)

    answer = console.get(address(User, "history", trader.pk))

    assert answer.status_code == 302
    page = console.get(answer.headers["Location"])
    assert [row.pk for row in page.context["cl"].result_list] == [event.pk]


def test_finds_by_action_actor_and_request(supervisor, event):
    console = Console(supervisor.user)

    assert event.pk in listed(console, q="user.contact")
    assert event.pk in listed(console, q="colleague@")
    assert listed(console, q="user.deact") == []
    assert event.pk in listed(console, action="user.contact_changed")


def test_a_stored_script_in_a_change_is_escaped(supervisor, trader):
    script = "<script>alert(1)</script>"
    audit_chain.append(
        actor=script,
        broker=trader.broker_id,
        action="user.named",
        subject_type="user",
        subject_id=trader.pk,
        changes={script: [script, {"deep": script}]},
        reason=script,
        source="api",
    )
    console = Console(supervisor.user)

    for path in (address(AuditEvent), address(AuditEvent.objects.latest("id"))):
        html = console.get(path).content.decode()
        assert script not in html
        assert "&lt;script&gt;" in html


# --- revert -----------------------------------------------------------------------------------------------
def test_reverts_a_change(supervisor, trader, events):
    console = Console(supervisor.user)
    supervisor.patch(f"users/{trader.pk}/", {"phone": "+4915100000009"})
    [changed] = events(action="user.contact_changed")

    answer = console.operate(AuditEvent, "revert", [changed])

    event = events(action="user.contact_changed")[-1]
    assert told(answer) == ["Done."]
    assert f"trader {trader.email}" in text_of(answer)
    assert address(event) in answer.content.decode()
    assert event.changes["reverts"] == [None, changed.pk]
    assert (event.source, event.reason, event.actor_id) == ("console", "asked by phone", supervisor.user.pk)
    trader.refresh_from_db()
    assert trader.phone == changed.changes["phone"][0]


def test_what_cannot_be_reverted_is_told(supervisor, trader, event, events):
    console = Console(supervisor.user)
    supervisor.post(f"users/{trader.pk}/password-reset/")
    [reset] = events(action="user.password_reset")
    count = AuditEvent.objects.count()

    [text] = told(console.operate(AuditEvent, "revert", [reset]))

    assert text.startswith("A mailed link is not called back.")
    assert AuditEvent.objects.count() == count


def test_reverting_takes_the_right_to_the_inverse_too(broker, trader, agent, events):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915100000009"})
    [changed] = events(action="user.contact_changed")
    person = StaffFactory(broker=broker, role="Viewer")
    codenames = ("revert_change", "view_auditevent")
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))

    [text] = told(Console(person).operate(AuditEvent, "revert", [changed]))

    assert text == "It takes a right that you do not have."
    assert len(events(action="user.contact_changed")) == 1
