"""The console's door: staff only, one answer for every reason to stay outside, and limits before any hashing."""

import pytest
from django.contrib.auth import hashers
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, StaffFactory
from support_platform.tests.console import Console, text_of

LOGIN = "/admin/login/"


def log_in(email, password=PASSWORD, console=None, **extra):
    return (console or Console()).post(LOGIN, {"username": email, "password": password, **extra})


def test_staff_get_in_whatever_the_case_of_their_address(viewer, events):
    console = Console()

    answer = log_in(viewer.user.email.upper(), console=console)

    assert answer.headers["Location"] == "/admin/"
    assert console.get("/admin/").status_code == 200
    [event] = events(action="user.logged_in")
    assert (event.actor, event.source, event.broker) == (viewer.user.email, "console", viewer.user.broker_id)


def test_it_goes_on_to_where_one_wanted_to_be_but_never_elsewhere(viewer):
    assert log_in(viewer.user.email, next="/admin/trading/trade/").headers["Location"] == "/admin/trading/trade/"
    assert log_in(viewer.user.email, next="https://evil.example/").headers["Location"] == "/admin/"


def test_every_reason_to_stay_outside_reads_the_same(broker, trader, events):
    inactive = StaffFactory(broker=broker, role="Viewer", is_active=False)
    person = StaffFactory(broker=broker, role="Viewer")

    pages = [
        log_in(person.email, "wrong"),
        log_in(trader.email),
        log_in(inactive.email),
        log_in("nobody@desk.example"),
    ]

    assert [page.status_code for page in pages] == [200] * 4
    assert len({text_of(page).split("Password")[0] for page in pages}) == 1
    assert "correct email and password" in text_of(pages[0])
    assert events() == []


@pytest.mark.parametrize("field", ["username", "password"])
def test_unreadable_input_is_a_form_error(db, field):
    answer = Console().post(LOGIN, {"username": "a@desk.example", "password": "x", field: "a\x00b"})

    assert answer.status_code == 200


def test_limits_of_the_address_and_of_the_email_come_before_any_hashing(viewer, settings, monkeypatch):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["4/m"], "e-mail": ["2/m"]}}
    hashed = []
    check = hashers.check_password

    def counted(*args, **kwargs):
        hashed.append(args)
        return check(*args, **kwargs)

    monkeypatch.setattr("django.contrib.auth.base_user.check_password", counted)
    email, wrong = viewer.user.email, "wrong"

    answers = [
        log_in(email, wrong),
        log_in(email.upper(), wrong),
        log_in(email),
        log_in("b@desk.example"),
        log_in("c@desk.example"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 200, 429]
    assert len(hashed) == 2
    assert 1 <= int(answers[2]["Retry-After"]) <= 60
    assert answers[2]["RateLimit"].startswith('"login";r=0;t=')
    assert "Too many attempts" in text_of(answers[2])
    assert "RateLimit-Policy" in answers[0]


def test_the_console_and_the_api_count_the_same_logins(anonymous, viewer, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["9/m"], "e-mail": ["1/m"]}}
    anonymous.post("auth/token/", {"email": viewer.user.email, "password": "wrong"})

    assert log_in(viewer.user.email).status_code == 429


def test_a_bearer_token_opens_nothing_and_a_console_session_not_the_api(agent, viewer):
    page = agent.call("GET", "/admin/")
    assert page.status_code == 302
    assert page.headers["Location"] == "/admin/login/?next=/admin/"

    console = Console(viewer.user)
    assert console.get("/admin/").status_code == 200
    assert console.get("/api/v1/users/").status_code == 401


def test_traders_with_a_session_stay_outside(trader):
    assert Console(trader).get("/admin/").status_code == 302


@pytest.mark.parametrize("change", ["is_active", "session_version"])
def test_an_ended_session_is_out_at_once(viewer, change):
    console = Console(viewer.user)
    value = False if change == "is_active" else 2
    User.objects.filter(pk=viewer.user.pk).update(**{change: value})

    assert console.get("/admin/").status_code == 302


def test_a_form_without_its_token_is_refused(viewer):
    client = Client(enforce_csrf_checks=True)

    assert client.post(LOGIN, {"username": viewer.user.email, "password": PASSWORD}).status_code == 403


def test_ones_own_password_ends_all_other_sessions_and_is_audited(viewer, events):
    here, elsewhere = Console(viewer.user), Console(viewer.user)
    new = "another long password"

    answer = here.post(
        "/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )

    assert answer.headers["Location"] == "/admin/password_change/done/"
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert viewer.get("users/").status_code == 401
    [event] = events(action="staff.changed")
    assert event.actor == viewer.user.email
    assert new not in str(event.changes)


def test_guessing_the_old_password_is_limited(viewer, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["9/m"], "e-mail": ["1/m"]}}
    console = Console(viewer.user)
    guess = {
        "old_password": "wrong",
        "new_password1": "another long password",
        "new_password2": "another long password",
    }

    assert console.post("/admin/password_change/", guess).status_code == 200
    assert console.post("/admin/password_change/", guess).status_code == 429
