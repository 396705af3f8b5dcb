"""Traders in the console: contact, reset, status, by the operations of the API and with its rights."""

import pytest
from django.core import mail
from django.db import OperationalError
from redis.exceptions import RedisError

from accounts import operations
from accounts.models import User
from accounts.tests.factories import StaffFactory, SuperuserFactory, TraderFactory
from support_platform.tests.console import (
    COLLEAGUE,
    Console,
    address,
    edit_address,
    form_fields,
    messages_of,
    text_of,
    told,
)
from trading.tests.factories import DeploymentFactory


@pytest.fixture
def console(agent):
    return Console(agent.user)


# --- contact ----------------------------------------------------------------------------------------
def test_phone_changes_at_once_and_is_audited(console, trader, events):
    answer = console.save(trader, phone="+4915112345678", reason="new phone – Größe")

    trader.refresh_from_db()
    assert trader.phone == "+4915112345678"
    assert trader.version == 2
    assert told(answer) == ["Done."]
    [event] = events(action="user.contact_changed")
    assert event.changes == {"phone": [None, "+4915112345678"]}
    assert (event.actor, event.source, event.reason) == (console.user.email, "console", "new phone – Größe")
    assert (event.ip, event.user) == ("127.0.0.1", trader.pk)
    assert event.request_id


def test_email_waits_for_its_confirmation(console, trader):
    answer = console.save(trader, email="New@Demo.example")

    trader.refresh_from_db()
    assert (trader.email != "new@demo.example", trader.pending_email) == (True, "new@demo.example")
    assert {sent.to[0] for sent in mail.outbox} == {"new@demo.example", trader.email}
    assert "stays valid until the owner of the new one follows the mailed link" in text_of(answer)


def test_a_change_of_the_phone_leaves_a_waiting_email_alone(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, email="new@demo.example")

    console.save(trader, phone="+4915112345678")

    trader.refresh_from_db()
    assert (trader.phone, trader.pending_email) == ("+4915112345678", "new@demo.example")


def test_only_who_may_override_can_call_an_email_verified(console, supervisor, trader):
    console.save(trader, email="new@demo.example", verified="on")
    trader.refresh_from_db()
    assert (trader.email == "new@demo.example", trader.pending_email) == (False, "new@demo.example")

    Console(supervisor.user).save(trader, email="new2@demo.example", verified="on")
    trader.refresh_from_db()
    assert (trader.email, trader.pending_email) == ("new2@demo.example", None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"phone": "12"}, "phone"),
        ({"phone": "+49\x00151"}, "phone"),
        ({"email": "nonsense"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "x" * 260 + "@demo.example"}, "email"),
        ({"phone": "+4915112345678", "reason": ""}, "reason"),
        ({"phone": "+4915112345678", "reason": "   "}, "reason"),
        ({"phone": "+4915112345678", "reason": "x" * 501}, "reason"),
        ({"phone": "+4915112345678", "reason": "a\u202eb"}, "reason"),
        ({"phone": "+4915112345678", "shown": "x" * 20_001}, "shown"),
    ],
)
def test_what_is_not_valid_is_told_at_its_field(console, trader, events, values, field):
    answer = console.save(trader, **values)

    assert answer.status_code == 200
    assert set(answer.context["form"].errors) == {field}
    trader.refresh_from_db()
    assert trader.version == 1
    assert events() == []


def test_a_taken_address_is_an_error_of_the_form(console, trader):
    other = TraderFactory(broker=trader.broker)

    answer = console.save(trader, email=other.email.upper())

    assert "Another account has this address" in text_of(answer)


def test_nothing_changed_leaves_no_event(console, trader, events):
    answer = console.save(trader)

    assert told(answer) == ["Nothing was changed: every value is as it was."]
    assert events() == []


def test_a_stale_page_is_refused_and_says_what_changed(console, trader, events):
    opened = console.fields(trader)
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")
    operations.set_status(trader, "inactive", by=COLLEAGUE)
    before = len(events())

    answer = console.send(trader, {**opened, "phone": "+4915100000002", "reason": "late"})

    trader.refresh_from_db()
    assert (trader.phone, trader.version) == ("+4915100000001", 3)
    assert len(events()) == before
    assert answer.status_code == 200
    words = text_of(answer)
    assert "Nothing was saved" in words
    assert "Phone – +4915100000001" in words
    assert answer.context["form"]["phone"].value() == "+4915100000002"
    moved = [("phone", "–", "+4915100000001"), ("status", "active", "inactive")]
    assert answer.context["meanwhile"] == moved


