"""The way into the console by hand, with keys alone: the password, a second factor set up, both kinds of code."""

import base64

import pytest
from playwright.sync_api import expect

from accounts.models import SecondFactor
from accounts.tests.factories import PASSWORD, StaffFactory


def type_password(person, user):
    """From the field that has the focus, with keys alone."""
    expect(person.page.get_by_label("E-mail")).to_be_focused()
    person.page.keyboard.type(user.email)
    person.page.keyboard.press("Tab")
    person.page.keyboard.type(PASSWORD)
    person.page.keyboard.press("Enter")


@pytest.mark.parametrize("look", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}])
def test_set_up_by_hand_then_in_with_either_kind_of_code(window, broker, phone, settings, look):
    settings.CONSOLE_SECOND_FACTOR = "required"
    user = StaffFactory(broker=broker, role="Agent")
    person = window(**look)
    person.open("/admin/login/?next=/admin/trading/trade/")
    type_password(person, user)

    person.sees("A second factor is required here")
    expect(person.page.get_by_role("img", name="QR code")).to_be_visible()
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    key = base64.b32decode(person.page.locator("code.secret").inner_text().replace(" ", ""))
    person.page.get_by_role("textbox", name="Code").fill(phone.code(key=key))
    person.page.get_by_label("Your password").fill(PASSWORD)
    person.page.keyboard.press("Enter")
    person.sees("They are shown this once")
    [recovery, *others] = person.page.locator(".recovery-codes code").all_inner_texts()
    assert len(others) == 9
    person.page.get_by_role("link", name="I have kept them").click()
    person.page.wait_for_url("**/admin/trading/trade/")

    again = window(**look)
    again.open("/admin/login/?next=/admin/trading/trade/")
    type_password(again, user)
    expect(again.page.get_by_role("textbox", name="Code")).to_be_focused()
    again.page.keyboard.type("000000")
    again.page.keyboard.press("Enter")
    expect(again.page.get_by_role("alert")).to_contain_text("does not work")
    expect(again.page.get_by_role("textbox", name="Code")).to_be_empty()
    SecondFactor.objects.update(throttling_failure_timestamp=None)  # as if one had waited
    phone.wait()
    again.page.keyboard.type(phone.code(key=key))
    again.page.keyboard.press("Enter")
    again.page.wait_for_url("**/admin/trading/trade/")

    third = window(**look)
    third.open("/admin/login/")
    type_password(third, user)
    third.page.get_by_role("link", name="Use a recovery code").click()
    expect(third.page.get_by_label("Recovery code")).to_be_focused()
    third.page.keyboard.type(recovery.upper())
    third.page.keyboard.press("Enter")
    third.page.wait_for_url("**/admin/")


def test_all_other_sessions_end_and_this_one_goes_on(window, broker):
    user = StaffFactory(broker=broker, role="Viewer")
    here, elsewhere = window(user), window(user)
    here.open("/admin/sessions/")

    here.button("End all other sessions").click()

    here.sees("All other sessions are ended")
    elsewhere.page.goto("/admin/")
    expect(elsewhere.page.get_by_label("Password")).to_be_visible()
