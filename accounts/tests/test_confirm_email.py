"""The page where a trader confirms a new address, and links to it that must not work."""

import pytest
from django.core import mail
from django.utils import timezone

from accounts import operations
from accounts.models import OutgoingMail, User
from accounts.tests.browser import (
    EMAIL_PAGE,
    Browser,
    is_dead_link_page,
    link_in,
    mails_to,
    password_of,
    path_of,
)
from accounts.tests.factories import PASSWORD, TraderFactory
from support_platform.audit import Actor

BY = Actor(name="test")
NEW = "new@elsewhere.example"


def test_the_old_address_stays_until_the_link_is_confirmed(change_email, trader, events):
    browser = Browser()

    page = browser.open(change_email())

    assert page.status_code == 200 and NEW in page.content.decode()
    trader.refresh_from_db()
    assert trader.email != NEW
    page = browser.submit(EMAIL_PAGE)
    assert page.status_code == 200 and NEW in page.content.decode()
    before, trader = trader, User.objects.get(pk=trader.pk)
    assert (trader.email, trader.pending_email) == (NEW, None)
    assert trader.version == before.version + 1
    [event] = events(action="user.email_confirmed")
    assert event.changes == {"email": [before.email, NEW], "pending_email": [NEW, None]}
    assert (event.actor_id, event.source) == (trader.pk, "console")
    assert password_of(trader) == PASSWORD


def test_the_link_leaves_the_address_bar_at_once(change_email):
    link = change_email()

    answer = Browser().client.get(path_of(link))

    assert (answer.status_code, answer["Location"]) == (302, EMAIL_PAGE)


def used(change_email, agent, trader):
    link = change_email()
    browser = Browser()
    browser.open(link)
    browser.submit(EMAIL_PAGE)
    return link


def older(change_email, agent, trader):
    link = change_email()
    change_email("third@elsewhere.example")
    return link


def cancelled(change_email, agent, trader):
    link = change_email()
    agent.delete(f"users/{trader.pk}/pending-email/")
    return link


def deactivated(change_email, agent, trader):
    link = change_email()
    operations.set_status(trader, "inactive", by=BY)
    operations.set_status(trader, "active", by=BY)
    return link


def expired(change_email, agent, trader):
    link = change_email()
    User.objects.filter(pk=trader.pk).update(email_expires_at=timezone.now())
    return link


def taken_meanwhile(change_email, agent, trader):
    link = change_email()
    TraderFactory(email=NEW)
    return link


@pytest.mark.parametrize("broken", [used, older, cancelled, deactivated, expired])
def test_a_dead_link_opens_the_one_page(broken, change_email, agent, trader):
    page = Browser().open(broken(change_email, agent, trader))

    assert is_dead_link_page(page)
    assert page.content == Browser().open("/account/password/garbage/").content


@pytest.mark.parametrize("broken", [older, cancelled, deactivated, expired, taken_meanwhile])
def test_a_link_that_dies_while_its_page_is_open_changes_nothing(broken, agent, trader):
    browser = Browser()

    def ask(email=NEW):
        agent.patch(f"users/{trader.pk}/", {"email": email})
        link = link_in(mails_to(email)[-1])
        if browser.page is None:
            assert browser.open(link).status_code == 200
        return link

    broken(ask, agent, trader)

    assert is_dead_link_page(browser.submit(EMAIL_PAGE))
    assert User.objects.get(pk=trader.pk).email == trader.email


def test_a_post_without_the_page_changes_nothing(change_email, trader):
    change_email()

    assert is_dead_link_page(Browser().submit(EMAIL_PAGE))
    assert User.objects.get(pk=trader.pk).email == trader.email


def try_again():
    OutgoingMail.objects.update(next_attempt_at=timezone.now())
    list(operations.mail.deliver_waiting())


def test_a_late_notice_tells_of_a_change_that_is_confirmed_by_now(agent, trader, settings):
    settings.EMAIL_BACKEND = "accounts.tests.test_mail.DeadServer"
    agent.patch(f"users/{trader.pk}/", {"email": NEW})
    user = User.objects.get(pk=trader.pk)
    operations.confirm_email(operations.links.email_link(user).split("/")[-2], by=BY)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    try_again()

    [notice] = mail.outbox
    assert (notice.to, notice.subject) == ([trader.email], "Your e-mail address was changed")
    assert "n***@elsewhere.example" in notice.body


def test_of_a_change_that_is_cancelled_by_now_no_mail_is_sent(agent, trader, settings):
    settings.EMAIL_BACKEND = "accounts.tests.test_mail.DeadServer"
    agent.patch(f"users/{trader.pk}/", {"email": NEW})
    agent.delete(f"users/{trader.pk}/pending-email/")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    try_again()

    assert mail.outbox == []
    assert OutgoingMail.objects.filter(dropped_at__isnull=False).count() == 2
