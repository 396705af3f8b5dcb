"""GET users/{id}/timeline/: one trader's story in one stream."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import OutgoingMail, User
from accounts.tests.factories import StaffFactory, TraderFactory
from conftest import Api
from support_platform import audit_chain
from support_platform.audit import Actor
from support_platform.tests.calls import assert_problem
from trading import operations, queries
from trading.models import Trade
from trading.tests.factories import DeploymentFactory, StrategyFactory, TradeFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KINDS = {
    *("audit", "login", "reset", "mail"),
    *("deployment_started", "deployment_stopped", "trade_taken", "trade_closed"),
}


def minutes(number):
    return NOON + timedelta(minutes=number)


def mail_to(trader, kind, at, **values):
    return OutgoingMail.objects.create(user=trader, kind=kind, to="jane@demo.example", created_at=at, **values)


def path(trader):
    return f"users/{trader.pk}/timeline/"


def rows(api, trader, **query):
    answer = api.get(path(trader), **query)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def kinds(api, trader, **query):
    return [row["kind"] for row in rows(api, trader, **query)]


@transaction.atomic
def event_of(trader, at=NOON, **values):
    told = {"actor": "colleague@desk.example", "actor_id": 900, "action": "user.contact_changed", "source": "console"}
    told |= {"subject_type": "user", "subject_id": trader.pk, "user": trader.pk, "broker": trader.broker_id}
    return audit_chain.append(at=at, changes={"phone": [None, "+4915112345678"]}, **told | values)


@pytest.fixture
def story(trader):
    """One entry of each kind, a minute apart, in the order of `kinds`; and a colleague's story beside it."""
    User.objects.filter(pk=trader.pk).update(last_login=minutes(6))
    strategy = StrategyFactory(user=trader, name="Momentum")
    deployment = DeploymentFactory(
        strategy=strategy, user=trader, started_at=minutes(0), stopped_at=minutes(7), status="stopped"
    )
    trade = TradeFactory(deployment=deployment, taken_at=minutes(1), closed_at=minutes(2))
    reset = mail_to(trader, "password_reset", minutes(3), sent_at=minutes(4), nonce="n0nce")
    mail = mail_to(trader, "password_changed", minutes(4))
    event = event_of(trader, at=minutes(5), reason="asked")
    other = TradeFactory(deployment__user=TraderFactory(broker=trader.broker))
    mail_to(other.user, "password_reset", minutes(3))
    event_of(other.user)
    return SimpleNamespace(trade=trade, deployment=deployment, reset=reset, mail=mail, event=event)


# --- what it tells ----------------------------------------------------------------------------------------
def test_every_kind_has_the_same_shape_newest_first(supervisor, trader, story):
    at = [minutes(number).isoformat().replace("+00:00", "Z") for number in range(8)]
    of_user = {"subject_type": "user", "subject_id": trader.pk, "event": None}
    of_deployment = {"subject_type": "deployment", "subject_id": story.deployment.pk, "event": None}
    of_trade = {"subject_type": "trade", "subject_id": story.trade.pk, "event": None}
    told = {
        "id": story.event.pk,
        "action": "user.contact_changed",
        "actor": "colleague@desk.example",
        "reason": "asked",
        "source": "console",
    }

    def entry(kind, row, number, summary, subject):
        return {"id": f"{kind}:{row}", "at": at[number], "kind": kind, **subject, "summary": summary}

    assert rows(supervisor, trader) == [
        entry(
            "deployment_stopped",
            story.deployment.pk,
            7,
            "Stopped a live deployment of Momentum on EUR/USD",
            of_deployment,
        ),
        entry("login", trader.pk, 6, "Last login", of_user),
        entry("audit", story.event.pk, 5, "Contact changed: phone", {**of_user, "event": told}),
        entry("mail", story.mail.pk, 4, "Mail (password changed) to j***@demo.example: waiting", of_user),
        entry("reset", story.reset.pk, 3, "Mail (password reset) to j***@demo.example: sent", of_user),
        entry("trade_closed", story.trade.pk, 2, "Closed EUR/USD long: win, 12.5", of_trade),
        entry("trade_taken", story.trade.pk, 1, "Took 2 EUR/USD long at 1.1", of_trade),
        entry(
            "deployment_started",
            story.deployment.pk,
            0,
            "Started a live deployment of Momentum on EUR/USD",
            of_deployment,
        ),
    ]


def test_what_has_not_happened_is_not_told(supervisor, trader):
    deployment = DeploymentFactory(user=trader, symbol="")
    TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)

    assert sorted(kinds(supervisor, trader)) == ["deployment_started", "trade_taken"]
    [started] = rows(supervisor, trader, kind="deployment_started")
    assert started["summary"].endswith(deployment.strategy.name)