@pytest.mark.parametrize(
    "shown",
    [
        *("", "{", "[1]", "[" * 5000, '{"row": 1, "form": []}', '{"row": {"phone": {}}}'),
        '{"row": {"phone": "<script>alert(1)</script>"}, "form": {"phone": "<script>alert(1)</script>"}}',
    ],
)
def test_a_forged_memory_of_the_page_is_only_text(console, trader, shown):
    opened = console.fields(trader)
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915100000001")

    answer = console.send(trader, {**opened, "shown": shown, "phone": "+4915100000002", "reason": "late"})

    assert answer.status_code == 200
    assert answer.context["is_stale"]
    assert "<script>alert" not in answer.content.decode()


# --- operations on chosen rows ------------------------------------------------------------------------
def test_the_page_that_asks_why_changes_nothing(console, trader, events):
    asked = console.choose(User, "deactivate", [trader])

    assert asked.status_code == 200
    assert f"Deactivate: {trader.email}" in text_of(asked)
    assert events() == []


def test_without_a_reason_nothing_is_done(console, trader, events):
    answer = console.operate(User, "deactivate", [trader], reason="", deployments="leave")

    assert answer.context["form"].errors.keys() == {"reason"}
    assert User.objects.get(pk=trader.pk).is_active
    assert events() == []


def test_deactivates_each_with_its_deployments_treated_as_asked(console, trader, events):
    second = TraderFactory(broker=trader.broker)
    gone = TraderFactory(broker=trader.broker, is_active=False)
    DeploymentFactory(user=trader)

    answer = console.operate(User, "deactivate", [trader, second, gone], deployments="pause", reason="fraud check")

    assert not User.objects.filter(pk__in=[trader.pk, second.pk], is_active=True).exists()
    assert [event.reason for event in events(action="user.deactivated")] == ["fraud check"] * 2
    outcomes = {outcome.row.pk: outcome.text for outcome, _ in answer.context["outcomes"]}
    [besides] = [outcome.besides for outcome, _ in answer.context["outcomes"] if outcome.row == trader]
    assert besides == {"Deployments paused": 1}
    assert outcomes == {
        trader.pk: "Done.",
        second.pk: "Done.",
        gone.pk: "Nothing to do: it is so already.",
    }
    assert "2 of 3 done." in text_of(answer)


def test_activates_again(console, trader, events):
    operations.set_status(trader, "inactive", by=COLLEAGUE)

    answer = console.operate(User, "activate", [trader])

    assert User.objects.get(pk=trader.pk).is_active
    assert told(answer) == ["Done."]
    assert len(events(action="user.activated")) == 1


def test_cancels_a_change_of_email(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, email="new@demo.example")

    console.operate(User, "cancel_email_change", [trader])

    assert User.objects.get(pk=trader.pk).pending_email is None


def test_resets_passwords_row_by_row(console, trader, events):
    inactive = TraderFactory(broker=trader.broker, is_active=False)

    answer = console.operate(User, "reset_password", [trader, inactive])

    assert [sent.to for sent in mail.outbox] == [[trader.email]]
    texts = {outcome.row.pk: outcome.text for outcome, _ in answer.context["outcomes"]}
    assert texts[trader.pk] == "Done."
    assert "Mail: Set a new password, to t***@demo.example" in text_of(answer)
    assert texts[inactive.pk].startswith("Not done: The account is inactive")
    assert len(events(action="user.password_reset")) == 1


def test_resets_are_limited_per_trader_together_with_the_api(console, agent, trader, settings, events):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "reset": {"target trader": ["2/m"]}}
    agent.post(f"users/{trader.pk}/password-reset/")
    console.operate(User, "reset_password", [trader])

    answer = console.operate(User, "reset_password", [trader])

    assert "The limit is reached. Try again in" in told(answer)[0]
    assert len(events(action="user.password_reset")) == 2


def test_a_row_that_changed_since_it_was_chosen_is_left_alone(console, trader):
    asked = console.choose(User, "deactivate", [trader])
    operations.change_contact(trader, by=COLLEAGUE, phone="+4915112345678")

    answer = console.post(
        address(User, "operate", "deactivate"),
        {"seen": asked.context["form"].initial["seen"], "reason": "late", "deployments": "leave", "step": "confirm"},
        follow=True,
    )

    assert "It was changed by someone else meanwhile" in told(answer)[0]
    assert User.objects.get(pk=trader.pk).is_active


def test_one_rows_page_offers_what_the_role_may(viewer, console, supervisor, trader):
    def offered(person):
        return [operation.name for operation, _ in Console(person).page(trader).context["operations"]]

    assert offered(viewer.user) == []
    assert offered(console.user) == ["change_contact", "reset_password", "deactivate"]
    operations.change_contact(trader, by=COLLEAGUE, email="new@demo.example")
    assert "cancel_email_change" in offered(console.user)
    operations.set_status(trader, "inactive", by=COLLEAGUE)
    assert offered(console.user) == ["change_contact", "treat_deployments", "activate"]
    asked = console.post(address(User, "operate", "deactivate"), {"id": trader.pk})
    assert asked.status_code == 200


