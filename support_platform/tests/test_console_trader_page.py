"""The trader's page: what it answers at a glance, for whom, from how few queries, and the page of the timeline."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import operations
from accounts.models import OutgoingMail, User
from accounts.tests.factories import StaffFactory, TraderFactory
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.tests.console import COLLEAGUE, Console, address, text_of
from trading import queries
from trading.models import Deployment, Scanner, Strategy, Trade
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPEN = {"closed_at": None, "exit_price": None, "result": None}
MAX_QUERIES = 30


@pytest.fixture
def console(agent):
    return Console(agent.user)


def panel(console, trader, name):
    """The words of one panel."""
    html = console.page(trader).content.decode()
    found = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert found, f"no panel {name}"
    return text_of(type("Part", (), {"content": found[0].encode()}))


def html_of(console, trader):
    return console.page(trader).content.decode()


# --- who this is, and what waits --------------------------------------------------------------------------
def test_without_anything_each_panel_says_so(console, trader):
    words = text_of(console.page(trader))

    for told in (
        "E-mail change None waits.",
        "Reset link No link works.",
        "Sessions None open.",
        "No mails yet.",
        "No deployments yet.",
        "No open trades.",
        "No closed trades yet.",
        "No strategies yet.",
        "No orders yet.",
        "No scanners yet.",
        "Nothing has happened yet.",
    ):
        assert told in words


def test_a_waiting_email_change_tells_since_when_until_when_and_which_mails_left(console, agent, trader):
    agent.patch(f"users/{trader.pk}/", {"email": "new@elsewhere.example"})
    trader.refresh_from_db()

    words = panel(console, trader, "contact-and-mails")

    since = OutgoingMail.objects.filter(user=trader).earliest("id").created_at
    assert "new@elsewhere.example waits for its owner to follow the mailed link" in words
    assert f"since {since:%Y-%m-%d %H:%M} UTC, until {trader.email_expires_at:%Y-%m-%d %H:%M} UTC" in words
    assert "Email confirmation to n***@elsewhere.example : sent" in words
    assert "Email change notice to t***@demo.example : sent" in words
    assert trader.email_nonce not in html_of(console, trader)


def test_an_email_change_whose_link_has_ended_says_what_to_do(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, email="new@elsewhere.example")
    User.objects.filter(pk=trader.pk).update(email_expires_at=NOON)

    words = panel(console, trader, "contact-and-mails")

    assert "was not confirmed: its link ended 2026-03-02 12:00 UTC. Change the e-mail once more" in words


def test_a_live_reset_link_tells_until_when_and_whether_its_mail_left(console, trader):
    operations.reset_password(trader, by=COLLEAGUE)
    trader.refresh_from_db()
    mail = OutgoingMail.objects.get(user=trader)
    OutgoingMail.objects.filter(pk=mail.pk).update(attempts=3, last_error="SMTPDataError 451")

    words = panel(console, trader, "contact-and-mails")

    assert f"One link works, once, until {trader.reset_expires_at:%Y-%m-%d %H:%M} UTC" in words
    assert "Password reset to t***@demo.example : waiting 3 tries, the last failed: SMTPDataError 451" in words
    assert trader.reset_nonce not in html_of(console, trader)


def test_the_mails_of_a_link_are_found_behind_many_newer_ones(console, trader):
    operations.change_contact(trader, by=COLLEAGUE, email="new@elsewhere.example")
    for _ in range(12):
        OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)

    words = panel(console, trader, "contact-and-mails")

    assert "Email confirmation to n***@elsewhere.example" in words
    assert "The newest 10 of 14." in words


def test_an_inactive_trader_is_told_with_since_when_and_why_to_who_may_read_it(viewer, supervisor, trader):
    operations.set_status(trader, "inactive", by=Actor(name="colleague@desk.example", reason="fraud check"))
    event = AuditEvent.objects.latest("id")

    told = panel(Console(supervisor.user), trader, "contact-and-mails")
    assert f"Inactive since {event.at:%Y-%m-%d %H:%M} UTC , by colleague@desk.example : fraud check" in told
    hidden = panel(Console(viewer.user), trader, "contact-and-mails")
    assert "Inactive . Since when and why stands in the audit trail" in hidden
    assert "fraud" not in hidden


# --- deployments --------------------------------------------------------------------------------------------
def test_active_and_paused_deployments_come_first(console, trader):
    now = timezone.now()
    stopped = DeploymentFactory(user=trader, status="stopped", stopped_at=now, started_at=now)
    paused = DeploymentFactory(user=trader, status="paused", started_at=now - timedelta(days=2))
    active = DeploymentFactory(user=trader, started_at=now - timedelta(days=3))

    html = html_of(console, trader)
    places = [html.index(f'href="{address(Deployment, "change", one.pk)}"') for one in (active, paused, stopped)]

    assert places == sorted(places)


def test_deployments_tell_their_open_trades_their_last_trade_and_what_is_wrong(console, trader):
    now = timezone.now()
    well = DeploymentFactory(user=trader)
    TradeFactory(deployment=well, taken_at=now - timedelta(hours=1), **OPEN)
    TradeFactory.create_batch(2, deployment=DeploymentFactory(user=trader), taken_at=now - timedelta(days=40), **OPEN)
    DeploymentFactory(user=trader, strategy=StrategyFactory(user=trader, deleted_at=now))
    over = DeploymentFactory(user=trader, status="stopped", stopped_at=now)
    TradeFactory(deployment=over, **OPEN)

    words = panel(console, trader, "deployments")

    assert f"1 of 1 {now - timedelta(hours=1):%Y-%m-%d %H:%M}" in words
    assert "More open trades than it may have No trade for 40 days" in words
    assert "Its strategy is deleted No trades yet" in words
    assert "Stopped with open trades" in words


def test_deployments_of_an_inactive_trader_that_run_are_in_trouble(console, trader):
    DeploymentFactory(user=trader)
    operations.set_status(trader, "inactive", by=COLLEAGUE)

    assert "Its trader is inactive" in panel(console, trader, "deployments")


# --- tables -------------------------------------------------------------------------------------------------
def test_long_lists_show_the_newest_count_to_a_cap_and_lead_to_all(console, trader):
    Strategy.objects.bulk_create(Strategy(user=trader, name=f"S{number}") for number in range(1010))
    ScannerFactory.create_batch(11, user=trader)

    assert "The newest 10 of 1,000+. All strategies" in panel(console, trader, "strategies")
    assert "The newest 10 of 11. All scanners" in panel(console, trader, "scanners")
    for model in (Strategy, Scanner):
        link = f"{address(model)}?user={trader.pk}"
        assert f'href="{link}"' in html_of(console, trader)
        assert console.get(link).status_code == 200


def test_trades_tell_their_result_and_whether_it_was_corrected(console, trader):
    TradeFactory(deployment__user=trader, result=-3, is_corrected=True, symbol="BTC/USDT")
    TradeFactory(deployment__user=trader, symbol="AAPL", side="short", **OPEN)

    assert "BTC/USDT long -3 loss corrected" in panel(console, trader, "closed-trades")
    assert "AAPL short 2 1.1" in panel(console, trader, "open-trades")
    for status in ("open", "closed"):
        link = f"{address(Trade)}?user={trader.pk}&status={status}"
        assert f'href="{link.replace("&", "&amp;")}"' in html_of(console, trader)
        assert console.get(link).status_code == 200


def test_strategies_and_scanners_tell_what_is_published_and_deleted(console, trader):
    now = timezone.now()
    StrategyFactory(user=trader, name="Shown", published_at=now)
    StrategyFactory(user=trader, name="Gone", deleted_at=now)
    ScannerFactory(user=trader, name="Away", deleted_at=now)

    words = panel(console, trader, "strategies")
    assert "Shown EUR/USD 1h published" in words
    assert "Gone EUR/USD 1h deleted" in words
    assert "Away any deleted" in panel(console, trader, "scanners")


def test_other_traders_rows_are_not_on_the_page(console, trader):
    other = TraderFactory(broker=trader.broker)
    TradeFactory(deployment__user=other, deployment__strategy__name="Secret")
    ScannerFactory(user=other, name="Secret")
    operations.reset_password(other, by=COLLEAGUE)

    words = text_of(console.page(trader))

    assert "Secret" not in words
    assert "No mails yet." in words


def test_whoever_may_not_see_a_kind_of_row_is_not_shown_its_panel(broker, trader):
    person = StaffFactory(broker=broker)
    person.user_permissions.add(Permission.objects.get(codename="view_user"))
    TradeFactory(deployment__user=trader)

    html = html_of(Console(person), trader)

    assert 'id="contact-and-mails"' in html
    for name in ("deployments", "open-trades", "closed-trades", "baseline", "orders", "strategies", "scanners"):
        assert f'id="{name}"' not in html
    assert "Nothing has happened yet." in html


HOSTILE = ["<script>alert(1)</script>", "{{ 7|add:7 }}{% debug %}", "שלום עולם", "x" * 200, "a\u202eb", "' onload='x"]


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "template", "right to left", "long", "override", "quote"])
def test_any_name_is_only_text(console, trader, name):
    User.objects.filter(pk=trader.pk).update(first_name=name[:150])
    strategy = StrategyFactory(user=trader, name=name, symbol=name[:64])
    ScannerFactory(user=trader, name=name, symbol=name[:64])
    deployment = DeploymentFactory(user=trader, strategy=strategy, symbol=name[:64])
    TradeFactory(deployment=deployment, symbol=name[:64])
    TradeFactory(deployment=deployment, symbol=name[:64], **OPEN)

    for answer in (console.page(trader), console.get(address(User, "timeline", trader.pk))):
        html = answer.content.decode()
        assert answer.status_code == 200
        assert "<script>alert" not in html
        assert "' onload=" not in html
        assert name in text_of(answer)


# --- how many queries ---------------------------------------------------------------------------------------
def everything(trader, number):
    """Rows of every kind, this many of each."""
    for _ in range(number):
        deployment = DeploymentFactory(user=trader)
        TradeFactory(deployment=deployment)
        TradeFactory(deployment=deployment, **OPEN)
        ScannerFactory(user=trader)
        OrderFactory(user=trader, deployment=deployment)
        OrderFactory(user=TraderFactory(broker=trader.broker))
        OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)
        operations.reset_password(trader, by=COLLEAGUE)


def queries_of(console, path):
    with CaptureQueriesContext(connection) as captured:
        assert console.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize("role", ["Viewer", "Supervisor"])
def test_the_page_asks_as_little_of_many_rows_as_of_few(broker, trader, role):
    console = Console(StaffFactory(broker=broker, role=role))
    operations.change_contact(trader, by=COLLEAGUE, email="new@elsewhere.example")
    everything(trader, 1)
    paths = [address(trader), address(User, "timeline", trader.pk)]
    few = [queries_of(console, path) for path in paths]

    everything(trader, 12)
    many = [queries_of(console, path) for path in paths]

    # One more, for a link whose mails lie behind newer ones.
    assert many[0] <= few[0] + 1 <= MAX_QUERIES - 5
    assert many[1] <= few[1] <= 14


# --- the timeline -------------------------------------------------------------------------------------------
@pytest.fixture
def story(trader):
    deployment = DeploymentFactory(user=trader, started_at=NOON - timedelta(days=1))
    for number in range(70):
        at = NOON + timedelta(minutes=number // 3)  # with ties
        TradeFactory(deployment=deployment, taken_at=at, closed_at=at + timedelta(minutes=1))
    return trader


def entries_of(answer):
    return [entry.pk for entry, _, _ in answer.context["entries"]]


def links_of(answer):
    return {name: answer.context[name] for name in ("newest", "newer", "older")}


def test_the_panel_has_the_newest_and_leads_to_the_whole(console, story):
    words = panel(console, story, "timeline")

    assert words.count("Trade ") == 20
    assert f'href="{address(User, "timeline", story.pk)}"' in html_of(console, story)


def test_pages_of_the_timeline_tell_each_entry_once_there_and_back(console, agent, story):
    path = address(User, "timeline", story.pk)
    expected = [row["id"] for row in agent.get(f"users/{story.pk}/timeline/", page_size=1000).json()["results"]]
    answer = console.get(path)
    forward = [answer]
    assert (links_of(answer)["newest"], links_of(answer)["newer"]) == (None, None)
    while older := forward[-1].context["older"]:
        forward.append(console.get(f"{path}{older}"))
    backward = [forward[-1]]
    while newer := backward[0].context["newer"]:
        backward.insert(0, console.get(f"{path}{newer}"))

    assert [pk for page in forward for pk in entries_of(page)] == expected
    assert [entries_of(page) for page in backward] == [entries_of(page) for page in forward]
    assert entries_of(console.get(f"{path}{forward[-1].context['newest']}")) == entries_of(forward[0])


def test_the_timeline_is_narrowed_by_kind_and_by_day_and_stays_so_on_older_pages(console, story):
    path = address(User, "timeline", story.pk)
    answer = console.get(path, **{"kind": "trade_taken", "from": "2026-03-02", "to": "2026-03-02"})

    assert len(entries_of(answer)) == 50
    older = console.get(f"{path}{answer.context['older']}")
    assert len(entries_of(older)) == 20
    assert {entry.kind for page in (answer, older) for entry, _, _ in page.context["entries"]} == {"trade_taken"}
    assert entries_of(console.get(path, kind="deployment_started", to="2026-03-01")) != []
    nothing = console.get(path, kind="trade_taken", to="2026-03-01")
    assert "Nothing of this kind happened in this time." in text_of(nothing)


@pytest.mark.parametrize("kind", queries.SOURCES)
def test_each_kind_can_be_chosen(console, story, kind):
    answer = console.get(address(User, "timeline", story.pk), kind=kind)

    assert answer.status_code == 200
    assert f'<option value="{kind}" selected>' in answer.content.decode()


def test_the_timeline_shows_what_the_api_shows_the_same_person(viewer, agent, supervisor, trader):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, reason="asked by phone")
    supervisor.post(f"users/{trader.pk}/password-reset/")
    TradeFactory(deployment__user=trader)

    for api in (viewer, agent, supervisor):
        told = [row["id"] for row in api.get(f"users/{trader.pk}/timeline/").json()["results"]]
        answer = Console(api.user).get(address(User, "timeline", trader.pk))
        assert entries_of(answer) == told
        assert ("asked by phone" in text_of(answer)) == (api is not viewer)


def test_entries_lead_to_what_they_tell_of(console, agent, trader):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"})
    trade = TradeFactory(deployment__user=trader)
    mail = OutgoingMail.objects.create(kind="password_changed", user=trader, to=trader.email)

    html = console.get(address(User, "timeline", trader.pk)).content.decode()

    for row in (trade, trade.deployment, mail):
        assert f'href="{address(type(row), "change", row.pk)}"' in html
    assert "/admin/support_platform/auditevent/" in html
