"""API: reset a user's password. From the staff member's call to the page where the trader sets a new one."""

import logging
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiSession, OutgoingMail, User
from accounts.tests.browser import (
    NEW_PASSWORD,
    PASSWORD_PAGE,
    Browser,
    link_in,
    link_token,
    mails_to,
    open_form,
    password_of,
    path_of,
)
from accounts.tests.factories import PASSWORD, StaffFactory, SuperuserFactory, TraderFactory
from support_platform.models import AuditEvent

# The staff member's call


def test_mails_a_link_and_is_audited(agent, trader, events):
    answer = agent.post(f"users/{trader.pk}/password-reset/", reason="asked on the phone – Größe")

    assert answer.status_code == 202, answer.content
    assert answer.json().keys() == {"id", "sent_to", "expires_at"}
    assert answer.json()["sent_to"] == "t***@demo.example"
    assert answer["ETag"] == '"2"'
    [sent] = mail.outbox
    assert sent.to == [trader.email]
    [event] = events(action="user.password_reset")
    assert event.actor == agent.user.email
    assert event.reason == "asked on the phone – Größe"
    assert event.request_id == answer["X-Request-ID"]
    assert event.user == trader.pk
    assert event.source == "api"


def test_the_link_works_for_as_long_as_the_settings_say(agent, trader, settings):
    settings.PASSWORD_RESET_LIFETIME = timedelta(minutes=10)
    before = timezone.now()

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    trader.refresh_from_db()
    assert before + timedelta(minutes=10) <= trader.reset_expires_at <= timezone.now() + timedelta(minutes=10)
    assert answer.json()["expires_at"] == trader.reset_expires_at.isoformat().replace("+00:00", "Z")


def test_the_password_stays_until_a_new_one_is_set(reset, trader):
    reset()

    assert password_of(trader) == PASSWORD


def test_the_mail_says_until_when_and_has_the_link_on_a_line_of_its_own(reset, trader):
    link = reset()

    [sent] = mail.outbox
    trader.refresh_from_db()
    assert link in sent.body.splitlines()
    assert f"{trader.reset_expires_at:%H:%M} UTC" in sent.body
    [html] = [content for content, kind in sent.alternatives if kind == "text/html"]
    assert f'href="{link}"' in html


def test_an_inactive_trader_is_refused_and_not_reactivated(agent, trader, events):
    User.objects.filter(pk=trader.pk).update(is_active=False)

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert answer.status_code == 409
    assert answer.json()["code"] == "inactive"
    assert not User.objects.get(pk=trader.pk).is_active
    assert mail.outbox == [] and events() == []


def test_a_dry_run_keeps_and_sends_nothing(agent, trader, events):
    answer = agent.post(f"users/{trader.pk}/password-reset/", dry_run="true")

    assert answer.status_code == 202
    assert answer.json()["dry_run"] is True
    assert answer.json()["sent_to"] == "t***@demo.example"
    trader.refresh_from_db()
    assert (trader.version, trader.reset_nonce) == (1, "")
    assert mail.outbox == [] and events() == [] and not OutgoingMail.objects.exists()


def test_a_stale_version_is_refused(agent, trader):
    answer = agent.post(f"users/{trader.pk}/password-reset/", if_match=7)

    assert answer.status_code == 412
    assert answer["ETag"] == '"1"'
    assert mail.outbox == []


@pytest.mark.parametrize("body", [{"password": "chosen by support"}, {"email": "elsewhere@demo.example"}])
def test_takes_no_body(agent, trader, body):
    answer = agent.post(f"users/{trader.pk}/password-reset/", body)

    assert answer.status_code == 400
    assert mail.outbox == []