# --- who may not, and whom nobody may -------------------------------------------------------------------
OPERATIONS = [
    *("change_contact", "reset_password", "deactivate", "treat_deployments", "activate", "cancel_email_change"),
]


@pytest.mark.parametrize("name", OPERATIONS)
def test_viewers_may_not_by_any_path(viewer, trader, events, name):
    console = Console(viewer.user)
    seen = {"seen": f"{trader.pk}:1", "reason": "x", "deployments": "leave"}

    answers = [
        console.choose(User, name, [trader]),
        console.post(address(User, "operate", name), {"id": trader.pk}),
        console.post(address(User, "operate", name), seen),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    trader.refresh_from_db()
    assert trader.version == 1
    assert {event.action for event in events()} == {"user.attempt_refused"}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("whom", ["itself", "colleague", "superuser", "foreign trader", "nobody"])
def test_staff_and_strangers_are_out_of_reach_and_the_attempt_is_on_record(
    console, broker, foreign_trader, events, name, whom
):
    targets = {
        "itself": console.user,
        "colleague": StaffFactory(broker=broker, role="Viewer"),
        "superuser": SuperuserFactory(broker=broker),
        "foreign trader": foreign_trader,
    }
    pk = targets[whom].pk if whom in targets else 987654321
    before = list(User.objects.filter(pk=pk).values())
    seen = {"seen": f"{pk}:1", "reason": "x", "deployments": "leave"}

    answers = [
        console.choose(User, name, [pk]),
        console.post(address(User, "operate", name), {"id": pk}),
        console.post(address(User, "operate", name), seen),
        console.post(address(User, "operate", name), {**seen, "step": "confirm", "email": "evil@demo.example"}),
        console.post(address(User, "change", pk), {"email": "evil@demo.example", "version": 1, "reason": "x"}),
    ]

    assert [answer.status_code for answer in answers] == [*[302] * 4, 403]
    assert list(User.objects.filter(pk=pk).values()) == before
    recorded = [(event.action, event.subject_id, event.source) for event in events()]
    assert recorded == [("user.attempt_refused", pk, "console")] * 5


def test_a_list_of_mixed_rows_touches_only_those_in_reach(console, trader, foreign_trader):
    answer = console.operate(User, "deactivate", [trader, foreign_trader, console.user], deployments="leave")

    assert User.objects.filter(is_active=False).get() == trader
    assert told(answer) == ["Done."]


def test_fields_that_the_form_does_not_have_are_not_written(console, trader):
    console.save(trader, phone="+4915112345678", is_staff="on", is_superuser="on", password="x", broker="1", groups="1")

    changed = User.objects.get(pk=trader.pk)
    assert (changed.is_staff, changed.is_superuser, changed.password) == (False, False, trader.password)
    assert list(changed.groups.all()) == []


def test_no_superusers_account_is_changed_from_the_list_of_traders(superuser, broker):
    colleague = SuperuserFactory(broker=broker)

    Console(superuser.user).choose(User, "deactivate", [colleague])

    assert User.objects.get(pk=colleague.pk).is_active


def test_more_than_fits_on_a_page_is_refused(console, trader, monkeypatch):
    monkeypatch.setattr("support_platform.console.actions.MAX_ROWS", 2)
    rows = TraderFactory.create_batch(3, broker=trader.broker)

    answer = console.choose(User, "activate", rows)

    assert answer.status_code == 302
    assert "at most 2 rows" in messages_of(console.get(address(User)))[0]


def test_the_form_is_rebuilt_from_what_is_stored(console, trader):
    """What a page shows as the row's values never comes from the address line."""
    page = console.post(edit_address(trader), {"id": trader.pk, "phone": "+4900000000"}, phone="+4900000000")

    assert form_fields(page).get("phone") is None


@pytest.mark.parametrize("fault", [OperationalError, RedisError])
def test_what_is_away_for_one_row_is_told_at_that_row(console, trader, monkeypatch, fault):
    other = TraderFactory(broker=trader.broker)
    reset = operations.reset_password

    def away_for_one(user, *, by):
        if user == other:
            raise fault("gone")
        return reset(user, by=by)

    monkeypatch.setattr(operations, "reset_password", away_for_one)

    answer = console.operate(User, "reset_password", [trader, other])

    texts = {outcome.row.pk: outcome.text for outcome, _ in answer.context["outcomes"]}
    assert texts[other.pk].startswith("Not done: the database or the cache is away.")
    assert texts[trader.pk] == "Done."
