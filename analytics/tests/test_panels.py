"""The figures on the console's pages: those of the API, digit by digit, and words where there are none."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import StaffFactory
from analytics import blocks, latency_blocks, panels, readings, slippage_blocks
from analytics.models import Rollup
from support_platform.tests.console import Console, address, text_of
from trading.models import Deployment, Order, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, TradeFactory

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PANELS = {
    "performance": panels.PerformancePanel,
    "latency": panels.LatencyPanel,
    "slippage": panels.SlippagePanel,
}


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader, capital=Decimal(1000))


@pytest.fixture
def console(broker):
    return Console(StaffFactory(broker=broker, role="Viewer"))


def live(deployment, trades, start=START):
    """So many trades, one in three lost, with two orders each that lack a stamp or go back in time now and then."""
    common = {"user": deployment.user, "strategy": deployment.strategy, "deployment": deployment, "symbol": "EUR/USD"}
    made = Trade.objects.bulk_create(
        Trade(
            **common,
            side="long",
            quantity=1,
            entry_price=Decimal("1.1"),
            fees=Decimal("0.1"),
            result=Decimal(n % 7 + 1) / 8 if n % 3 else Decimal("-1.03"),
            taken_at=start + timedelta(hours=7 * n),
            closed_at=start + timedelta(hours=7 * n, minutes=30),
        )
        for n in range(trades)
    )
    Order.objects.bulk_create(
        Order(
            **common,
            trade=trade,
            external_id=f"{deployment.pk}-{trade.pk}-{side}",
            side=side,
            filled_quantity=Decimal("1.5"),
            expected_price=Decimal("1.1") if n % 5 else None,
            arrival_price=Decimal("1.1001"),
            filled_price=Decimal("1.1") + Decimal(n % 4 - 1 if side == "sell" else n % 3) / 10000,
            signal_at=at,
            sent_at=at + timedelta(milliseconds=10 + n % 9),
            acknowledged_at=at + timedelta(milliseconds=130 + 7 * n % 90) if n % 4 else None,
            filled_at=at + timedelta(milliseconds=120 + 11 * n % 90),
        )
        for n, trade in enumerate(made)
        for side, at in (("buy", trade.taken_at), ("sell", trade.closed_at))
    )


def scopes_of(deployment):
    return {"user": deployment.user, "strategy": deployment.strategy, "deployment": deployment}


def figures_of(console, row, **query):
    """What a person reads in the three panels of a row, each on the page of its own from which it comes."""
    pages = [text_of(console.get(address(type(row), name, row.pk), **query)) for name in PANELS]
    return unescape(" ".join(pages))


def told(found):
    """An answer without what the call adds and the panels do not ask for."""
    added = ("scope", "since", "until", "window", "as_of", "records", "series")
    return {name: value for name, value in found.items() if name not in added}


def shown(rf, user, panel, row, **query):
    request = rf.get("/admin/", query)
    request.user = user
    return panel().show(request, row)


@pytest.mark.parametrize("scope", ["user", "strategy", "deployment"])
@pytest.mark.parametrize("name", PANELS)
def test_the_figures_are_those_of_the_api(rf, viewer, deployment, scope, name):
    live(deployment, 40)
    row = scopes_of(deployment)[scope]

    answer = viewer.get(f"analytics/{name}/", **{scope: row.pk}).json()

    assert told(shown(rf, viewer.user, PANELS[name], row)["found"]) == told(answer)


@pytest.mark.parametrize("name", PANELS)
def test_the_figures_of_large_scopes_come_from_blocks_as_those_of_the_api(rf, viewer, deployment, name, monkeypatch):
    for arithmetic in (blocks, latency_blocks, slippage_blocks):
        monkeypatch.setattr(arithmetic, "BLOCK", 8)
    monkeypatch.setattr(readings, "MANY_TRADES", 20)
    monkeypatch.setattr(readings, "MANY_ORDERS", 20)
    live(deployment, 40)
    for kind in Rollup.Kind:
        Rollup.objects.create(kind=kind, scope="deployment", scope_id=deployment.pk)

    found = shown(rf, viewer.user, PANELS[name], deployment)["found"]

    assert told(found) == told(viewer.get(f"analytics/{name}/", deployment=deployment.pk).json())
    assert found["method"].startswith("log-bucket") is (name != "performance")


def test_the_page_shows_the_digits_of_the_api(viewer, console, deployment):
    live(deployment, 40)

    page = figures_of(console, deployment)

    performance, latency, slippage = (
        viewer.get(f"analytics/{name}/", deployment=deployment.pk).json() for name in PANELS
    )
    fall = performance["max_drawdown"]
    for text in (
        f"Win rate {panels.percent(performance['win_rate'])}",
        f"PnL, net {performance['pnl']}",
        f"Fees {performance['fees']}",
        f"Profit factor {performance['profit_factor']}",
        f"Expectancy {performance['expectancy']} a trade",
        f"Max drawdown {fall['absolute']} {fall['percent']} %",
        f"Sharpe ratio {performance['sharpe_ratio']}",
        f"Slippage cost {performance['slippage_cost']} already in PnL",
        f"Mean {slippage['mean_bps']} bps",
        f"Weighted mean {slippage['weighted_mean_bps']} bps",
        f"Total cost {slippage['total_cost']}",
        f"{slippage['excluded']['no_expected_price']} without an expected price",
    ):
        assert text in page
    total = latency["stages"]["total"]
    fill = latency["stages"]["fill"]
    row = f"Total signal → filled {total['p50']} {total['p95']} {total['p99']} {total['missing']} {total['clock_skew']}"
    assert row.replace(".0 ", " ") in page
    assert fill["missing"] > 0 < fill["clock_skew"]
    assert f"{fill['missing']} {fill['clock_skew']}" in page


def test_the_worst_orders_are_links(console, deployment):
    live(deployment, 4)
    worst = OrderFactory(
        user=deployment.user,
        deployment=deployment,
        external_id="<b>far off</b>",
        expected_price=Decimal(1),
        filled_price=Decimal(2),
        filled_quantity=Decimal(1),
    )

    content = console.get(address(Deployment, "slippage", deployment.pk)).content.decode()

    assert f'<a href="/admin/trading/order/{worst.pk}/change/">&lt;b&gt;far off&lt;/b&gt;</a>' in content


def test_a_window_narrows_every_figure(rf, viewer, deployment):
    live(deployment, 5, start=datetime.now(UTC) - timedelta(days=400))
    live(deployment, 2, start=datetime.now(UTC) - timedelta(hours=20))

    context = shown(rf, viewer.user, panels.PerformancePanel, deployment, window="30d")

    assert context["found"]["trades"] == 2
    assert "of the last 30 days, until 2" in context["span"]
    assert shown(rf, viewer.user, panels.LatencyPanel, deployment, window="30d")["found"]["count"] == 4
    assert shown(rf, viewer.user, panels.SlippagePanel, deployment)["found"]["count"] == 2 * (5 + 2 - 2)


@pytest.mark.parametrize("window", ["junk", "0d", "-1h", "99999d", "١d", "7d "])
def test_a_window_that_is_none_is_a_400_page(console, deployment, window):
    response = console.get(address(Deployment, "latency", deployment.pk), window=window)

    assert response.status_code == 400
    assert "window: Give a number of minutes, hours or days" in text_of(response)


def test_scopes_without_rows_are_told_in_words(console, deployment):
    page = figures_of(console, deployment)

    assert "No closed trades of this deployment yet. None is open." in page
    assert "No orders of this deployment yet." in page
    assert "No filled orders with an expected price of this deployment yet." in page
    window = figures_of(console, deployment.strategy, window="7d")
    assert "No closed trades of this strategy in the last 7 days." in window


def test_figures_that_cannot_be_told_say_why(console, trader):
    deployment = DeploymentFactory(user=trader, strategy__user=trader, capital=None)
    TradeFactory(deployment=deployment)
    TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)

    page = figures_of(console, deployment)

    assert "1 closed trade of all time: 1 won, 0 lost, 0 broke even. 1 open now." in page
    assert "Profit factor – no losses yet" in page
    assert "Sharpe ratio – the starting capital is unknown" in page
    assert "Return – the starting capital is unknown" in page
    assert "Equity has not fallen below its peak." in page


def test_orders_without_a_price_are_counted_by_why_they_tell_nothing(console, deployment):
    OrderFactory(user=deployment.user, deployment=deployment, filled_price=None)

    page = figures_of(console, deployment)

    assert "No filled orders with an expected price of this deployment yet. Left out: 1 not filled." in page
    assert "1 order of all time, in milliseconds." in page


@pytest.mark.parametrize(
    ("rights", "names"),
    [
        ([], []),
        (["view_trade"], ["performance"]),
        (["view_order"], ["latency", "slippage"]),
        (["view_trade", "view_order"], ["performance", "latency", "slippage"]),
    ],
)
def test_each_figure_takes_the_right_that_the_api_asks_for(broker, deployment, rights, names):
    staff = StaffFactory(broker=broker)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_deployment", *rights]))

    content = Console(staff).page(deployment).content.decode()

    assert [name for name in PANELS if f'<section id="{name}"' in content] == names


@pytest.mark.parametrize("scope", ["user", "strategy", "deployment"])
def test_a_page_takes_as_many_queries_for_few_rows_as_for_many(console, deployment, scope):
    row = scopes_of(deployment)[scope]
    # The figures come after the page, each by a request of its own.
    paths = [address(type(row), name, row.pk) for name in PANELS]

    def queries():
        counts = []
        for path in paths:
            with CaptureQueriesContext(connection) as captured:
                assert console.get(path).status_code == 200
            counts.append(len(captured))
        return counts

    live(deployment, 2)
    queries()  # the first one of a process reads what is kept afterwards
    few = queries()
    live(deployment, 100, start=START + timedelta(days=900))

    assert queries() == few
    assert max(few) <= 30


def test_the_pages_that_have_figures(settings):
    for model in (User, Strategy, Deployment):
        paths = settings.CONSOLE_PANELS[model._meta.label_lower]
        assert {f"analytics.panels.{panel.__name__}" for panel in PANELS.values()} <= {*paths}
