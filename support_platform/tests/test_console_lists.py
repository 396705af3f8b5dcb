"""The console's lists and pages: who sees what, without loading a page's worth of queries or running what is stored."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from accounts.tests.factories import StaffFactory, TraderFactory
from support_platform import audit_chain
from support_platform.console.lists import CappedPaginator
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, text_of
from trading.models import Deployment, Order, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

TRADERS = (User, OutgoingMail, Strategy, Deployment, Trade, Order, Scanner)
SUPERUSERS = (Broker, StaffAccount, ApiSession)
SCRIPT = "<script>alert(1)</script>"


def rows_of(trader):
    """One row of each kind that a trader has."""
    deployment = DeploymentFactory(user=trader)
    trade = TradeFactory(deployment=deployment)
    mail = OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)
    return [
        trader,
        mail,
        deployment.strategy,
        deployment,
        trade,
        OrderFactory(user=trader),
        ScannerFactory(user=trader),
    ]


@pytest.fixture
def person(request, broker):
    return StaffFactory(broker=broker, role=request.param)


every_role = pytest.mark.parametrize("person", ["Viewer", "Agent", "Supervisor"], indirect=True)


def test_every_model_of_ours_is_there_and_nothing_else(db):
    assert set(admin.site._registry) == {*TRADERS, *SUPERUSERS, AuditEvent}


@every_role
def test_each_role_sees_its_brokers_rows_only(person, trader, foreign_trader):
    console = Console(person)
    own, foreign = rows_of(trader), rows_of(foreign_trader)

    for mine, other in zip(own, foreign, strict=True):
        listed = console.get(address(type(mine)))
        assert listed.status_code == 200
        assert [row.pk for row in listed.context["cl"].result_list] == [mine.pk]
        assert console.page(mine).status_code == 200
        assert console.page(other).headers["Location"] == "/admin/"


@every_role
def test_staff_brokers_and_sessions_are_the_superusers(person):
    console = Console(person)

    for model in SUPERUSERS:
        assert console.get(address(model)).status_code == 403
        assert console.get(address(model, "add")).status_code == 403
        assert console.get(address(model, "change", 1)).status_code == 403
    assert text_of(console.get("/admin/")).count("Staff accounts") == 0


def test_without_a_role_nothing_but_ones_own_events(broker, trader):
    console = Console(StaffFactory(broker=broker))

    assert [console.get(address(model)).status_code for model in TRADERS] == [403] * len(TRADERS)
    assert console.get(address(AuditEvent)).status_code == 200


def test_superusers_see_every_broker_but_no_staff_among_traders(superuser, trader, foreign_trader, viewer):
    console = Console(superuser.user)

    listed = console.get(address(User)).context["cl"].result_list
    staff = console.get(address(StaffAccount)).context["cl"].result_list

    assert {row.pk for row in listed} == {trader.pk, foreign_trader.pk}
    assert {row.pk for row in staff} == {superuser.user.pk, viewer.user.pk}
    assert console.page(viewer.user).headers["Location"] == "/admin/"


def test_index_is_grouped_by_domain(superuser):
    page = Console(superuser.user).get("/admin/")

    assert [app["name"] for app in page.context["app_list"]] == ["Accounts", "Trading", "Audit"]


def test_viewers_pages_hold_no_input_and_no_operation(viewer, trader):
    console = Console(viewer.user)

    for row in rows_of(trader):
        page = console.page(row)
        assert page.context["operations"] == []
        assert not re.search(r'<(input|select|textarea)(?![^>]*type="(hidden|search)")', main_part(page))
        assert console.post(address(row), {"reason": "x"}).status_code == 403


def main_part(response):
    """The page without its header, its navigation and the search that is on every page."""
    html = response.content.decode()
    return html[html.index('id="content-main"') : html.index('x-data="searchCommand()"')]


def test_nothing_is_added_or_deleted(superuser, trader):
    console = Console(superuser.user)

    for row in rows_of(trader):
        assert console.get(address(type(row), "add")).status_code == 403
        assert console.get(address(row, "delete", row.pk)).status_code == 403
        assert console.post(address(row, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in console.get(address(type(row))).content.decode()
        has_actions = type(row) is not OutgoingMail  # a list without any takes no notice of one
        assert console.choose(type(row), "delete_selected", [row]).status_code == (404 if has_actions else 200)
        assert type(row).objects.filter(pk=row.pk).exists()


def test_pages_run_no_inline_script(superuser, trader):
    console = Console(superuser.user)
    pages = ["/admin/", "/admin/accounts/", "/admin/password_change/", address(StaffAccount, "add")]
    for row in [*rows_of(trader), trader.broker]:
        pages += [address(type(row)), address(row)]

    for path in pages:
        page = console.get(path)
        html = page.content.decode()
        assert page.status_code == 200, path
        assert "script-src 'self' 'unsafe-eval';" in page["Content-Security-Policy"]
        assert "style-src 'self';" in page["Content-Security-Policy"]
        assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=|<style", html) == [], path


def test_a_stored_script_is_escaped_everywhere(superuser, trader):
    User.objects.filter(pk=trader.pk).update(first_name=SCRIPT, last_name=SCRIPT)
    Broker.objects.filter(pk=trader.broker_id).update(name=SCRIPT)
    strategy = StrategyFactory(user=trader, name=SCRIPT, symbol=SCRIPT, definition={SCRIPT: SCRIPT})
    deployment = DeploymentFactory(user=trader, strategy=strategy, symbol=SCRIPT)
    trade = TradeFactory(deployment=deployment, symbol=SCRIPT, external_id=SCRIPT)
    scanner = ScannerFactory(user=trader, name=SCRIPT, criteria={"x": SCRIPT})
    console = Console(superuser.user)

    for row in [trader, trader.broker, strategy, deployment, trade, scanner]:
        for path in (address(type(row)), address(row)):
            html = console.get(path).content.decode()
            assert SCRIPT not in html, path
            assert "&lt;script&gt;" in html, path
    asked = console.choose(Strategy, "publish", [strategy])
    assert SCRIPT not in asked.content.decode()


@pytest.mark.parametrize("model", [User, Strategy, Deployment, Trade, Order, Scanner, AuditEvent, StaffAccount])
def test_a_list_takes_as_many_queries_for_100_rows_as_for_20(model, superuser, broker):
    console = Console(superuser.user)

    def make(count):
        for _ in range(count):
            trader = TraderFactory(broker=broker)
            rows_of(trader)
            StaffFactory(broker=broker, role="Agent")
            audit_chain.append(actor="a", action="user.seen", subject_type="user", source="api")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert console.get(address(model)).status_code == 200
        return len(captured)

    make(20)
    few = queries()
    make(80)

    assert queries() == few <= 12


def test_orders_and_columns_show_exact_values(viewer, trader):
    trade = TradeFactory(user=trader, deployment__user=trader, quantity="0.000000000001", result="-5.29")

    page = text_of(Console(viewer.user).get(address(Trade)))

    assert " 0.000000000001 " in page
    assert " -5.29 " in page
    assert f"{trade.taken_at:%Y-%m-%d %H:%M:%S}" in page


def test_search_finds_and_finds_only(viewer, trader):
    other = TraderFactory(broker=trader.broker, email="someone.else@demo.example", phone="+4915112345678")
    StrategyFactory(user=trader, name="Alpha")
    beta = StrategyFactory(user=other, name="Beta", symbol="BTC/USDT")
    console = Console(viewer.user)

    def found(model, q):
        return [row.pk for row in console.get(address(model), q=q).context["cl"].result_list]

    assert found(User, "SOMEONE.else@demo") == [other.pk]
    assert found(User, "+49 151-123") == [other.pk]
    assert found(User, "else@demo") == []  # a part that is no beginning
    assert found(Strategy, "bet") == [beta.pk]
    assert found(Strategy, "btc") == [beta.pk]
    assert found(Strategy, "someone.else@") == [beta.pk]
    assert found(Strategy, "nobody@") == []


def test_filters_narrow_and_links_lead_to_what_belongs_to_a_row(viewer, trader):
    deployment = DeploymentFactory(user=trader, status="paused")
    DeploymentFactory(strategy=deployment.strategy, user=trader)
    DeploymentFactory(user=TraderFactory(broker=trader.broker))
    old = DeploymentFactory(user=trader, started_at=timezone.now() - timedelta(days=40))
    console = Console(viewer.user)

    def found(**query):
        return {row.pk for row in console.get(address(Deployment), **query).context["cl"].result_list}

    assert found(status="paused") == {deployment.pk}
    assert len(found(user=trader.pk)) == 3
    assert len(found(strategy=deployment.strategy_id)) == 2
    assert found(period="365d", user=trader.pk) >= {old.pk}
    assert old.pk not in found(period="30d")
    links = dict(console.page(trader).context["related_lists"])
    assert f"{address(Deployment)}?user={trader.pk}" in links.values()


def test_a_list_shows_no_more_than_its_cap(viewer, trader, monkeypatch):
    monkeypatch.setattr(CappedPaginator, "cap", 150)
    Scanner.objects.bulk_create(Scanner(user=trader, name=f"S{n}") for n in range(170))
    console = Console(viewer.user)

    page = console.get(address(Scanner), p="2")

    assert len(page.context["cl"].result_list) == 50
    assert "The first 150 scanners" in text_of(page)
    assert console.get(address(Scanner), p="3").status_code == 400


def test_autocomplete_is_scoped(viewer, trader, foreign_trader):
    found = Console(viewer.user).get(
        "/admin/autocomplete/", app_label="trading", model_name="strategy", field_name="user", term="trader"
    )

    assert [row["id"] for row in found.json()["results"]] == [str(trader.pk)]


# --- the search on every page -----------------------------------------------------------------------------
def test_the_search_on_every_page_finds_traders_first_and_pages(agent, trader, foreign_trader):
    User.objects.filter(pk=trader.pk).update(last_name="Traders")
    console = Console(agent.user)

    found = console.get("/admin/search/", s="traders").context["found"]

    assert [link for *_, link, _ in found] == [address(trader), address(User)]


@pytest.mark.parametrize("term", ["", "   ", "nobody at all"])
def test_a_search_that_finds_nothing_says_what_can_be_found(agent, trader, term):
    answer = Console(agent.user).get("/admin/search/", s=term)

    assert answer.status_code == 200
    assert "Nothing found." in text_of(answer)


def test_the_search_finds_no_foreign_trader(agent, foreign_trader):
    assert Console(agent.user).get("/admin/search/", s=foreign_trader.email).context["found"] == []


@pytest.mark.parametrize("query", [{"s": "x" * 101}, {"s": "a\x00b"}, {"s": "a", "page": "x"}, {"q": "a"}])
def test_a_search_that_cannot_be_read_is_refused(agent, query):
    assert Console(agent.user).get("/admin/search/", **query).status_code == 400


def test_the_search_is_bounded(agent, broker, django_assert_max_num_queries):
    TraderFactory.create_batch(30, broker=broker, last_name="Many")
    console = Console(agent.user)

    with django_assert_max_num_queries(24):  # each way to each kind of row by its own index
        found = console.get("/admin/search/", s="many").context["found"]

    assert len(found) == 6  # five, and where the others stand
