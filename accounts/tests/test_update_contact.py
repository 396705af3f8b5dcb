"""API: update a user's e-mail and phone."""

import pytest
from django.core import mail

from accounts import operations
from accounts.models import OutgoingMail, User
from accounts.tests.browser import Browser, is_dead_link_page, link_in, mails_to
from accounts.tests.factories import StaffFactory, SuperuserFactory, TraderFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.models import AuditEvent

BY = Actor(name="test")
NEW = "new@elsewhere.example"


def fields_of(answer):
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# Phone


def test_a_phone_takes_effect_at_once(agent, trader, events):
    answer = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, reason="called us")

    assert answer.status_code == 200
    assert answer.json()["phone"] == "+4915112345678"
    assert answer.json()["version"] == 2 and answer["ETag"] == '"2"'
    [event] = events()
    assert (event.action, event.changes) == ("user.contact_changed", {"phone": [None, "+4915112345678"]})
    assert event.reason == "called us" and event.user == trader.pk
    assert mail.outbox == []


def test_a_phone_can_be_taken_away(agent, trader):
    User.objects.filter(pk=trader.pk).update(phone="+4915112345678")

    assert agent.patch(f"users/{trader.pk}/", {"phone": None}).json()["phone"] is None


@pytest.mark.parametrize("phone", ["+4915112", "+123456789012345"])
def test_e164_at_its_shortest_and_longest(agent, trader, phone):
    assert agent.patch(f"users/{trader.pk}/", {"phone": phone}).json()["phone"] == phone


@pytest.mark.parametrize(
    "phone",
    [
        "4915112345678",
        "+0915112345678",
        "+1234567890123456",
        "+49 151 12345678",
        "+49151123456\n",
        "+٤٩١٥١١٢٣٤٥٦٧٨",
        "",
        4915112345678,
        True,
        ["+4915112345678"],
    ],
)
def test_a_phone_that_is_not_e164_is_refused(agent, trader, phone, events):
    assert fields_of(agent.patch(f"users/{trader.pk}/", {"phone": phone})) == {"phone": "invalid"}
    assert events() == []


# E-mail that waits for its confirmation


def test_a_new_address_waits_and_both_addresses_are_told(agent, trader, events):
    answer = agent.patch(f"users/{trader.pk}/", {"email": "New@Elsewhere.Example"})

    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["pending_email"]) == (trader.email, NEW)
    [confirmation], [notice] = mails_to(NEW), mails_to(trader.email)
    assert link_in(confirmation)
    assert "account/" not in notice.body  # the old address gets no link
    [event] = events()
    assert event.changes == {"pending_email": [None, NEW]}


def test_cancelling_forgets_the_pending_address_and_repeats_in_peace(agent, change_email, trader, events):
    change_email()
    before = len(events())

    answers = [agent.delete(f"users/{trader.pk}/pending-email/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["pending_email"] for answer in answers] == [None, None]
    assert answers[0]["ETag"] == answers[1]["ETag"]
    assert [event.action for event in events()[before:]] == ["user.email_change_cancelled"]


def test_asking_for_the_present_address_cancels_too(agent, change_email, trader):
    change_email()

    answer = agent.patch(f"users/{trader.pk}/", {"email": trader.email.upper()})

    assert (answer.json()["email"], answer.json()["pending_email"]) == (trader.email, None)


def test_asking_again_for_what_waits_is_no_second_event_nor_mail(agent, change_email, trader, events):
    change_email()
    before = (len(events()), len(mail.outbox))

    answer = agent.patch(f"users/{trader.pk}/", {"email": NEW.upper()})

    assert answer.status_code == 200 and answer.json()["pending_email"] == NEW
    assert (len(events()), len(mail.outbox)) == before


def test_an_inactive_trader_gets_no_new_address(agent, trader):
    operations.set_status(trader, "inactive", by=BY)

    answer = agent.patch(f"users/{trader.pk}/", {"email": NEW})

    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")


# E-mail at once, with the right to


def test_verified_switches_at_once_and_the_old_address_is_told(supervisor, trader, events):
    answer = supervisor.patch(f"users/{trader.pk}/", {"email": NEW, "verified": True})

    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["pending_email"]) == (NEW, None)
    assert events()[0].changes == {"email": [trader.email, NEW]}
    [notice] = mail.outbox
    assert notice.to == [trader.email] and "was changed" in notice.subject


def test_verified_needs_a_right_of_its_own(agent, trader, events):
    answer = agent.patch(f"users/{trader.pk}/", {"email": NEW, "verified": True})

    assert answer.status_code == 403
    assert User.objects.get(pk=trader.pk).email == trader.email
    assert events() == [] and mail.outbox == []


def test_verified_ends_a_change_that_waits_and_the_event_says_so(supervisor, change_email, trader, events):
    link, old = change_email("slow@elsewhere.example"), trader.email

    supervisor.patch(f"users/{trader.pk}/", {"email": NEW, "verified": True})

    assert is_dead_link_page(Browser().open(link))
    assert events()[-1].changes == {"email": [old, NEW], "pending_email": ["slow@elsewhere.example", None]}


# What is refused


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("taken", ["taken@demo.example", "TAKEN@Demo.Example"])
def test_an_address_taken_in_any_case_is_409(supervisor, trader, taken, verified, events):
    TraderFactory(email="taken@demo.example")

    answer = supervisor.patch(f"users/{trader.pk}/", {"email": taken, "verified": verified, "phone": "+4915112345678"})

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    trader.refresh_from_db()
    assert (trader.phone, trader.pending_email, trader.version) == (None, None, 1)
    assert events() == [] and mail.outbox == []


@pytest.mark.parametrize(
    "email",
    [
        "x" * 243 + "@demo.example",
        "İ" * 120 + "@demo.example",
        "a@demo.example\r\nBcc: b@demo.example",
        "a\n@demo.example",
        '"\x01"@demo.example',
        "a@dem\u202eo.example",
        "größe@demo.example",
        "a@demo.example ",
        "a demo@demo.example",
        "nobody",
        "",
        None,
        7,
        ["a@demo.example"],
        {"a": "b"},
    ],
)
def test_what_is_no_address_is_refused(agent, trader, email, events):
    assert fields_of(agent.patch(f"users/{trader.pk}/", {"email": email})).keys() == {"email"}
    assert events() == [] and mail.outbox == []


def test_an_address_of_254_characters_fits(agent, trader):
    email = "x" * 60 + "@" + "d" * 60 + "." + "d" * 60 + "." + "d" * 60 + ".example." + "dd"
    email += "d" * (254 - len(email))

    assert agent.patch(f"users/{trader.pk}/", {"email": email}).json()["pending_email"] == email


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({}, {"body": "required"}),
        ({"verified": True}, {"verified": "invalid"}),
        ({"email": NEW, "verified": "true"}, {"verified": "invalid"}),
        ({"email": NEW, "verified": 1}, {"verified": "invalid"}),
        ({"phone": "+4915112345678", "is_staff": True}, {"is_staff": "unknown"}),
        ({"phone": "+4915112345678", "version": 3}, {"version": "unknown"}),
        (
            {"id": 3, "broker": 1, "pending_email": NEW},
            {"id": "unknown", "broker": "unknown", "pending_email": "unknown"},
        ),
        ({"password": "x", "status": "inactive"}, {"password": "unknown", "status": "unknown"}),
    ],
)
def test_what_cannot_be_set_is_named(supervisor, trader, body, refused, events):
    assert fields_of(supervisor.patch(f"users/{trader.pk}/", body)) == refused
    assert events() == []


