"""The trader's page and the timeline, as they are used: figures that come after the page, filters, a narrow screen."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from support_platform.tests.console import address
from trading.tests.factories import DeploymentFactory, OrderFactory, TradeFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIGURES = ("performance", "latency", "slippage")


@pytest.fixture
def lived(trader):
    """A trader with more trades than a page of the timeline holds."""
    deployment = DeploymentFactory(user=trader, strategy__name="מגמה " + "x" * 150, started_at=NOON)
    for number in range(30):
        trade = TradeFactory(deployment=deployment, taken_at=NOON + timedelta(hours=number))
        stamps = {"sent_at": trade.taken_at, "filled_at": trade.taken_at + timedelta(milliseconds=80)}
        prices = {"expected_price": 100, "filled_price": 101, "filled_quantity": 1}
        OrderFactory(user=trader, deployment=deployment, trade=trade, **stamps, **prices)
    return trader


def test_figures_come_after_the_page_with_their_charts(desk, lived):
    person = desk("Viewer").open(lived)
    title = person.page.title()

    for name in FIGURES:
        panel = person.page.locator(f"#{name}")
        expect(panel.locator(".panel-content")).to_be_visible()
        expect(panel.locator("canvas").first).to_have_attribute("style", re.compile("display: block"))
    assert person.page.title() == title


def test_a_span_of_time_is_chosen_for_the_figures(desk, lived):
    person = desk("Viewer").open(lived)

    person.page.locator("#performance").get_by_role("link", name="7 days").click()

    expect(person.page.locator("#performance")).to_contain_text("in the last 7 days")
    assert person.path == address(lived)


def test_figures_have_pages_of_their_own(desk, lived):
    person = desk("Viewer").open(address(type(lived), "performance", lived.pk))

    expect(person.page.locator("#performance")).to_contain_text("30 closed trades of all time")
    person.page.get_by_role("link", name="24 hours").click()
    expect(person.page.locator("#performance")).to_contain_text("in the last 24 hours")
    assert person.path == address(type(lived), "performance", lived.pk)


def test_the_story_is_read_by_kind_and_page_by_page(desk, lived):
    person = desk("Viewer").open(lived)

    person.page.get_by_role("link", name="The whole timeline").click()
    person.page.get_by_label("Kind").select_option("trade_taken")
    person.page.get_by_label("From").fill("2026-03-02")
    person.button("Show").click()
    expect(person.main).to_contain_text("Took 2 EUR/USD long at 1.1")
    expect(person.page.locator(".entries tbody tr")).to_have_count(30)

    person.page.get_by_role("link", name="Everything").click()
    expect(person.page.locator(".entries tbody tr")).to_have_count(50)
    person.page.get_by_role("link", name="Older").click()
    expect(person.page.locator(".entries tbody tr")).to_have_count(11)
    person.page.get_by_role("link", name="Newer").click()
    expect(person.page.locator(".entries tbody tr")).to_have_count(50)


@pytest.mark.parametrize("page", ["change", "timeline"])
def test_nothing_sticks_out_of_a_narrow_screen(desk, lived, page):
    person = desk("Viewer", viewport={"width": 390, "height": 844}).open(address(type(lived), page, lived.pk))
    person.page.wait_for_load_state("networkidle")

    sticking_out = person.page.evaluate(
        "[...document.querySelectorAll('.panel, .timeline')].filter(part => part.getBoundingClientRect().right > 390)"
        ".map(part => part.id || part.className)"
    )

    assert sticking_out == []
