"""The door: who gets in, who does not, and how a session ends."""

from playwright.sync_api import expect

from accounts import staff_operations
from accounts.models import User
from accounts.tests.factories import PASSWORD
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from trading.models import Trade


def log_in(person, email, password=PASSWORD):
    person.fill(e_mail=email, password=password)
    person.button("Log in").click()


def test_a_day_begins_where_one_wanted_to_be_and_ends_at_the_door(people, window):
    user = people("Agent")
    person = window().open(Trade)
    assert person.path == "/admin/login/"

    log_in(person, user.email.upper(), "wrong")
    person.sees("correct email and password")
    log_in(person, user.email)
    expect(person.page).to_have_url("/admin/trading/trade/")
    person.log_out()
    person.open("/admin/")

    assert person.path == "/admin/login/"
    [event] = AuditEvent.objects.filter(action="user.logged_in")
    assert (event.actor, event.source, event.ip) == (user.email, "console", "127.0.0.1")


def test_the_right_password_does_not_help_while_the_limit_is_reached(people, window, settings, monkeypatch):
    monkeypatch.setattr("django_ratelimit.core._get_window", lambda value, period: 4_000_000_000)
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": {"address": ["10/m"], "e-mail": ["2/m"]}}
    user, colleague = people("Agent"), people("Viewer")
    person = window().open("/admin/login/")

    for _ in range(2):
        log_in(person, user.email, "wrong")
        person.sees("correct email and password")
    person.watch.expect(429, "/admin/login/")
    log_in(person, user.email)
    person.sees("Too many attempts. Try again in")
    log_in(person, colleague.email)

    person.sees("Your latest events")


def test_traders_stay_outside_and_read_what_everyone_reads(trader, window):
    person = window().open("/admin/login/")

    log_in(person, trader.email)

    person.sees("correct email and password")


def test_a_session_ends_when_the_account_does(people, window):
    user = people("Agent")
    person = window(user).open(User)

    account = User.objects.get(pk=user.pk)
    staff_operations.change_staff(account, by=Actor("command"), is_active=False)
    person.page.reload()

    assert person.path == "/admin/login/"


def test_changing_the_own_password_ends_the_other_browser(people, window):
    user = people("Viewer")
    elsewhere = window(user).open(User)
    person = window(user).open("/admin/password_change/")

    person.fill(old_password=PASSWORD, new_password="violet tram 48 lantern")
    person.page.get_by_label("confirmation").fill("violet tram 48 lantern")
    person.button("Change password").click()
    person.sees("Your password was changed")
    elsewhere.page.reload()

    assert elsewhere.path == "/admin/login/"
    person.open(User)
    assert person.path == "/admin/accounts/user/"