def test_no_text_and_no_link_of_a_mail_is_shown(supervisor, trader, story):
    answer = supervisor.get(path(trader)).content.decode()

    assert "jane@" not in answer
    assert "n0nce" not in answer
    assert "http" not in answer


def test_a_mail_that_was_dropped_is_told_so(supervisor, trader):
    mail_to(trader, "email_confirmation", NOON, dropped_at=NOON)

    [row] = rows(supervisor, trader)
    assert row["summary"] == "Mail (email confirmation) to j***@demo.example: dropped"


def test_a_change_stands_in_it_at_once(agent, trader):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, reason="by phone")
    agent.post(f"users/{trader.pk}/password-reset/")

    newest = rows(agent, trader)
    assert {row["kind"] for row in newest} == {"audit", "reset"}
    assert {row["event"]["action"] for row in newest if row["event"]} == {"user.contact_changed", "user.password_reset"}


def test_a_correction_of_a_trade_is_in_its_traders_story(supervisor, trader, story):
    operations.correct_trade(story.trade, by=Actor("x"), result=story.trade.result + 1)

    newest = rows(supervisor, trader)[0]
    assert (newest["kind"], newest["subject_type"], newest["subject_id"]) == ("audit", "trade", story.trade.pk)
    assert newest["summary"] == "Corrected: result"


# --- who sees what ----------------------------------------------------------------------------------------
def test_audit_events_are_those_that_the_trail_shows_the_caller(viewer, supervisor, trader, story):
    own = event_of(trader, actor_id=viewer.user.pk)
    abroad = event_of(trader, broker=trader.broker_id + 1)

    def seen(api):
        return {row["event"]["id"] for row in rows(api, trader, kind="audit")}

    assert seen(viewer) == {own.pk}
    assert seen(supervisor) == {own.pk, story.event.pk}
    assert abroad.pk not in seen(supervisor)
    assert kinds(viewer, trader) == [kind for kind in kinds(supervisor, trader) if kind != "audit"] + ["audit"]


def test_what_one_may_not_view_elsewhere_is_left_out(broker, trader, story):
    staff = StaffFactory(broker=broker)
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    api = Api(staff)

    assert set(kinds(api, trader)) == {"login", "reset", "mail"}
    assert kinds(api, trader, kind="trade_taken") == []
    assert api.get(path(trader), include_total="true").json()["total"] == 3


def test_staff_strangers_and_the_deleted_are_404(supervisor, agent, foreign_trader, trader):
    gone = TraderFactory(broker=trader.broker)
    pk = gone.pk
    gone.delete()

    for hidden in (agent.user.pk, supervisor.user.pk, foreign_trader.pk, pk, 10**18, 2**63):
        assert_problem(supervisor.get(f"users/{hidden}/timeline/"), 404)
    for odd in ("0", "01", "x", "-1"):
        assert_problem(supervisor.get(f"users/{odd}/timeline/"), 404)


# --- filters ----------------------------------------------------------------------------------------------
def test_the_kinds_are_those_documented():
    assert queries.SOURCES.keys() == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_filter_by_kind(supervisor, trader, story, kind):
    assert kinds(supervisor, trader, kind=kind) == [kind]


def test_a_span_is_half_open(supervisor, trader, story):
    everything = kinds(supervisor, trader)

    assert kinds(supervisor, trader, at_after="2026-03-02T12:05:00Z") == everything[:3]
    assert kinds(supervisor, trader, at_before="2026-03-02T13:05:00+01:00") == everything[3:]
    between = {"at_after": "2026-03-02T12:01:00Z", "at_before": "2026-03-02T12:03:00Z"}
    assert kinds(supervisor, trader, **between) == ["trade_closed", "trade_taken"]
    assert kinds(supervisor, trader, kind="trade_taken", **between) == ["trade_taken"]


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "order"},
        {"kind": ""},
        {"at_after": "yesterday"},
        {"at_before": "2026-03-02T12:00:00"},
        {"at_after": "2026-03-03T00:00:00Z", "at_before": "2026-03-02T00:00:00Z"},
        {"page_size": "0"},
        {"page_size": "1001"},
        {"ordering": "kind"},
        {"cursor": "x"},
        {"include_total": "yes"},
        {"user": "1"},
    ],
    ids=str,
)
def test_bad_parameters_are_400_by_name(supervisor, trader, query):
    assert_problem(supervisor.get(path(trader), **query), 400, field=next(iter(query)))


