"""What stands around every page of the console: its title, its main landmark, and the names in the side bar."""

import pytest

from accounts.models import User
from support_platform.tests.console import Console, address, text_of


@pytest.fixture
def console(agent):
    return Console(agent.user)


def test_traders_are_called_traders(console, trader):
    home = console.get("/admin/")

    [accounts] = [app for app in home.context["app_list"] if app["app_label"] == "accounts"]
    assert [str(model["name"]) for model in accounts["models"]] == ["Traders", "Outgoing mails"]
    for page in (home, console.get(address(User)), console.page(trader)):
        assert "Traders" in text_of(page)
        assert "Users" not in text_of(page)
    assert address(trader) == f"/admin/accounts/user/{trader.pk}/change/"
