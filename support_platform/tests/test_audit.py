"""The audit trail: written with the change or not at all, never altered, shown to whom it may be shown."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, OperationalError, connection, transaction

from accounts.tests.factories import StaffFactory
from conftest import Api
from support_platform import audit, audit_chain
from support_platform.audit import Actor
from support_platform.models import AuditEvent
from support_platform.permissions import ROLES
from support_platform.statements import Insert
from support_platform.tests.calls import assert_problem

TABLE = AuditEvent._meta.db_table
INSTANT = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)


@transaction.atomic
def write(owner, **values):
    """One event as an operation would leave it, with `values` over the defaults."""
    given = {
        "at": INSTANT,
        "actor": "colleague@desk.example",
        "actor_id": 900,
        "broker": owner.broker_id,
        "action": "user.contact_changed",
        "subject_type": "user",
        "subject_id": owner.pk,
        "user": owner.pk,
        "changes": {"phone": [None, "+4915112345678"]},
        "source": "console",
    }
    return audit_chain.append(**given | values)


# --- append-only ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda event: AuditEvent.objects.update(actor="x"), id="update"),
        pytest.param(lambda event: AuditEvent.objects.filter(pk=event.pk).update(reason="x"), id="update one"),
        pytest.param(lambda event: event.save(), id="save"),
        pytest.param(lambda event: event.save(update_fields=["reason"]), id="save a field"),
        pytest.param(lambda event: AuditEvent.objects.bulk_update([event], ["reason"]), id="bulk_update"),
        pytest.param(lambda event: event.delete(), id="delete"),
        pytest.param(lambda event: AuditEvent.objects.all().delete(), id="delete all"),
        pytest.param(lambda event: AuditEvent.objects.all()._raw_delete("default"), id="raw delete"),
        pytest.param(
            lambda event: AuditEvent.objects.bulk_create(
                [AuditEvent(pk=event.pk, actor="x", action="x", subject_type="x", source="api", chain=9, sequence=9)],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=["actor"],
            ),
            id="upsert",
        ),
    ],
)
def test_no_call_of_the_models_changes_or_removes_an_event(trader, attempt):
    event = write(trader)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        attempt(event)

    assert AuditEvent.objects.get(pk=event.pk).actor == "colleague@desk.example"


STATEMENTS = [f"UPDATE {TABLE} SET reason = 'x'", f"DELETE FROM {TABLE}", f"DELETE FROM {TABLE} WHERE id > 0"]
if connection.vendor == "postgresql":
    STATEMENTS += [
        f"TRUNCATE {TABLE}",
        f"TRUNCATE {TABLE} CASCADE",
        f"MERGE INTO {TABLE} a USING (SELECT 1) b ON true WHEN MATCHED THEN DELETE",
    ]
else:
    COLUMNS = "id, at, actor, action, subject_type, changes, reason, request_id, source, chain, sequence, seal"
    STATEMENTS += [
        f"{verb} INTO {TABLE} ({COLUMNS}) SELECT {COLUMNS.replace('actor', 'source')} FROM {TABLE}"
        for verb in ("REPLACE", "INSERT OR REPLACE")
    ]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_sql_changes_or_removes_an_event(trader, statement):
    event = write(trader)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert AuditEvent.objects.get(pk=event.pk).actor == "colleague@desk.example"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", [1, 2])
def test_the_tests_own_emptying_leaves_triggers_and_roles_as_they_were(trader, round_):
    write(trader)

    assert AuditEvent.objects.count() == 1
    assert {group.name: group.permissions.count() for group in Group.objects.all()} == {
        role: len(rights) for role, rights in ROLES.items()
    }
    with pytest.raises(DatabaseError, match="append-only"):
        AuditEvent.objects.all().delete()


@pytest.mark.parametrize("source", ["mail", "", "API"])
def test_the_source_is_one_of_three(trader, source):
    with pytest.raises(DatabaseError), transaction.atomic():
        write(trader, source=source)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["audit/", "audit/{id}/"])
def test_the_api_only_reads_it(superuser, trader, method, path):
    event = write(trader)

    assert_problem(superuser.call(method, path.replace("{id}", str(event.pk)), {}), 405)


# --- with the change, or not at all -----------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_recording_outside_a_transaction_is_refused(trader):
    with pytest.raises(RuntimeError, match="outside a transaction"):
        audit.record("user.contact_changed", trader, by=Actor("x"), owner=trader, changes={})

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("error", "status"), [(OperationalError("disk full"), 503), (ValueError("no JSON"), 500)])
def test_without_its_event_a_change_does_not_happen(supervisor, trader, monkeypatch, mailoutbox, error, status):
    def fail(*values):
        raise error

    monkeypatch.setattr(Insert, "write", fail)
    body = {"email": "new@demo.example", "phone": "+4915112345678", "verified": True}

    assert_problem(supervisor.patch(f"users/{trader.pk}/", body), status)
    assert_problem(supervisor.put(f"users/{trader.pk}/status/", {"status": "inactive"}), status)

    before = (trader.email, trader.phone, trader.is_active, trader.version)
    trader.refresh_from_db()
    assert (trader.email, trader.phone, trader.is_active, trader.version) == before
    assert mailoutbox == []


def test_an_event_keeps_decimals_and_instants_as_text(trader):
    before = {"result": Decimal("1.50"), "at": INSTANT, "list": [Decimal("2.0"), INSTANT], "map": {7: Decimal("3")}}

    event = audit.record(
        "x", trader, by=Actor("x"), owner=trader, changes={name: (value, None) for name, value in before.items()}
    )

    event.refresh_from_db()
    assert event.changes == {
        "result": ["1.5", None],
        "at": ["2026-05-01T10:30:00Z", None],
        "list": [["2", "2026-05-01T10:30:00Z"], None],
        "map": [{"7": "3"}, None],
    }


# --- the reason -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reason", ["asked on the phone", "Größe – 日本 😀", "50% off + a=b&c", "x" * 500, "ä" * 500, 'say "why"', "a/b?c#d"]
)
def test_the_reason_is_kept_as_it_was_meant(agent, trader, events, reason):
    answer = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers={"Audit-Reason": quote(reason)})

    assert answer.status_code == 200, answer.content
    assert [event.reason for event in events()] == [reason]


def test_a_plain_reason_needs_no_encoding(agent, trader, events):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers={"Audit-Reason": "ticket #12: 100% sure"})

    assert [event.reason for event in events()] == ["ticket #12: 100% sure"]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="space"),
        pytest.param("%20%09", id="blank"),
        pytest.param("x" * 501, id="501 characters"),
        pytest.param(quote("ä" * 501), id="501 characters, encoded"),
        pytest.param("Gr\u00f6\u00dfe", id="raw latin-1"),
        pytest.param("%FF", id="not utf-8"),
        pytest.param("%ED%A0%80", id="surrogate"),
        pytest.param("a%00b", id="NUL"),
        pytest.param("a%0Ab", id="newline"),
        pytest.param("a%1Bb", id="escape"),
        pytest.param(quote("a\u202eb"), id="direction override"),
    ],
)
def test_a_reason_that_is_no_text_is_400_and_nothing_is_kept(agent, trader, events, raw):
    answer = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers={"Audit-Reason": raw})

    assert_problem(answer, 400, field="Audit-Reason")
    trader.refresh_from_db()
    assert trader.phone is None
    assert events() == []


# --- who sees what ----------------------------------------------------------------------------------------
def seen(api, **query):
    answer = api.get("audit/", **query)
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["results"]}


def test_a_supervisor_sees_its_broker_others_see_their_own_acts(broker, other_broker, trader, foreign_trader):
    ours, theirs, of_nobody = write(trader), write(foreign_trader), write(trader, broker=None)
    people = {role: Api(StaffFactory(broker=broker, role=role)) for role in ("Viewer", "Agent", "Supervisor")} | {
        "none": Api(StaffFactory(broker=broker)),
        "foreign": Api(StaffFactory(broker=other_broker, role="Supervisor")),
    }
    own = {name: write(trader, actor_id=api.user.pk) for name, api in people.items()}
    logins = {
        name: AuditEvent.objects.get(action="user.logged_in", actor_id=api.user.pk) for name, api in people.items()
    }

    for name in ("Viewer", "Agent", "none"):
        assert seen(people[name]) == {own[name].pk, logins[name].pk}
    in_broker = {ours.pk, *(event.pk for event in own.values())}
    in_broker |= {logins[name].pk for name in people if name != "foreign"}
    assert seen(people["Supervisor"]) == in_broker
    assert seen(people["foreign"]) == {theirs.pk, logins["foreign"].pk}
    everywhere = Api(StaffFactory(broker=None, role="Supervisor"))
    assert seen(everywhere) == set(AuditEvent.objects.values_list("id", flat=True))
    assert of_nobody.pk in seen(everywhere)


def test_an_event_out_of_sight_is_404(viewer, supervisor, trader, foreign_trader):
    assert_problem(viewer.get(f"audit/{write(trader).pk}/"), 404)
    assert_problem(supervisor.get(f"audit/{write(foreign_trader).pk}/"), 404)
    assert supervisor.get(f"audit/{write(trader).pk}/").status_code == 200


def test_an_event_is_told_in_full(supervisor, trader):
    event = write(trader, reason="why", request_id="r-1", ip="203.0.113.7")

    answer = supervisor.get(f"audit/{event.pk}/")

    assert "ETag" not in answer
    assert answer.json() == {
        "id": event.pk,
        "at": "2026-05-01T10:30:00Z",
        "actor": "colleague@desk.example",
        "actor_id": 900,
        "broker": trader.broker_id,
        "action": "user.contact_changed",
        "subject_type": "user",
        "subject_id": trader.pk,
        "user": trader.pk,
        "changes": {"phone": [None, "+4915112345678"]},
        "reason": "why",
        "request_id": "r-1",
        "source": "console",
        "ip": "203.0.113.7",
    }


OTHER = {
    "actor": "other@desk.example",
    "actor_id": 901,
    "action": "user.activated",
    "subject_type": "trade",
    "subject_id": 4711,
    "user": 4712,
    "changes": {"email": ["a", "b"]},
    "reason": "because",
    "request_id": "r-2",
    "source": "command",
    "ip": "2001:db8::1",
    "at": INSTANT + timedelta(days=1),
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"actor": "OTHER@desk.example"}, "other"),
        ({"actor": "other"}, None),
        ({"actor_id": "901"}, "other"),
        ({"action": "user.activated"}, "other"),
        ({"action": "user"}, None),
        ({"subject_type": "trade"}, "other"),
        ({"subject_id": "4711"}, "other"),
        ({"user": "4712"}, "other"),
        ({"user": "4713"}, None),
        ({"changes": "email"}, "other"),
        ({"changes": "phone"}, "first"),
        ({"changes": "mail"}, None),
        ({"reason": "CAUSE"}, "other"),
        ({"reason": "%"}, None),
        ({"request_id": "r-2"}, "other"),
        ({"source": "command"}, "other"),
        ({"source": "console"}, "first"),
        ({"ip": "2001:DB8:0::1"}, "other"),
        ({"ip": "203.0.113.7"}, "first"),
        ({"at_after": "2026-05-02T10:30:00Z"}, "other"),
        ({"at_after": "2026-05-02T12:30:00+02:00"}, "other"),
        ({"at_after": "2026-05-02T10:30:00.000001Z"}, None),
        ({"at_before": "2026-05-02T10:30:00Z"}, "first"),
        ({"at_before": "2026-05-01T10:30:00Z"}, None),
        ({"at_after": "2026-05-01T10:30:00Z", "at_before": "2026-05-02T10:30:00Z"}, "first"),
        ({"source": "command", "user": "4712", "changes": "email"}, "other"),
        ({"source": "console", "changes": "email"}, None),
    ],
)
def test_every_filter(supervisor, trader, query, found):
    ids_of = {
        "first": write(trader, ip="203.0.113.7").pk,
        "other": write(trader, **OTHER).pk,
    }
    login = AuditEvent.objects.get(action="user.logged_in").pk

    answer = supervisor.client.get("/api/v1/audit/", query, headers=supervisor.headers)

    assert answer.status_code == 200, answer.content
    ids = [row["id"] for row in answer.json()["results"] if row["id"] != login]
    assert ids == ([ids_of[found]] if found else [])


def test_filters_by_id_and_broker(superuser, trader, foreign_trader):
    ours, theirs = write(trader), write(foreign_trader)

    assert seen(superuser, id=ours.pk) == {ours.pk}
    assert seen(superuser, broker=foreign_trader.broker_id) == {theirs.pk}


def test_filters_by_the_traders_address_and_the_very_instant(superuser, supervisor, trader, foreign_trader):
    ours, theirs = write(trader), write(foreign_trader, at=INSTANT + timedelta(hours=1))

    assert seen(superuser, user_email=trader.email.upper()) == {ours.pk}
    assert seen(superuser, at=(INSTANT + timedelta(hours=1)).isoformat()) == {theirs.pk}
    assert_problem(superuser.get("audit/", user_email="nobody@demo.example"), 404)
    assert_problem(supervisor.get("audit/", user_email=foreign_trader.email), 404)


def test_newest_first_unless_asked_otherwise(superuser, trader):
    late, early = write(trader, at=INSTANT + timedelta(hours=1)), write(trader)
    query = {"subject_type": "user", "user": trader.pk}

    assert [row["id"] for row in superuser.get("audit/", **query).json()["results"]] == [late.pk, early.pk]
    oldest_first = superuser.get("audit/", ordering="at", **query).json()["results"]
    assert [row["id"] for row in oldest_first] == [early.pk, late.pk]


def test_an_attempt_at_an_account_out_of_reach_is_on_record(agent, foreign_trader, events):
    assert_problem(agent.patch(f"users/{foreign_trader.pk}/", {"phone": None}, reason="curious"), 404)

    [event] = events()
    assert (event.action, event.subject_type, event.subject_id) == ("user.attempt_refused", "user", foreign_trader.pk)
    assert (event.actor_id, event.broker, event.user) == (agent.user.pk, agent.user.broker_id, None)
    assert event.changes == {"attempted": [None, "change_contact"]}
    assert event.reason == "curious"
