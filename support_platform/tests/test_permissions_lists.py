"""
What lists show to whom, and that no filter, cursor, total or figure tells of a row out of reach.

A list without a row here fails, and so does a parameter that names rows and is not tried with foreign ones.
"""

import re

import pytest

from accounts.models import User
from support_platform.models import AuditEvent
from support_platform.tests.calls import all_calls, assert_problem
from support_platform.tests.people import NOBODY, STAFF
from trading.models import Deployment, Scanner, Strategy, Trade

# Whose rows each caller sees: those of the traders of these brokers. (Who else asks is turned away: 403.)
REACH = {
    "Viewer": ("own",),
    "Agent": ("own",),
    "service": ("own",),
    "Supervisor": ("own",),
    "foreign Agent": ("foreign",),
    "foreign Supervisor": ("foreign",),
    "free Agent": ("own", "foreign"),
    "free Supervisor": ("own", "foreign"),
    "superuser": ("own", "foreign"),
}
ASKERS = ("Viewer", "Supervisor", "foreign Agent", "foreign Supervisor", "free Agent")  # each reach, each trail
READS_THE_TRAIL_OF_OTHERS = {"Supervisor", "foreign Supervisor", "free Supervisor", "superuser"}

# List -> (its rows of one broker, all of them).
LISTS = {
    "users/": lambda broker: User.objects.filter(is_staff=False, broker=broker),
    "strategies/": lambda broker: Strategy.objects.filter(user__broker=broker, deleted_at=None),
    "strategies/?status=deleted": lambda broker: Strategy.objects.filter(user__broker=broker).deleted(),
    "deployments/": lambda broker: Deployment.objects.filter(user__broker=broker),
    "trades/": lambda broker: Trade.objects.filter(user__broker=broker),
    "scanners/": lambda broker: Scanner.objects.filter(user__broker=broker, deleted_at=None),
    "scanners/?status=deleted": lambda broker: Scanner.objects.filter(user__broker=broker).deleted(),
}
OTHER_LISTS = {"audit/", "trades/{id}/corrections/", "users/{id}/timeline/"}  # each with a test of its own

# Parameter by which a list could be asked about a row that one may not see -> (list, a value of that row, a value
# that no row has). To whoever may not see it, both are answered alike.
ORACLES = [
    ("users/?email=", lambda home: home.rows["users"].email, "nobody@demo.example"),
    ("users/?phone=", lambda home: home.rows["users"].phone.replace("+", "%2B"), "%2B491500000000"),
    ("users/?broker=", lambda home: home.broker.pk, NOBODY),
    ("users/?broker=", lambda home: home.broker.name, "Nowhere"),
    ("users/?search=", lambda home: home.rows["users"].email, "nobody@demo.example"),
    ("users/?search=", lambda home: home.rows["users"].last_name, "nobody"),
    *(
        (f"{path}?{name}", value, nothing)
        for path in ("strategies/", "deployments/", "trades/", "scanners/")
        for name, value, nothing in (
            ("user=", lambda home: home.rows["users"].pk, NOBODY),
            ("user_email=", lambda home: home.rows["users"].email, "nobody@demo.example"),
            ("user_email=", lambda home: home.rows["users"].email.upper(), "nobody@demo.example"),
        )
    ),
    ("strategies/?search=", lambda home: home.rows["strategies"].name, "no such name"),
    ("scanners/?search=", lambda home: home.rows["scanners"].name, "no such name"),
    ("deployments/?strategy=", lambda home: home.rows["deployments"].strategy_id, NOBODY),
    ("trades/?strategy=", lambda home: home.rows["trades"].strategy_id, NOBODY),
    ("trades/?deployment=", lambda home: home.rows["trades"].deployment_id, NOBODY),
]
TRAIL_ORACLES = [
    ("audit/?id=", lambda home: home.rows["audit"].pk, NOBODY),
    ("audit/?actor=", lambda home: home.colleague.email, "nobody@desk.example"),
    ("audit/?actor_id=", lambda home: home.colleague.pk, NOBODY),
    ("audit/?broker=", lambda home: home.broker.pk, NOBODY),
    ("audit/?subject_type=user&subject_id=", lambda home: home.rows["users"].pk, NOBODY),
    ("audit/?user=", lambda home: home.rows["users"].pk, NOBODY),
    ("audit/?user_email=", lambda home: home.rows["users"].email, "nobody@demo.example"),
    ("audit/?reason=", lambda home: home.rows["audit"].reason, "no such reason"),
    ("audit/?request_id=", lambda home: home.rows["audit"].request_id, "none"),
]
# Parameters that say of a row only what many have in common.
NO_ORACLES = {
    *("cursor", "page_size", "ordering", "include_total"),
    *("status", "state", "mode", "side", "outcome", "symbol", "timeframe", "is_published", "is_corrected"),
    *("at", "action", "subject_type", "changes", "source", "ip", "kind"),
}


