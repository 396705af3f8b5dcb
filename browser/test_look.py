"""What everyone needs of the pages: to read them in light and dark, by ear, by keyboard, and on a telephone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from accounts.models import OutgoingMail, User
from support_platform.models import AuditEvent
from support_platform.tests.console import address
from trading.models import Deployment, Order, Scanner, Strategy, Trade

from .stage import Case

LISTS = (User, Strategy, Deployment, Trade, Order, Scanner, AuditEvent, OutgoingMail)
GRAVE = ("serious", "critical")
LANDMARKS = ("landmark-one-main", "landmark-no-duplicate-main", "landmark-main-is-top-level")  # moderate


@pytest.fixture
def pages(broker):
    """The addresses of the main pages, all with something on them."""
    case = Case(broker)
    rows = (case.trader, case.strategy, case.deployment, case.trades[0], case.order, case.scanner)
    own = ["/admin/password_change/", "/admin/second_factor/", "/admin/sessions/"]
    return ["/admin/", *map(address, (*LISTS, *rows)), *own]


def findings(person, **options):
    """What axe-core holds against the open page, of some weight."""
    found = Axe().run(person.page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [
        f"{person.path}: {rule['id']}: {node['html']}"
        for rule in found
        if rule["impact"] in GRAVE or rule["id"] in LANDMARKS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_grave_stands_in_anyones_way(scheme, pages, desk, window):
    person = desk("Supervisor", color_scheme=scheme)
    only = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}  # nothing else depends on it

    found = [finding for page in pages for finding in findings(person.open(page).settle(), **only)]
    found += findings(window(color_scheme=scheme).open("/admin/login/"), **only)

    assert found == []


def test_dialogs_are_as_readable_as_pages(broker, desk):
    person = desk("Supervisor").open(Case(broker).deployment)

    person.ask("Change deployment")
    found = findings(person)
    person.preview("Change deployment", quantity="2")
    found += findings(person)
    person.confirm("Change deployment")

    assert found + findings(person) == []


def test_a_telephone_is_wide_enough(pages, desk):
    person = desk("Supervisor", viewport={"width": 390, "height": 844})

    widths = {page: person.open(page).settle().page.evaluate("document.documentElement.scrollWidth") for page in pages}

    assert {page: width for page, width in widths.items() if width > 390} == {}


def test_a_case_is_settled_on_a_telephone(broker, desk):
    case = Case(broker)
    person = desk("Agent", viewport={"width": 390, "height": 844}).open(case.trader)

    person.operate("Deactivate", deployments="stop")
    person.close("Deactivate")

    assert person.actions() == ["Change e-mail or phone", "Pause or stop deployments", "Activate"]


def test_a_case_is_settled_without_the_mouse(broker, desk):
    case = Case(broker)
    person = desk("Agent").open("/admin/trading/trade/")
    keyboard = person.page.keyboard

    person.search("anna@")
    person.finds("anna@demo.example")
    keyboard.press("Enter")
    expect(person.page).to_have_url(address(case.trader))
    person.tab_to(person.page.get_by_role("button", name="Reset password"))
    keyboard.press("Enter")
    reason = person.step("Reset password", "ask").get_by_label("Reason")
    expect(reason).to_be_focused()
    keyboard.type("asked by phone")
    keyboard.press("Enter")
    preview = person.step("Reset password", "preview")
    expect(preview.get_by_role("heading").first).to_be_focused()
    person.tab_to(preview.get_by_role("button", name="Reset password"))
    keyboard.press("Enter")
    expect(person.step("Reset password", "receipt").get_by_role("heading").first).to_be_focused()
    keyboard.press("Escape")
    expect(person.page.get_by_role("dialog")).to_have_count(0)

    [event] = AuditEvent.objects.all()
    assert (event.action, event.reason) == ("user.password_reset", "asked by phone")
