"""What stands around every page of the console: its title, its main landmark, and the names in the side bar."""

import re
from html import unescape
from pathlib import Path

import pytest
import unfold
from django.conf import settings

from accounts.models import User
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, edit_address, text_of
from trading.models import Strategy
from trading.tests.factories import StrategyFactory


@pytest.fixture
def console(agent):
    return Console(agent.user)


def title_of(page):
    """The words of the heading at the top, and the way to it."""
    [heading] = re.findall(r"<h1.*?</h1>", page.content.decode(), re.DOTALL)
    words = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", heading))).strip()
    return words.replace(" chevron_right ", " > ").removeprefix("dock_to_right dock_to_right ")


def test_a_title_has_the_letters_of_the_row(console, agent, trader):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"})
    event = AuditEvent.objects.get(action="user.contact_changed")
    strategy = StrategyFactory(user=trader, name="eBay & co")

    assert title_of(console.page(trader)) == f"Accounts > Traders > {trader.email}"
    assert title_of(console.page(strategy)) == "Trading > Strategies > eBay & co"
    assert title_of(console.page(event)).endswith(f"> {event}")
    assert str(event).startswith("user.contact_changed")


@pytest.mark.parametrize("query", [{}, {"status": "active"}, {"q": "grid"}])
def test_the_title_of_a_list_is_its_name(console, trader, query):
    StrategyFactory(user=trader, name="grid")

    assert title_of(console.get(address(Strategy), **query)) == "Trading > Strategies"


def test_every_page_has_one_main_landmark(console, trader):
    pages = [
        *map(console.get, ("/admin/", "/admin/accounts/", "/admin/password_change/", "/admin/sessions/")),
        *map(console.get, (address(User), address(trader), address(User, "performance", trader.pk))),
        console.post(edit_address(trader), {"id": trader.pk}),
        console.get("/admin/nothing/"),
        Console().get("/admin/login/"),
    ]

    for page in pages:
        text = page.content.decode()
        assert (text.count("<main"), text.count("</main>")) == (1, 1), page.request["PATH_INFO"]


def test_the_frame_is_unfolds_but_for_the_landmark():
    ours = Path(settings.BASE_DIR, "templates/admin/base.html").read_text()
    unfolds = Path(unfold.__file__).parent.joinpath("templates/admin/base.html").read_text()

    assert ours.replace("<main ", "<div ").replace("</main>", "</div>") == unfolds


def test_traders_are_called_traders(console, trader):
    home = console.get("/admin/")

    [accounts] = [app for app in home.context["app_list"] if app["app_label"] == "accounts"]
    assert [str(model["name"]) for model in accounts["models"]] == ["Traders", "Outgoing mails"]
    for page in (home, console.get(address(User)), console.page(trader)):
        assert "Traders" in text_of(page)
        assert "Users" not in text_of(page)
    assert address(trader) == f"/admin/accounts/user/{trader.pk}/change/"