def ids_of(answer):
    return [row["id"] for row in answer.json()["results"]]


def permitted(world, actor, rows):
    found = (set(rows(getattr(world, home).broker).values_list("pk", flat=True)) for home in REACH[actor])
    return set().union(*found)


def lists():
    return {call.path: call for call in all_calls() if call.is_paged}


def test_every_list_has_its_row():
    assert lists().keys() == {path.partition("?")[0] for path in LISTS} | OTHER_LISTS


def test_every_parameter_that_names_a_row_is_tried():
    tried = {(path.partition("?")[0], re.split("[?&]", path)[-1].rstrip("=")) for path, _, _ in ORACLES + TRAIL_ORACLES}
    spans = ("_after", "_before")

    untried = [
        (path, name)
        for path, call in lists().items()
        if call.is_list
        for name in call.view.filterset_class.base_filters
        if name not in NO_ORACLES and not name.endswith(spans) and (path, name) not in tried
    ]

    assert untried == []


@pytest.mark.parametrize("path", LISTS)
def test_a_list_shows_exactly_the_rows_within_reach(path, world):
    for actor in REACH:
        answer = world.api(actor).get(path + ("&" if "?" in path else "?") + "include_total=true")

        expected = permitted(world, actor, LISTS[path])
        assert len(expected) > 0
        assert sorted(ids_of(answer)) == sorted(expected), actor
        assert answer.json()["total"] == len(expected)


@pytest.mark.parametrize("path", LISTS)
def test_pages_show_exactly_the_rows_within_reach_and_a_cursor_is_its_callers_own(path, world):
    for actor, other in (("Viewer", "Agent"), ("free Agent", "Viewer"), ("superuser", "foreign Supervisor")):
        url = path + ("&" if "?" in path else "?") + "page_size=1"
        seen, pages = [], []
        while url:
            page = world.api(actor).get(url)
            seen += ids_of(page)
            url = page.json()["next"]
            pages.append(url)

        assert sorted(seen) == sorted(permitted(world, actor, LISTS[path])), actor
        for url in filter(None, pages):
            assert_problem(world.api(other).get(url), 400, field="cursor")
            assert_problem(world.api("no role").get(url), 403)
            assert_problem(world.api("revoked").get(url), 401)


@pytest.mark.parametrize(("path", "value", "nothing"), ORACLES, ids=[path for path, _, _ in ORACLES])
def test_a_filter_tells_nothing_of_what_is_out_of_reach(path, value, nothing, world):
    for actor in ASKERS:
        api, homes = world.api(actor), REACH[actor]
        missing = told(api.get(f"{path}{nothing}&include_total=true"))
        for home in ("own", "foreign"):
            answer = api.get(f"{path}{value(getattr(world, home))}&include_total=true")

            if home in homes:
                assert ids_of(answer) != [], (actor, home)
            else:
                assert told(answer) == missing, (actor, home)


