"""Panels of the console's pages: whose they are, in which order they stand, and what a chart says besides its lines."""

import json
from decimal import Decimal

import pytest

from accounts.tests.factories import StaffFactory
from support_platform.console import charts, panels


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