def test_three_a_minute_for_one_trader_whoever_asks(agent, supervisor, broker, trader):
    answers = [staff.post(f"users/{trader.pk}/password-reset/") for staff in (agent, supervisor, agent, supervisor)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[0]["RateLimit-Policy"] == '"reset";q=3;w=60'
    assert [answer["RateLimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert int(answers[3]["Retry-After"]) in range(1, 62)
    assert len(mail.outbox) == 3
    assert agent.post(f"users/{TraderFactory(broker=broker).pk}/password-reset/").status_code == 202


def test_a_dry_run_does_not_count(agent, trader):
    for _ in range(4):
        assert agent.post(f"users/{trader.pk}/password-reset/", dry_run="true").status_code == 202

    assert agent.post(f"users/{trader.pk}/password-reset/").status_code == 202


@pytest.mark.parametrize("target", ["foreign_trader", "staff", "superuser", "self", "nobody"])
def test_out_of_reach_is_404_and_the_attempt_is_on_record(agent, broker, foreign_trader, target, events):
    pk = {
        "foreign_trader": foreign_trader.pk,
        "staff": StaffFactory(broker=broker).pk,
        "superuser": SuperuserFactory(broker=broker).pk,
        "self": agent.user.pk,
        "nobody": 10**6,
    }[target]

    answer = agent.post(f"users/{pk}/password-reset/")

    assert answer.status_code == 404
    assert mail.outbox == []
    [event] = events()
    assert (event.action, event.actor_id, event.subject_id) == ("user.attempt_refused", agent.user.pk, pk)
    assert event.changes == {"attempted": [None, "reset_password"]}
    assert event.user is None and event.broker == broker.pk


def test_even_a_superuser_resets_no_staff_here(superuser, broker):
    assert superuser.post(f"users/{StaffFactory(broker=broker).pk}/password-reset/").status_code == 404


# The trader's page


def test_sets_the_password_and_tells_the_trader(reset, trader, events):
    browser = open_form(reset())

    page = browser.set_password()

    assert page.status_code == 200
    assert "Your password is changed" in page.content.decode()
    assert password_of(trader) == NEW_PASSWORD
    assert mails_to(trader.email)[-1].subject == "Your password was changed"
    [event] = events(action="user.password_changed")
    assert (event.actor_id, event.user, event.source) == (trader.pk, trader.pk, "console")
    assert event.request_id == page["X-Request-ID"]


def test_following_the_link_leads_to_an_address_without_it(reset):
    link = reset()

    answer = Client().get(path_of(link))

    assert answer.status_code == 302
    assert answer["Location"] == PASSWORD_PAGE
    cookie = answer.cookies["reset_link"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == PASSWORD_PAGE
    assert link.split("/")[-2] not in Browser().open(link).content.decode()


def test_a_scanner_that_follows_links_changes_nothing(reset, trader):
    link = reset()
    for method in ("get", "head"):
        getattr(Client(), method)(path_of(link), follow=True)

    page = open_form(link).set_password()

    assert page.status_code == 200
    assert password_of(trader) == NEW_PASSWORD


def test_every_token_and_session_of_the_trader_is_dead(reset, trader):
    session = ApiSession(user=trader, session_version=trader.session_version)
    _, session.refresh_id, session.expires_at = tokens.issue("refresh", session)
    session.save(force_insert=True)
    hash_before = trader.get_session_auth_hash()

    open_form(reset()).set_password()

    session.refresh_from_db()
    trader.refresh_from_db()
    assert session.revoked_at is not None
    assert trader.session_version == 2
    assert trader.get_session_auth_hash() != hash_before


@pytest.mark.parametrize(
    ("password", "repeated", "said"),
    [
        ("tram 48", "tram 48", "too short"),
        ("1234567890123", "1234567890123", "entirely numeric"),
        ("password123", "password123", "too common"),
        ("person.test@x1", "other", "The two passwords differ"),
        ("", "", "Type a new password"),
        (10 * " ", 10 * " ", "more than spaces"),
        (NEW_PASSWORD, "", "a second time"),
        ("nul\x00 in the middle", "nul\x00 in the middle", "Null characters"),
        ("x" * 1001, "x" * 1001, "at most 1000"),
    ],
)
def test_a_password_that_will_not_do_can_be_corrected(reset, trader, password, repeated, said):
    browser = open_form(reset())

    page = browser.set_password(password, repeated)

    shown = page.content.decode()
    assert page.status_code == 200
    assert said in shown
    assert 'aria-invalid="true"' in shown and "_error" in shown and 'role="alert"' in shown
    assert not password or password not in shown
    assert password_of(trader) == PASSWORD
    browser.set_password()
    assert password_of(trader) == NEW_PASSWORD


# Secrets and hosts


def test_an_evil_host_does_not_reach_the_link(agent, trader, settings):
    settings.ALLOWED_HOSTS = ["*"]

    agent.post(
        f"users/{trader.pk}/password-reset/", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    )

    [sent] = mail.outbox
    assert link_in(sent).startswith(f"{settings.PUBLIC_URL}/account/password/")
    assert "evil.example" not in sent.message().as_string()


def test_neither_link_nor_token_is_kept_or_told_anywhere(agent, trader, caplog):
    caplog.set_level(logging.DEBUG)
    answer = agent.post(f"users/{trader.pk}/password-reset/")
    token = link_token(link_in(mail.outbox[0]))
    browser = open_form(link_in(mail.outbox[0]))
    form = browser.page
    browser.client.post(path_of(link_in(mail.outbox[0])), {"password": NEW_PASSWORD})
    done = browser.set_password()
    secrets = {token, token.split(":")[0], token.split(":")[-1], NEW_PASSWORD}

    told = answer.content.decode() + str(answer.headers) + form.content.decode() + done.content.decode()
    told += "".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    told += str(list(AuditEvent.objects.values())) + str(list(OutgoingMail.objects.values()))

    assert [secret for secret in secrets if secret in told] == []
    assert "/account/password/<str:token>/" in told


def test_roles_that_may_reset(broker, trader):
    may = Group.objects.filter(permissions__codename="reset_password").values_list("name", flat=True)

    assert set(may) == {"Agent", "Supervisor"}
