"""Reset links that must not work: one page for every reason, and nothing changes."""

import pytest
from django.core import signing
from django.utils import timezone

from accounts import links, operations
from accounts.models import OutgoingMail, User
from accounts.tests.browser import (
    NEW_PASSWORD,
    PASSWORD_PAGE,
    Browser,
    is_dead_link_page,
    link_in,
    link_token,
    mails_to,
    open_form,
    password_of,
    path_of,
)
from accounts.tests.factories import PASSWORD, TraderFactory
from support_platform.audit import Actor
from support_platform.models import AuditEvent

BY = Actor(name="test")


def used(reset, trader):
    link = reset()
    open_form(link).set_password()
    User.objects.filter(pk=trader.pk).update(password=TraderFactory.build(password=PASSWORD).password)
    return link


def older(reset, trader):
    link = reset()
    reset()
    return link


def after_email_change(reset, trader):
    link = reset()
    operations.change_contact(trader, by=BY, email="moved@demo.example", verified=True)
    return link


def after_deactivation(reset, trader):
    link = reset()
    operations.set_status(trader, "inactive", by=BY)
    return link


def after_deactivation_and_return(reset, trader):
    link = after_deactivation(reset, trader)
    operations.set_status(trader, "active", by=BY)
    return link


def expired(reset, trader):
    link = reset()
    User.objects.filter(pk=trader.pk).update(reset_expires_at=timezone.now())
    return link


def trader_become_staff(reset, trader):
    link = reset()
    User.objects.filter(pk=trader.pk).update(is_staff=True)
    return link


def another_users_id(reset, trader):
    nonce = signing.loads(link_token(reset()), salt=links.RESET)[1]
    other = TraderFactory(broker=trader.broker)
    return f"/account/password/{signing.dumps([other.pk, nonce], salt=links.RESET)}/"


def tampered(reset, trader):
    link = reset()
    return link[:-3] + ("A" if link[-3] != "A" else "B") + link[-2:]


def of_the_other_kind(reset, trader):
    nonce = signing.loads(link_token(reset()), salt=links.RESET)[1]
    return f"/account/password/{signing.dumps([trader.pk, nonce], salt=links.EMAIL)}/"


def garbage(reset, trader):
    return "/account/password/%F0%9F%94%91%0D%0ASet-Cookie:x/"


BROKEN = [
    used,
    older,
    after_email_change,
    after_deactivation,
    after_deactivation_and_return,
    expired,
    trader_become_staff,
    another_users_id,
    tampered,
    of_the_other_kind,
    garbage,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_dead_link_opens_one_page_for_every_reason(broken, reset, trader):
    page = Browser().open(broken(reset, trader))

    assert is_dead_link_page(page)
    assert page.content == Browser().open(PASSWORD_PAGE).content
    assert trader.email not in page.content.decode()
    assert password_of(trader) == PASSWORD


@pytest.mark.parametrize(
    "event", [older, after_email_change, after_deactivation, after_deactivation_and_return, expired]
)
def test_a_link_that_dies_while_its_form_is_open_sets_nothing(event, agent, trader, events):
    browsers = []

    def reset():
        agent.post(f"users/{trader.pk}/password-reset/")
        link = link_in(mails_to(trader.email)[-1])
        browsers.append(open_form(link))
        return link

    event(reset, trader)
    page = browsers[0].set_password()

    assert is_dead_link_page(page)
    assert password_of(trader) == PASSWORD
    assert events(action="user.password_changed") == []


def test_one_link_in_two_browsers_works_in_one(reset, trader, events):
    link = reset()
    first, second = open_form(link), open_form(link)

    pages = [first.set_password(), second.set_password("another 77 good one")]

    assert pages[0].status_code == 200 and is_dead_link_page(pages[1])
    assert password_of(trader) == NEW_PASSWORD
    assert len(events(action="user.password_changed")) == 1
    assert is_dead_link_page(first.set_password())


def test_a_post_without_the_page_is_refused(reset, trader):
    link = reset()
    blind = Browser()

    assert is_dead_link_page(blind.set_password())
    assert blind.client.post(path_of(link), {"password": NEW_PASSWORD}).status_code == 405
    assert is_dead_link_page(open_form(link).client.post(PASSWORD_PAGE, {"password": NEW_PASSWORD}))
    assert password_of(trader) == PASSWORD


def test_a_form_left_open_sets_no_other_traders_password(reset, agent, trader, broker, events):
    """A second link opened in the same browser must not turn the first one's form into a form for someone else."""
    other = TraderFactory(broker=broker)
    browser = open_form(reset())
    form = browser.page
    agent.post(f"users/{other.pk}/password-reset/")
    browser.open(link_in(mails_to(other.email)[-1]))
    browser.page = form

    page = browser.set_password()

    assert is_dead_link_page(page)
    assert (password_of(trader), password_of(other)) == (PASSWORD, PASSWORD)
    assert events(action="user.password_changed") == []


def test_the_operation_itself_checks_the_link_again(reset, trader):
    token = link_token(reset())
    operations.complete_password_reset(token, NEW_PASSWORD, by=BY)

    with pytest.raises(operations.OutOfReach):
        operations.complete_password_reset(token, PASSWORD, by=BY)

    assert password_of(trader) == NEW_PASSWORD


def test_many_posts_at_the_same_moment_set_one_password(race, trader):
    operations.reset_password(trader, by=BY)
    trader.refresh_from_db()
    token = link_token(links.reset_link(trader))

    def complete(number):
        return operations.complete_password_reset(token, f"violet tram {number}", by=BY)

    results = race(*[lambda number=number: complete(number) for number in range(8)])

    won = [number for number, result in enumerate(results) if isinstance(result, User)]
    assert len(won) == 1, results
    trader.refresh_from_db()
    assert trader.check_password(f"violet tram {won[0]}")
    assert AuditEvent.objects.filter(action="user.password_changed").count() == 1
    assert OutgoingMail.objects.filter(kind="password_changed").count() == 1