@pytest.mark.parametrize(("path", "value", "nothing"), TRAIL_ORACLES, ids=[path for path, _, _ in TRAIL_ORACLES])
def test_a_filter_of_the_trail_tells_nothing_of_what_is_out_of_reach(path, value, nothing, world):
    for actor in ASKERS:
        api, homes = world.api(actor), REACH[actor]
        missing = told(api.get(f"{path}{nothing}&include_total=true"))
        for home in ("own", "foreign"):
            answer = api.get(f"{path}{value(getattr(world, home))}&include_total=true")

            if home not in homes:
                assert told(answer) == missing, (actor, home)
            elif actor in READS_THE_TRAIL_OF_OTHERS:
                assert ids_of(answer) != [], (actor, home)
            else:
                assert {row["actor_id"] for row in answer.json()["results"]} <= {world.people[actor].pk}


def told(answer):
    """What a list or a refusal says, without what names the request."""
    return answer.status_code, {**answer.json(), "request_id": None}


# --- the audit trail ----------------------------------------------------------------------------------
@pytest.mark.parametrize("actor", STAFF)
def test_the_trail_shows_ones_own_events_or_those_of_the_broker(actor, world):
    events, staff = AuditEvent.objects.all(), world.people[actor]
    if actor not in READS_THE_TRAIL_OF_OTHERS:
        expected = events.filter(actor_id=staff.pk)
    else:
        expected = events if staff.broker is None else events.filter(broker=staff.broker_id)

    answer = world.api(actor).get("audit/?page_size=1000&include_total=true")

    assert len(ids_of(answer)) == answer.json()["total"] > 0
    assert set(ids_of(answer)) == set(expected.values_list("pk", flat=True))
    assert (set(ids_of(answer)) == set(events.values_list("pk", flat=True))) is (
        actor in ("free Supervisor", "superuser")
    )


@pytest.mark.parametrize("actor", ["Agent", "Supervisor"])
def test_who_moves_to_another_broker_leaves_its_events_of_the_old_one_behind(actor, world):
    staff, api = world.people[actor], world.api(actor)
    api.patch(f"users/{world.own.rows['users'].pk}/", {"phone": "+4915100000099"})
    [event], _ = world.told()
    assert event.pk in ids_of(api.get("audit/"))

    User.objects.filter(pk=staff.pk).update(broker=world.foreign.broker)

    assert event.pk not in ids_of(api.get("audit/"))
    assert_problem(api.get(f"audit/{event.pk}/"), 404)
    assert event.pk not in [own.pk for own in world.console(actor).get("/admin/").context["own_events"]]


def test_corrections_are_those_of_the_one_trade(world):
    for actor, homes in REACH.items():
        for home in homes:
            trade = getattr(world, home).rows["trades"]
            answer = world.api(actor).get(f"trades/{trade.pk}/corrections/")

            [correction] = answer.json()["results"]
            assert correction["actor"] == getattr(world, home).colleague.email, actor


def test_a_timeline_tells_only_of_its_trader_and_of_the_events_one_may_read(world):
    for actor, homes in REACH.items():
        for home in homes:
            trader = getattr(world, home).rows["users"]
            answer = world.api(actor).get(f"users/{trader.pk}/timeline/?page_size=1000")

            rows = answer.json()["results"]
            own = {"trade": Trade, "deployment": Deployment}
            for kind, model in own.items():
                told_of = {row["subject_id"] for row in rows if row["subject_type"] == kind and not row["event"]}
                assert told_of == set(model.objects.filter(user=trader).values_list("pk", flat=True)), (actor, kind)
            events = AuditEvent.objects.filter(user=trader.pk)
            if actor not in READS_THE_TRAIL_OF_OTHERS:
                events = events.filter(actor_id=world.people[actor].pk)
            told_of = {row["event"]["id"] for row in rows if row["event"]}
            assert told_of == set(events.values_list("pk", flat=True)), actor
