"""What latency, slippage and performance have in common: scope, span, strictness, reach and limits."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.factories import StaffFactory
from analytics import metrics
from conftest import Api
from trading.tests.factories import DeploymentFactory, OrderFactory, StrategyFactory, TradeFactory

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SCOPES = {"user", "user_email", "strategy", "deployment"}

pytestmark = pytest.mark.parametrize("path", ["analytics/latency/", "analytics/slippage/", "analytics/performance/"])


@pytest.fixture
def deployment(trader):
    return DeploymentFactory(user=trader, strategy__user=trader)


@pytest.fixture
def happen(deployment):
    """An order placed and filled, and a trade closed, at one instant: each of the three sees one row."""

    def at(instant, deployment=deployment):
        trade = TradeFactory(deployment=deployment, taken_at=instant - timedelta(hours=1), closed_at=instant)
        OrderFactory(
            user=deployment.user,
            strategy=deployment.strategy,
            deployment=deployment,
            trade=trade,
            sent_at=instant,
            filled_at=instant,
            expected_price="100",
            filled_price="101",
            filled_quantity="1",
        )

    return at


def errors(answer):
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_each_scope_holds_its_own_rows(path, viewer, trader, deployment, happen):
    other_run = DeploymentFactory(user=trader, strategy=deployment.strategy)
    other_strategy = DeploymentFactory(user=trader, strategy=StrategyFactory(user=trader))
    for owner in (deployment, other_run, other_strategy, DeploymentFactory()):
        happen(NOON, owner)

    asked = [
        ({"user": trader.pk}, {"user": trader.pk}, 3),
        ({"user_email": trader.email.upper()}, {"user": trader.pk}, 3),
        ({"strategy": deployment.strategy_id}, {"strategy": deployment.strategy_id}, 2),
        ({"deployment": deployment.pk}, {"deployment": deployment.pk}, 1),
    ]
    for query, scope, count in asked:
        answer = viewer.get(path, **query).json()
        assert (answer["scope"], answer["count"]) == (scope, count)


def test_a_deleted_strategy_can_be_measured(path, viewer, deployment, happen):
    happen(NOON)
    deployment.strategy.deleted_at = NOON
    deployment.strategy.save()

    assert viewer.get(path, strategy=deployment.strategy_id).json()["count"] == 1


@pytest.mark.parametrize("role", ["viewer", "agent", "supervisor", "superuser"])
def test_every_role_may_ask(path, role, trader, request):
    assert request.getfixturevalue(role).get(path, user=trader.pk).status_code == 200


def test_without_the_right_it_is_refused(path, anonymous, trader):
    without_role = Api(StaffFactory(broker=trader.broker))

    assert anonymous.get(path, user=trader.pk).status_code == 401
    assert without_role.get(path, user=trader.pk).status_code == 403


def test_what_is_out_of_reach_does_not_exist(path, viewer, foreign_trader):
    foreign = DeploymentFactory(user=foreign_trader, strategy__user=foreign_trader)
    asked = [
        {"user": foreign_trader.pk},
        {"user_email": foreign_trader.email},
        {"strategy": foreign.strategy_id},
        {"deployment": foreign.pk},
        {"user": viewer.user.pk},
        {"user_email": "nobody@demo.example"},
        {"user": 2**63 - 1},
        {"strategy": 2**63 - 1},
        {"deployment": 2**63 - 1},
    ]

    answers = [viewer.get(path, **query) for query in asked]

    assert [answer.status_code for answer in answers] == [404] * len(asked)
    assert len({(answer.json()["code"], answer.json()["detail"]) for answer in answers}) == 1


@pytest.mark.parametrize("given", [{}, {"user": 1, "strategy": 1}, {"user": 1, "user_email": "a@demo.example"}])
def test_exactly_one_scope_is_needed(path, viewer, given):
    assert errors(viewer.get(path, **given)) == dict.fromkeys(given or SCOPES, "exactly_one")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("-1", "101", "1e1", "007", "+5", "abc", "5.0", "٣")),
        *(("interval", value) for value in ("week", "DAY", "1d")),
        *(("window", value) for value in ("15", "0m", "15s", "1.5h", "-1h", "3661d", "99999d", "1 h", "24H")),
        *(
            (bound, value)
            for bound in ("since", "until")
            for value in ("2026-01-01", "2026-01-01T00:00:00", "0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "now")
        ),
    ],
)
def test_malformed_values_are_refused_by_name(path, viewer, trader, name, value):
    assert errors(viewer.get(path, user=trader.pk, **{name: value})).keys() == {name}


@pytest.mark.parametrize("name", ["user", "strategy", "deployment"])
@pytest.mark.parametrize("value", ["0", "-1", "01", "1.0", "abc", str(2**63), "9" * 30])
def test_malformed_ids_are_refused_by_name(path, viewer, name, value):
    assert errors(viewer.get(path, **{name: value})) == {name: "invalid"}


@pytest.mark.parametrize("value", ["a\u202eb@demo.example", "a" * 255, " "])
def test_malformed_addresses_are_refused_by_name(path, viewer, value):
    assert errors(viewer.get(path, user_email=value)) == {"user_email": "invalid"}


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ({"page_size": 5}, {"page_size": "unknown"}),
        ({"user__password": "x"}, {"user__password": "unknown"}),
        ({"limit": ["1", "2"]}, {"limit": "repeated"}),
        ({"since": ""}, {"since": "empty"}),
        ({"window": "24h", "since": "2026-01-01T00:00:00Z"}, {"window": "invalid"}),
        ({"window": "24h", "until": "2026-01-01T00:00:00Z"}, {"window": "invalid"}),
        ({"since": "2026-01-01T00:00:01Z", "until": "2026-01-01T00:00:00Z"}, {"since": "invalid"}),
        ({"limit": "x", "interval": "x"}, {"limit": "invalid", "interval": "invalid_choice"}),
    ],
)
def test_nothing_is_silently_ignored(path, viewer, trader, query, refused):
    assert errors(viewer.get(path, user=trader.pk, **query)) == refused


def test_a_span_is_half_open(path, viewer, deployment, happen):
    for minute in (0, 1, 2):
        happen(NOON + timedelta(minutes=minute))

    def count(**span):
        return viewer.get(path, deployment=deployment.pk, **span).json()["count"]

    assert count(since="2026-03-02T12:00:00Z", until="2026-03-02T12:02:00Z") == 2
    assert count(since="2026-03-02T13:01:00+01:00") == 2
    assert count(since="2026-03-02T12:00:00.000001Z") == 2
    assert count(until="2026-03-02T12:01:00Z") == 1
    assert count(until="2026-03-02T12:01:00.000001Z") == 2
    assert count(since="2026-03-02T12:01:00Z", until="2026-03-02T12:01:00Z") == 0


def test_the_span_is_told_in_utc(path, viewer, trader):
    answer = viewer.get(path, user=trader.pk, since="2026-03-02T13:01:00+01:00").json()

    assert (answer["since"], answer["until"], answer["window"]) == ("2026-03-02T12:01:00Z", None, None)


def test_a_window_sees_what_was_just_committed(path, viewer, deployment, happen):
    now = timezone.now()
    happen(now - timedelta(minutes=16))
    happen(now - timedelta(minutes=14))
    first = viewer.get(path, deployment=deployment.pk, window="15m").json()

    happen(now)
    happen(now + timedelta(minutes=1))  # by a clock that is ahead of ours
    second = viewer.get(path, deployment=deployment.pk, window="15m").json()

    assert (first["count"], second["count"]) == (1, 3)
    assert (second["window"], second["until"]) == ("15m", None)
    as_of, since = (datetime.fromisoformat(second[name]) for name in ("as_of", "since"))
    assert as_of - since == timedelta(minutes=15)
    assert now <= as_of <= timezone.now()


@pytest.mark.parametrize(
    ("interval", "starts"),
    [
        ("minute", ["2026-03-02T12:00:00Z", "2026-03-02T12:59:00Z", "2026-03-02T13:00:00Z", "2026-03-03T00:00:00Z"]),
        ("hour", ["2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z", "2026-03-03T00:00:00Z"]),
        ("day", ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]),
    ],
)
def test_an_interval_adds_the_series(path, viewer, deployment, happen, interval, starts):
    for minutes in (0, 59, 60, 12 * 60):
        happen(NOON + timedelta(minutes=minutes))

    answer = viewer.get(path, deployment=deployment.pk, interval=interval).json()

    assert [row["start"] for row in answer["series"]] == starts
    assert viewer.get(path, deployment=deployment.pk).json()["series"] == []


def test_a_series_has_a_largest_length(path, viewer, deployment, happen, monkeypatch):
    assert metrics.MAX_INTERVALS == 5000
    monkeypatch.setattr(metrics, "MAX_INTERVALS", 2)
    for minute in (0, 1, 60):
        happen(NOON + timedelta(minutes=minute))

    refused = viewer.get(path, deployment=deployment.pk, interval="minute")

    assert errors(refused) == {"interval": "too_many_buckets"}
    assert "narrow the span or take a longer interval" in refused.json()["errors"][0]["detail"]
    assert len(viewer.get(path, deployment=deployment.pk, interval="hour").json()["series"]) == 2


def test_limit_sets_how_many_of_the_newest_come_along(path, viewer, deployment, happen):
    for minute in range(32):
        happen(NOON + timedelta(minutes=minute * 7 % 32))

    def instants(**limit):
        records = viewer.get(path, deployment=deployment.pk, **limit).json()["records"]
        return [record.get("timestamp") or record["closed_at"] for record in records]

    newest_first = [f"2026-03-02T12:{minute:02}:00Z" for minute in reversed(range(32))]
    assert instants() == newest_first[:30]
    assert instants(limit=0) == []
    assert instants(limit=3) == newest_first[:3]
    assert instants(limit=100) == newest_first


def test_calls_are_counted_in_their_own_bucket(path, viewer, trader):
    answer = viewer.get(path, user=trader.pk)

    assert answer["RateLimit-Policy"] == '"analytics";q=120;w=60'
    assert answer["RateLimit"].startswith('"analytics";r=119;')


def test_past_the_limit_it_waits(path, viewer, trader, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "analytics": {"staff user": ["1/m"]}}

    assert viewer.get(path, user=trader.pk).status_code == 200
    assert viewer.get(path, user=trader.pk).status_code == 429


def test_the_number_of_queries_does_not_grow_with_the_rows(path, viewer, deployment, happen):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            answer = viewer.get(
                path, deployment=deployment.pk, since="2020-01-01T00:00:00Z", interval="minute", limit=100
            )
        assert answer.status_code == 200
        return len(captured)

    happen(NOON)
    few = queries()
    for minute in range(1, 40):
        happen(NOON + timedelta(minutes=minute))

    assert queries() == few


def test_every_part_of_the_answer_is_defined(path, viewer, trader):
    answer = viewer.get(path, user=trader.pk).json()

    assert set(answer) - {"scope", "as_of", "definitions"} <= set(answer["definitions"])