def test_if_match(agent, trader):
    stale = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, if_match=2)
    good = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, if_match=1)

    assert (stale.status_code, good.status_code) == (412, 200)
    assert stale["ETag"] == '"1"' and good["ETag"] == '"2"'


def test_a_dry_run_answers_the_same_and_keeps_nothing(agent, trader, events):
    answer = agent.patch(f"users/{trader.pk}/", {"email": NEW, "phone": "+4915112345678"}, dry_run="true")

    body = answer.json()
    assert (body["dry_run"], body["pending_email"], body["phone"], body["version"]) == (True, NEW, "+4915112345678", 2)
    trader.refresh_from_db()
    assert (trader.version, trader.pending_email, trader.phone) == (1, None, None)
    assert events() == [] and mail.outbox == [] and not OutgoingMail.objects.exists()


@pytest.mark.parametrize("target", ["foreign", "staff", "superuser", "self"])
@pytest.mark.parametrize("verified", [False, True])
def test_out_of_reach_is_404_and_on_record(agent, broker, foreign_trader, target, verified, events):
    targets = {"foreign": foreign_trader, "self": agent.user}
    user = targets.get(target) or (StaffFactory if target == "staff" else SuperuserFactory)(broker=broker)

    answer = agent.patch(f"users/{user.pk}/", {"email": NEW, "verified": verified})

    assert answer.status_code == 404
    assert [(event.action, event.subject_id) for event in events()] == [("user.attempt_refused", user.pk)]
    assert agent.delete(f"users/{user.pk}/pending-email/").status_code == 404


def test_a_dry_run_out_of_reach_leaves_no_trace(agent, foreign_trader, events):
    assert agent.patch(f"users/{foreign_trader.pk}/", {"email": NEW}, dry_run="true").status_code == 404
    assert events() == []


def test_two_who_want_one_address_at_once_do_not_both_get_it(race, broker):
    traders = [TraderFactory(broker=broker) for _ in range(6)]
    staff = Api(StaffFactory(broker=broker, role="Supervisor"))

    answers = race(
        *[lambda pk=trader.pk: staff.patch(f"users/{pk}/", {"email": NEW, "verified": True}) for trader in traders]
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"email_taken"}
    assert User.objects.filter(email=NEW).count() == 1
    assert AuditEvent.objects.filter(action="user.contact_changed").count() == 1


def test_changes_of_different_fields_at_once_both_survive(race, broker, trader):
    staff = Api(StaffFactory(broker=broker, role="Supervisor"))
    bodies = [{"phone": "+4915112345678"}, {"email": NEW, "verified": True}]

    answers = race(*[lambda body=body: staff.patch(f"users/{trader.pk}/", body) for body in bodies])

    assert [answer.status_code for answer in answers] == [200, 200]
    trader.refresh_from_db()
    assert (trader.phone, trader.email, trader.version) == ("+4915112345678", NEW, 3)
