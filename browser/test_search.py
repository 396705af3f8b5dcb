"""Ctrl-K: from anywhere to a trader, without the mouse."""

from playwright.sync_api import expect

from support_platform.tests.console import address

from .stage import Case


def test_a_trader_is_found_from_anywhere_by_a_part_of_what_is_known(broker, other_broker, desk):
    case = Case(broker)
    Case(other_broker, "anna-elsewhere")
    person = desk("Viewer").open("/admin/trading/trade/")

    person.search("anna")
    person.finds("anna@demo.example")
    expect(person.page.locator("#command-results-list")).not_to_contain_text("anna-elsewhere")
    person.page.keyboard.press("Enter")

    expect(person.page).to_have_url(address(case.trader))


def test_what_is_not_there_is_said(db, desk):
    person = desk("Viewer").open()

    person.search("zzzz")

    person.sees("Nothing found")