def test_a_cursor_belongs_to_its_trader_its_filters_and_its_caller(supervisor, agent, trader, story):
    following = supervisor.get(path(trader), page_size=2).json()["next"]
    other = TraderFactory(broker=trader.broker)

    assert supervisor.get(following).status_code == 200
    assert_problem(agent.get(following), 400, field="cursor")
    assert_problem(supervisor.get(f"{following}&kind=audit"), 400, field="cursor")
    assert_problem(supervisor.get(following.replace(f"/{trader.pk}/", f"/{other.pk}/")), 400, field="cursor")
    assert_problem(supervisor.get(following[:-3]), 400, field="cursor")


# --- pages ------------------------------------------------------------------------------------------------
@pytest.fixture
def ties(trader):
    """Many entries of several kinds at few instants."""
    deployments = [DeploymentFactory(user=trader, started_at=minutes(number % 2)) for number in range(5)]
    for number in range(12):
        TradeFactory(deployment=deployments[number % 5], taken_at=minutes(0), closed_at=minutes(number % 3))
        mail_to(trader, "password_reset" if number % 2 else "password_changed", minutes(number % 2))
        event_of(trader, at=minutes(number % 2))
    return 5 + 24 + 12 + 12


def places(found):
    return [(row["at"], row["kind"], int(row["id"].partition(":")[2])) for row in found]


@pytest.mark.parametrize("page_size", [1, 2, 7, 53, 1000])
@pytest.mark.parametrize("ordering", ["-at", "at"])
def test_pages_tell_each_entry_once_whatever_the_ties(superuser, trader, ties, ordering, page_size):
    answer = superuser.get(path(trader), ordering=ordering, page_size=page_size, include_total="true").json()
    assert answer["total"] == ties
    forward = [answer]
    while answer["next"]:
        answer = superuser.get(answer["next"]).json()
        forward.append(answer)
    backward = [answer]
    while answer["previous"]:
        answer = superuser.get(answer["previous"]).json()
        backward.insert(0, answer)

    found = places([row for page in forward for row in page["results"]])
    assert found == sorted(set(found), reverse=ordering == "-at")
    assert len(found) == ties
    assert [page["results"] for page in backward] == [page["results"] for page in forward]


def test_entries_that_come_meanwhile_neither_hide_nor_repeat_others(supervisor, trader, ties):
    before = places(rows(supervisor, trader, page_size=1000))
    answer = supervisor.get(path(trader), page_size=10).json()
    found = places(answer["results"])

    while answer["next"]:
        event_of(trader, at=minutes(60))
        TradeFactory(deployment=trader.deployment_set.first(), taken_at=minutes(50), closed_at=minutes(55))
        answer = supervisor.get(answer["next"]).json()
        found += places(answer["results"])

    assert found == before


def plan_of(captured):
    """The parts of one page's statement that look for trades, as the database would carry them out."""
    plans = []
    [statement] = [query["sql"] for query in captured.captured_queries if " UNION ALL " in query["sql"]]
    for part in statement.split(" UNION ALL "):
        if 'FROM "trading_trade"' in part:
            with connection.cursor() as cursor:
                explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
                cursor.execute(f"{explain} {part}")
                plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return plans


def test_a_page_asks_as_much_of_a_long_story_as_of_a_short_one(supervisor, trader):
    deployment = DeploymentFactory(user=trader)

    def of_a_page(url):
        with CaptureQueriesContext(connection) as captured:
            answer = supervisor.get(url).json()
        return captured, answer

    TradeFactory.create_batch(3, deployment=deployment)
    short, _ = of_a_page(f"{path(trader)}?page_size=2")
    common = {"deployment": deployment, "user": trader, "strategy": deployment.strategy, "symbol": "X", "side": "long"}
    newer = TradeFactory(deployment__user=TraderFactory(broker=trader.broker))
    others = {"deployment": newer.deployment, "user": newer.user, "strategy": newer.strategy}
    Trade.objects.bulk_create(
        Trade(**of_whom, quantity=1, entry_price=1, result=1, taken_at=minutes(n), closed_at=minutes(n + 1))
        for n, of_whom in [*((n, common) for n in range(2000)), *((n, common | others) for n in range(2000, 8000))]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    long, answer = of_a_page(f"{path(trader)}?page_size=2")
    deep, _ = of_a_page(answer["next"])

    assert len(short) == len(long) == len(deep)
    for captured in (long, deep):
        plans = plan_of(captured)
        assert len(plans) == 2
        for plan, index in zip(plans, ("trade_user_taken", "trade_user_closed"), strict=True):
            assert index in plan
            assert "TEMP B-TREE" not in plan
            assert "Sort" not in plan
