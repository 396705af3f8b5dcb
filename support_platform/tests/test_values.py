"""Faults of values in a body, on PATCH users/{id}/: refused by name, and nothing is kept."""

import pytest
from django.core import mail
from django.db import DatabaseError, transaction

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform.tests.calls import assert_problem

PHONE = "+4915112345678"


@pytest.fixture
def refused(supervisor, trader, events):
    """This body is refused, naming this field; neither row, mail nor audit event is there afterwards."""

    def check(body, field, code=None, status=400):
        before = User.objects.filter(pk=trader.pk).values().get()

        problem = assert_problem(supervisor.patch(f"users/{trader.pk}/", body), status, field=field)

        if code:
            assert code in [error["code"] for error in problem["errors"] if error["field"] == field]
        assert User.objects.filter(pk=trader.pk).values().get() == before
        assert mail.outbox == []
        assert events() == []
        return problem

    return check


@pytest.mark.parametrize(
    "field",
    [
        "nonsense",
        "is_staff",
        "is_superuser",
        "is_active",
        "password",
        "groups",
        "session_version",
        "reset_nonce",
        "Phone",
        "",
    ],
)
def test_an_unknown_field_is_refused(refused, field):
    refused({"phone": PHONE, field: 1}, field or "body", "unknown")


@pytest.mark.parametrize(
    "field",
    ["id", "broker", "version", "status", "pending_email", "created_at", "last_login", "first_name", "last_name"],
)
def test_a_field_that_only_answers_carry_is_refused(refused, field):
    refused({"phone": PHONE, field: None}, field)


def test_every_refused_field_is_named(refused):
    problem = refused({"id": 1, "broker": 2, "nonsense": 3}, "id")

    assert {error["field"] for error in problem["errors"]} == {"id", "broker", "nonsense"}


def test_an_empty_change_is_refused(refused):
    refused({}, "body", "required")


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        1,
        1.5,
        [],
        [PHONE],
        {},
        {"phone": PHONE},
        "",
        " ",
        f"{PHONE} ",
        f" {PHONE}",
        f"{PHONE}\n",
        "0151 12345678",
        "+49 151 12345678",
        "+0123456789",
        "+123456",
        "+1234567890123456",
        "+49-151-12345678",
        "4915112345678",
        "+٤٩١٥١١٢٣٤٥",
        "+4915112345678;ext=1",
        "\u202e+4915112345678",
        "x" * 300,
    ],
)
def test_a_phone_number_is_e_164(refused, value):
    refused({"phone": value}, "phone")


@pytest.mark.parametrize("value", [PHONE, "+12025550123", "+1234567", "+123456789012345", None])
def test_good_phone_numbers_and_none_are_taken(supervisor, trader, value):
    assert supervisor.patch(f"users/{trader.pk}/", {"phone": value}).json()["phone"] == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        1.5,
        [],
        ["a@demo.example"],
        {},
        "",
        " ",
        "a",
        "a@",
        "@demo.example",
        "a@b",
        "a b@demo.example",
        " a@demo.example",
        "a@demo.example ",
        "a@demo.example\n",
        "a@demo.example\r\nBcc: b@demo.example",
        "a@demo.example,b@demo.example",
        "a@demo..example",
        "a@-demo.example",
        "A <a@demo.example>",
        '"a\nb"@demo.example',
        "a\u202eb@demo.example",
        "a\x07@demo.example",
        "é@demo.example",
        "x" * 65 + "@" + "y" * 200,
        "x@" + "y" * 245 + ".example",
        "a" * 243 + "@demo.example",
    ],
)
def test_an_address_is_an_address(refused, value):
    refused({"email": value}, "email")


def test_an_address_of_254_characters_is_taken_and_one_of_255_is_not(supervisor, trader):
    longest = "a@" + ".".join(["b" * 60] * 4)[:244] + ".example"
    address = longest.replace("a@", "a" * (254 - len(longest) + 1) + "@")
    assert len(address) == 254

    assert supervisor.patch(f"users/{trader.pk}/", {"email": address}).status_code == 200
    assert_problem(supervisor.patch(f"users/{trader.pk}/", {"email": f"a{address}"}), 400, field="email")


def test_an_address_is_stored_in_lower_case(supervisor, trader):
    answer = supervisor.patch(f"users/{trader.pk}/", {"email": "New.Name@Demo.Example", "verified": True})

    assert answer.json()["email"] == "new.name@demo.example"
    trader.refresh_from_db()
    assert trader.email == "new.name@demo.example"


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_an_address_another_has_in_any_case_is_409(supervisor, trader, foreign_trader, change, verified, events):
    body = {"email": change(foreign_trader.email), "verified": verified}

    answer = supervisor.patch(f"users/{trader.pk}/", body)

    assert_problem(answer, 409, code="email_taken")
    assert events() == []
    assert mail.outbox == []


def test_the_own_address_in_another_case_changes_nothing(supervisor, trader, events):
    answer = supervisor.patch(f"users/{trader.pk}/", {"email": trader.email.upper()})

    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert events() == []


def test_the_database_itself_keeps_addresses_unique_and_lower_case(trader):
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.filter(pk=trader.pk).update(email="Upper@Demo.Example")
    other = TraderFactory()
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.filter(pk=other.pk).update(email=trader.email)


@pytest.mark.parametrize("value", [None, 0, 1, "true", "false", "", [], [True], {}])
def test_verified_is_true_or_false(refused, value):
    refused({"email": "new@demo.example", "verified": value}, "verified")


def test_verified_goes_with_an_address(refused):
    refused({"phone": PHONE, "verified": True}, "verified")


@pytest.mark.parametrize(
    "status", ["Active", "ACTIVE", "active ", "deleted", "", None, True, 1, ["active"], {"active": 1}]
)
def test_status_is_one_of_its_values(supervisor, trader, status, events):
    assert_problem(supervisor.put(f"users/{trader.pk}/status/", {"status": status}), 400, field="status")

    assert events() == []


def test_a_call_without_input_takes_no_fields(supervisor, trader, events):
    answer = supervisor.post(f"users/{trader.pk}/password-reset/", {"email": "thief@demo.example"})

    assert_problem(answer, 400, field="email")
    assert mail.outbox == []
    assert events() == []
