"""Panels of the console's pages: whose they are, in which order they stand, and what a chart says besides its lines."""

import json
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission

from accounts.tests.factories import StaffFactory
from support_platform.console import charts, panels
from support_platform.tests.console import Console, address, text_of


class Shown(panels.Panel):
    title, template = "Shown", "admin/chart.html"

    def show(self, request, row):
        return {"chart": charts.line("PnL", ["a", "b"], [charts.Series("pnl", [Decimal("1.5"), None])], summary="up")}


class OfSupervisors(Shown):
    title, right = "Of supervisors", "trading.correct_trade"


class Empty(Shown):
    title = "Empty"

    def show(self, request, row):
        return None


@pytest.fixture
def page(settings):
    panels.panels_of.cache_clear()
    here = f"{__name__}."
    settings.CONSOLE_PANELS = {"a.page": [here + name for name in ("OfSupervisors", "Empty", "Shown")]}
    yield "a.page"
    panels.panels_of.cache_clear()


@pytest.fixture
def console_of(broker):
    return lambda role: Console(StaffFactory(broker=broker, role=role))


@pytest.mark.parametrize(
    ("role", "titles"), [("Viewer", ["Shown"]), ("Agent", ["Shown"]), ("Supervisor", ["Of supervisors", "Shown"])]
)
def test_a_page_has_the_panels_that_the_person_may_see_in_the_order_of_the_settings(rf, broker, page, role, titles):
    request = rf.get("/admin/")
    request.user = StaffFactory(broker=broker, role=role)

    assert [panel.title for panel, _ in panels.rendered(page, request)] == titles


def test_a_chart_tells_its_figures_to_those_who_cannot_see_it():
    values = [Decimal(number) / 4 for number in range(1000)]
    chart = charts.bar("Trades", [f"day {n}" for n in range(1000)], [charts.Series("trades", values)], summary="many")

    assert json.loads(chart.data)["datasets"][0]["data"][:3] == [0, 0.25, 0.5]
    assert len(chart.rows) <= charts.MAX_TABLE_ROWS + 1
    assert chart.rows[0] == ["day 0", 0]
    assert chart.rows[-1] == ["day 999", Decimal("249.75")]


def test_a_panel_that_comes_later_leaves_room_and_is_got_as_its_page_was(console_of, trader):
    page = console_of("Viewer").get(address(trader), window="7d").content.decode()

    for name in ("performance", "latency", "slippage"):
        url = f"{address(type(trader), name, trader.pk)}?window=7d"
        assert f'hx-get="{url}"' in page
        own = console_of("Viewer").get(url)
        assert '<div class="panel-content">' in own.content.decode()
        assert "in the last 7 days" in text_of(own)


def test_a_page_says_at_once_what_a_later_panel_would_refuse(console_of, trader):
    answer = console_of("Viewer").get(address(trader), window="x")

    assert answer.status_code == 400
    assert "window: Give a number of minutes, hours or days" in text_of(answer)
    assert console_of("Viewer").get(address(trader), window="").status_code == 200


def test_what_a_panel_out_of_reach_would_refuse_is_not_read(broker, trader):
    person = StaffFactory(broker=broker)
    person.user_permissions.add(Permission.objects.get(codename="view_user"))

    assert Console(person).get(address(trader), window="x").status_code == 200


def test_the_page_of_a_panel_takes_its_right_and_its_parameters(broker, console_of, trader):
    path = address(type(trader), "performance", trader.pk)
    person = StaffFactory(broker=broker)
    person.user_permissions.add(Permission.objects.get(codename="view_user"))

    assert Console(person).get(path).status_code == 403
    assert 'id="performance"' not in Console(person).page(trader).content.decode()
    for query in ("window=x", "window=", "nonsense=1", "window=7d&window=7d", "window=7d%00"):
        answer = console_of("Viewer").get(f"{path}?{query}")
        assert (answer.status_code, query) == (200 if query == "window=" else 400, query)
    assert console_of("Viewer").post(path).status_code == 405
