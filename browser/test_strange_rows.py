"""Rows as life brings them: none at all, names without end, from right to left or full of markup, and very many."""

import pytest

from accounts.models import User
from accounts.tests.factories import TraderFactory
from support_platform.tests.console import address
from trading.models import Scanner, Strategy
from trading.tests.factories import START, DeploymentFactory, ScannerFactory, StrategyFactory

from .test_look import LISTS

NARROW = {"viewport": {"width": 390, "height": 844}}
NAMES = {
    "long": "Momentum" * 25,
    "right to left": "استراتيجية التداول اليومي",
    "markup": "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">",
    "template": "{{ 7 * 7 }} {% now %} ${alert(1)} x-data",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_are_shown_as_they_are_and_break_no_page(name, broker, desk):
    trader = TraderFactory(broker=broker, first_name=name[:150], last_name="Trader")
    strategy = StrategyFactory(user=trader, name=name)
    rows = [trader, strategy, DeploymentFactory(strategy=strategy, user=trader), ScannerFactory(user=trader, name=name)]
    person = desk("Supervisor", **NARROW)

    for page in (*map(address, (User, Strategy, Scanner, *rows)), f"/admin/trading/trade/?strategy={strategy.pk}"):
        person.open(page).settle()
        assert person.page.title() != "owned"
        assert person.page.evaluate("document.documentElement.scrollWidth") <= 390, page

    person.open(strategy)
    person.sees(name[:100])
    person.ask("Publish")
    person.preview("Publish")
    assert name[:100] in person.confirm("Publish")


def test_lists_without_rows_and_rows_without_history_say_so(broker, desk):
    person = desk("Supervisor")
    for page in ("/admin/", *map(address, LISTS)):
        person.open(page).settle()
    bare = TraderFactory(broker=broker, first_name="", last_name="")
    strategy = StrategyFactory(user=bare)
    for row in (bare, strategy, DeploymentFactory(user=bare, strategy=strategy, capital=None)):
        person.open(row).settle()

    assert person.path.startswith("/admin/trading/deployment/")


def test_ten_thousand_strategies_of_one_trader(broker, desk):
    trader = TraderFactory(broker=broker)
    Strategy.objects.bulk_create(
        [
            Strategy(user=trader, name=f"Strategy {number}", symbol="EUR/USD", timeframe="1h", created_at=START)
            for number in range(10_000)
        ],
        batch_size=2000,
    )
    person = desk("Supervisor")

    person.open(trader).settle()
    person.open(f"/admin/trading/strategy/?user={trader.pk}&q=Strategy+9999")
    assert len(person.row_ids()) == 1
    person.open(f"/admin/trading/strategy/?user={trader.pk}&p=50")
    assert len(person.row_ids()) == 100
