"""The console's home page: what needs attention, the key figures of a broker, and only what each person may see."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import OutgoingMail, User
from accounts.tests.factories import StaffFactory, TraderFactory
from analytics import home as figures
from support_platform import audit_chain, refusals
from support_platform.console import home
from support_platform.models import AuditEvent
from support_platform.tests.console import Console, address, text_of
from trading import reach
from trading.models import Deployment, Order
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory, TradeFactory

QUIET = "Nothing needs attention now."


def page_of(person, **query):
    page = Console(getattr(person, "user", person)).get("/admin/", **query)
    assert page.status_code == 200
    return page


def ago(**length):
    return timezone.now() - timedelta(**length)


def order(trader, **stamps):
    return OrderFactory(user=trader, **{"sent_at": ago(minutes=10), **stamps})


def correction(trader, **values):
    return audit_chain.append(
        actor="desk@demo.example",
        action="trade.corrected",
        subject_type="trade",
        subject_id=1,
        source="api",
        user=trader.pk,
        broker=trader.broker_id,
        **values,
    )


def mail(trader, **values):
    given = {"created_at": ago(minutes=10), **values}
    return OutgoingMail.objects.create(kind="password_reset", user=trader, to=trader.email, **given)


def inactive(broker):
    return TraderFactory(broker=broker, is_active=False)


# name in the address: (model, a row that needs attention, for a trader's broker)
MATTERS = {
    "in_trouble": (Deployment, lambda trader: DeploymentFactory(user=inactive(trader.broker), status="paused")),
    "inactive_with_deployments": (User, lambda trader: DeploymentFactory(user=inactive(trader.broker)).user),
    "unanswered": (Order, order),
    "undelivered": (OutgoingMail, lambda trader: mail(trader, attempts=2)),
    "unconfirmed_email": (User, lambda trader: TraderFactory(broker=trader.broker, pending_email="new@demo.example")),
    "corrected": (AuditEvent, correction),
}


def titles(page):
    return [title for title in (matter.title for matter in home.matters()) if title in text_of(page)]


# --- what needs attention --------------------------------------------------------------------------------
def test_an_empty_platform_says_so(superuser):
    page = text_of(page_of(superuser))

    assert QUIET in page
    assert "Of all brokers" in page
    assert "No trades and no orders in the last 24 hours." in page


@pytest.mark.parametrize("name", MATTERS)
def test_each_matter_is_told_and_leads_to_exactly_its_rows(supervisor, trader, foreign_trader, name):
    model, make = MATTERS[name]
    TraderFactory(broker=trader.broker)
    DeploymentFactory(user=trader)
    row = make(trader)
    make(foreign_trader)

    page = page_of(supervisor)
    [matter] = [matter for matter in home.matters() if matter.name == name]
    link = f"{address(model)}?attention={name}"

    assert f"1 {matter.title}" in text_of(page)
    assert f'href="{link}"' in page.content.decode()
    assert f'href="{address(row)}"' in page.content.decode()
    listed = Console(supervisor.user).get(link).context["cl"].result_list
    assert [one.pk for one in listed] == [row.pk]
    assert QUIET not in text_of(page)


def test_another_brokers_matters_are_not_told(foreign_trader, supervisor, superuser):
    for _, make in MATTERS.values():
        make(foreign_trader)

    assert titles(page_of(supervisor)) == []
    assert QUIET in text_of(page_of(supervisor))
    assert titles(page_of(superuser)) == [matter.title for matter in home.matters()]


def test_what_is_as_it_should_be_needs_no_attention(supervisor, trader, broker):
    gone = inactive(broker)
    DeploymentFactory(user=gone, status="stopped", stopped_at=ago(days=1))
    deleted = StrategyFactory(user=trader, deleted_at=ago(days=1))
    DeploymentFactory(user=trader, strategy=deleted, status="stopped", stopped_at=ago(days=1))
    order(trader, sent_at=ago(minutes=4))
    order(trader, sent_at=ago(hours=25))
    order(trader, acknowledged_at=ago(minutes=9))
    order(trader, filled_at=ago(minutes=9))
    correction(trader, at=ago(hours=25))
    mail(trader, sent_at=ago(minutes=9), attempts=1)
    mail(trader, created_at=timezone.now())
    mail(trader, dropped_at=ago(minutes=9))

    assert titles(page_of(supervisor)) == []


def test_a_running_deployment_of_a_deleted_strategy_is_in_trouble(viewer, trader):
    strategy = StrategyFactory(user=trader, name="Old grid", deleted_at=ago(days=1))
    DeploymentFactory(user=trader, strategy=strategy, status="paused")

    assert f"Old grid of {trader.email}: paused, strategy deleted" in text_of(page_of(viewer))


def test_a_mail_that_was_given_up_is_undelivered(viewer, trader):
    mail(trader, attempts=9, refused_at=ago(days=3), dropped_at=ago(minutes=5))

    assert "1 Mails that did not reach the mail server" in text_of(page_of(viewer))


@pytest.mark.parametrize(("role", "is_told"), [("Viewer", False), ("Agent", False), ("Supervisor", True)])
def test_corrections_are_for_those_who_may_read_the_trail(trader, role, is_told):
    correction(trader)
    person = StaffFactory(broker=trader.broker, role=role)

    assert ("Trades corrected" in text_of(page_of(person))) is is_told
    answer = Console(person).get(address(AuditEvent), attention="corrected")
    assert answer.status_code == (200 if is_told else 400)


def test_without_a_role_there_is_nothing_but_ones_own_events(broker, trader):
    for _, make in MATTERS.values():
        make(trader)

    page = text_of(page_of(StaffFactory(broker=broker)))

    assert "Your account has no role yet" in page
    assert "Key figures" not in page
    assert "Your latest events" in page


def test_counts_are_capped_and_the_newest_are_shown(viewer, trader, monkeypatch):
    monkeypatch.setattr(home, "MAX_COUNTED", 4)
    orders = [order(trader, sent_at=ago(minutes=20 - n)) for n in range(6)]

    page = page_of(viewer)

    assert "4+ Orders without an answer" in text_of(page)
    html = page.content.decode()
    assert [address(row) in html for row in orders] == [False] * 3 + [True] * 3


def test_an_unknown_matter_is_refused(superuser):
    for value in ("nonsense", "", "unanswered"):
        assert Console(superuser.user).get(address(Deployment), attention=value).status_code == 400


def test_names_are_escaped_and_keep_their_direction(viewer, trader):
    strategy = StrategyFactory(user=trader, name="<script>alert(1)</script>שלום" * 5, deleted_at=ago(days=1))
    DeploymentFactory(user=trader, strategy=strategy)

    html = page_of(viewer).content.decode()

    assert "<script>alert" not in html
    assert "<bdi>&lt;script&gt;" in html


# --- limits ------------------------------------------------------------------------------------------------
def test_refused_requests_are_counted_for_their_broker(agent, superuser, other_broker, settings, monkeypatch):
    monkeypatch.setitem(settings.RATE_LIMITS, "read", {"staff user": ["1/d"]})
    answers = [agent.get("users/").status_code for _ in range(4)]
    told = "Requests refused by limits in the last 24 hours"

    assert answers.count(429) >= 2
    assert refusals.of_last_day(agent.user.broker_id) == {"read": answers.count(429)}
    assert told in text_of(page_of(agent))
    assert told in text_of(page_of(superuser))
    assert QUIET in text_of(page_of(StaffFactory(broker=other_broker, role="Agent")))


def test_refused_logins_are_nobodys(anonymous, agent, superuser, settings, monkeypatch):
    monkeypatch.setitem(settings.RATE_LIMITS, "login", {"address": ["1/d"], "e-mail": ["9/d"]})
    for _ in range(3):
        anonymous.post("auth/token/", {"email": agent.user.email, "password": "wrong"})

    assert refusals.of_last_day(agent.user.broker_id) == {}
    assert "login" in refusals.of_last_day(superuser.user.broker_id)


def test_a_day_later_they_are_forgotten(monkeypatch):
    refusals.count_up("write", 5)
    now = refusals.time.time()

    monkeypatch.setattr(refusals.time, "time", lambda: now + 23 * 3600)
    assert refusals.of_last_day(5) == {"write": 1}
    monkeypatch.setattr(refusals.time, "time", lambda: now + 26 * 3600)
    assert refusals.of_last_day(5) == {}


def test_without_the_cache_the_page_says_so(viewer, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError("no cache")

    monkeypatch.setattr(cache, "get_many", away)

    assert "The cache is away" in text_of(page_of(viewer))


def test_a_refusal_that_cannot_be_counted_is_still_one(agent, settings, monkeypatch):
    def full(*args, **kwargs):
        raise ValueError("full")

    monkeypatch.setitem(settings.RATE_LIMITS, "read", {"staff user": ["1/d"]})
    monkeypatch.setattr(refusals, "count_up", full)

    assert [agent.get("users/").status_code for _ in range(4)].count(429) >= 2


# --- key figures -------------------------------------------------------------------------------------------
def shown(page):
    [content] = [content for panel, content in page.context["panels"] if panel.title == "Key figures"]
    return text_of(type("Page", (), {"content": content.encode()}))


@pytest.fixture
def traded(trader):
    """Two trades of the last day, one of the last month, one still open; two orders."""
    deployment = DeploymentFactory(user=trader)
    TradeFactory(deployment=deployment, taken_at=ago(hours=3), closed_at=ago(hours=2), result=Decimal("30.5"))
    TradeFactory(deployment=deployment, taken_at=ago(hours=5), closed_at=ago(hours=4), result=Decimal("-10"))
    TradeFactory(deployment=deployment, taken_at=ago(days=20), closed_at=ago(days=19), result=Decimal("100"))
    TradeFactory(deployment=deployment, taken_at=ago(hours=1), closed_at=None, exit_price=None, result=None)
    for gap, price in ((100, "101"), (300, "100")):
        sent_at = ago(hours=2)
        order(
            trader,
            sent_at=sent_at,
            acknowledged_at=sent_at + timedelta(milliseconds=gap),
            filled_at=sent_at + timedelta(milliseconds=400),
            expected_price=Decimal("100"),
            filled_price=Decimal(price),
            filled_quantity=1,
        )
    return deployment


def test_key_figures_are_of_the_brokers_period(viewer, traded, foreign_trader):
    TradeFactory(deployment__user=foreign_trader, taken_at=ago(hours=3), closed_at=ago(hours=2), result=7)
    order(foreign_trader)

    day, month = shown(page_of(viewer)), shown(page_of(viewer, period="30d"))

    assert "Of Demo" in day
    for words in (
        "Trades taken 3",
        "Trades closed 2",
        "PnL, net 20.5",
        "Win rate 50.00 %",
        "Deployments active now 1",
        "Traders 1",
        "Orders 2",
        "Latency p50 200 ms",
        "Latency p95 290 ms",
        "Mean slippage 50 bps",
    ):
        assert words in day
    assert "Trades taken 4" in month
    assert "PnL, net 120.5" in month


def test_superusers_see_the_figures_of_all_brokers(superuser, traded, foreign_trader):
    TradeFactory(deployment__user=foreign_trader, taken_at=ago(hours=3), closed_at=ago(hours=2), result=7)

    assert "PnL, net 27.5" in shown(page_of(superuser))


def test_charts_add_up(viewer, traded):
    page = page_of(viewer, period="7d").content.decode()

    assert page.count('class="chart-figure"') == 4
    assert "3 trades taken and 2 closed in the 7 days." in page
    assert "PnL of 20.5 in the 7 days." in page


@pytest.mark.parametrize("period", ["1h", "", "24H", "24h%00", "9" * 99])
def test_an_unknown_period_is_refused(viewer, period):
    assert Console(viewer.user).get("/admin/", period=period).status_code == 400


@pytest.mark.parametrize("query", ["period=7d&period=7d", "nonsense=1"])
def test_unknown_and_repeated_parameters_are_refused(viewer, query):
    assert Console(viewer.user).get(f"/admin/?{query}").status_code == 400


def test_more_rows_than_are_read_are_told_in_words(viewer, traded, monkeypatch):
    monkeypatch.setattr(figures, "ROWS", 1)

    words = shown(page_of(viewer))

    assert "Trades taken 1+" in words
    assert "PnL, net 30.5" in words
    assert "Of the trades closed the newest 1, which go back to" in words


@pytest.mark.parametrize(("few", "count"), [(10, "3"), (0, "0+")])
def test_a_broker_whose_trades_are_few_among_very_many(viewer, traded, foreign_trader, monkeypatch, few, count):
    TradeFactory.create_batch(5, deployment__user=foreign_trader, taken_at=ago(minutes=9), closed_at=ago(minutes=5))
    monkeypatch.setattr(reach, "MAX_NEWEST_AMONG", 4)
    monkeypatch.setattr(reach, "FEW_TRADERS", few)

    assert f"Trades taken {count} " in shown(page_of(viewer))


# --- at which cost -----------------------------------------------------------------------------------------
def test_the_home_page_takes_as_many_queries_for_many_rows_as_for_few(supervisor, trader, traded):
    console = Console(supervisor.user)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert console.get("/admin/", period="30d").status_code == 200
        return len(captured)

    def make(count):
        for _ in range(count):
            for _, one in MATTERS.values():
                one(trader)
            TradeFactory(deployment=traded, taken_at=ago(hours=3), closed_at=ago(hours=2))

    make(4)
    queries()  # a warm page
    few = queries()
    make(20)

    assert queries() == few <= 30
