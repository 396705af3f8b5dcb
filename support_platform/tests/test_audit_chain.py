"""The audit trail's chains: every event in its place, sealed, without a gap, whatever comes between."""

from datetime import UTC, datetime
from functools import partial
from importlib import import_module

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import BrokerFactory, StaffFactory, TraderFactory
from conftest import Api
from support_platform import audit, audit_chain
from support_platform.audit import Actor
from support_platform.audit_check import Check
from support_platform.models import AuditChain, AuditEvent
from support_platform.tests.calls import assert_problem

guards = import_module("support_platform.migrations.0005_audit_chain")


def findings():
    check = Check()
    check.run()
    return check.findings


def numbers(chain):
    return list(AuditEvent.objects.filter(chain=chain).order_by("id").values_list("sequence", flat=True))


def append(**columns):
    return audit_chain.append(
        **{"actor": "a", "action": "user.seen", "subject_type": "user", "source": "api"} | columns
    )


def test_changes_through_the_api_are_numbered_and_sealed(supervisor, trader):
    for phone in ("+4915112345678", "+4915112345679", None):
        assert supervisor.patch(f"users/{trader.pk}/", {"phone": phone}, reason="asked").status_code == 200

    assert numbers(trader.broker_id) == [1, 2, 3, 4]  # the login, the changes
    last = AuditEvent.objects.latest("id")
    end = AuditChain.objects.get(pk=trader.broker_id)
    assert (end.length, end.seal) == (4, last.seal)
    assert findings() == []


def test_each_broker_has_its_chain_and_what_is_of_none_has_one(supervisor, superuser, foreign_trader, broker):
    foreign = Api(StaffFactory(broker=foreign_trader.broker, role="Agent"))
    foreign.patch(f"users/{foreign_trader.pk}/", {"phone": "+4915112345678"})

    chains = {broker.pk: [1], foreign_trader.broker_id: [1, 2], 0: [1]}
    assert {chain: numbers(chain) for chain in chains} == chains
    assert dict(AuditChain.objects.values_list("chain", "length")) == {chain: len(n) for chain, n in chains.items()}
    assert findings() == []


def test_a_refused_attempt_is_sealed_too(agent, foreign_trader):
    agent.patch(f"users/{foreign_trader.pk}/", {"phone": None})

    assert AuditEvent.objects.latest("id").action == "user.attempt_refused"
    assert numbers(agent.user.broker_id) == [1, 2]
    assert findings() == []


def test_a_dry_run_and_a_change_that_fails_leave_no_gap(supervisor, trader):
    supervisor.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, dry_run="true")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record("user.seen", trader, by=Actor("x"), owner=trader, changes={})
        1 / 0  # noqa: B018
    supervisor.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"})

    assert numbers(trader.broker_id) == [1, 2]
    assert findings() == []


def test_every_column_is_sealed():
    columns = {field.name for field in AuditEvent._meta.concrete_fields}

    assert columns - {"id", "seal"} == set(audit_chain.SEALED)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"changes": {"n": [5, 5.0], "m": [-1, 0.1]}}, id="numbers"),
        pytest.param({"changes": {"n": [1e20, 1e23], "m": [-0.0, 1e-9], "k": [10**40, 123456.789]}}, id="odd numbers"),
        pytest.param(
            {"changes": {"deployments": [{"10": "active", "9": "paused"}, {"9": None, "10": True}]}}, id="map"
        ),
        pytest.param({"changes": {9: [1, (2, 3)], 10: [{2: 1, 10: 1}, None]}}, id="what becomes text and lists"),
        pytest.param({"changes": {"name": ["Größe – 日本 😀", '"\\/\t\u2028']}}, id="text"),
        pytest.param({"changes": {}}, id="nothing"),
        pytest.param({"reason": "Größe – 日本 😀 ", "request_id": "r-1", "actor_id": 2**62}, id="columns"),
        pytest.param({"ip": "203.0.113.7"}, id="ipv4"),
        pytest.param({"ip": "2001:DB8:0::1"}, id="ipv6"),
        pytest.param({"ip": "::ffff:203.0.113.7"}, id="ipv4 in ipv6"),
        pytest.param({"ip": "::1:2"}, id="short ipv6"),
        pytest.param({"at": datetime(2026, 5, 1, 10, 30, 0, 1, tzinfo=UTC)}, id="microsecond"),
        pytest.param({"source": AuditEvent.Source.COMMAND}, id="choice"),
    ],
)
def test_what_is_read_back_is_what_was_sealed(db, columns):
    append(**columns)
    append(**columns)

    assert findings() == []


def test_a_column_that_came_later_and_is_empty_leaves_older_seals_good(db):
    """`subject_version` was not there when the first events were sealed."""
    append()
    event = AuditEvent.objects.values(*audit_chain.SEALED, "seal").get()
    assert event["subject_version"] is None

    del event["subject_version"]

    assert audit_chain.seal(event, "", audit_chain.keys()[0]) == event["seal"]
    assert audit_chain.seal(event | {"subject_version": 1}, "", audit_chain.keys()[0]) != event["seal"]


def test_an_event_costs_two_statements_more_than_itself(broker):
    append(broker=broker.pk)

    with CaptureQueriesContext(
        connection,
    ) as captured:
        append(broker=broker.pk)

    assert len(captured) == 3


def test_the_chain_is_our_affair(superuser, trader):
    audit_chain.append(actor="a", action="user.seen", subject_type="user", source="api", broker=trader.broker_id)

    [event, _] = superuser.get("audit/").json()["results"]
    assert not {"chain", "sequence", "seal", "subject_version"} & event.keys()
    for name in ("chain", "sequence", "seal", "subject_version"):
        assert_problem(superuser.get("audit/", **{name: "1"}), 400, field=name)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda ends: ends.delete(), id="delete"),
        pytest.param(lambda ends: ends.update(length=1), id="count down"),
        pytest.param(lambda ends: ends.update(seal="0" * 64), id="another seal"),
        pytest.param(lambda ends: ends.update(length=9), id="skip"),
        pytest.param(lambda ends: ends.update(chain=77, length=3), id="move"),
    ],
)
def test_the_end_of_a_chain_only_moves_on(broker, attempt):
    append(broker=broker.pk), append(broker=broker.pk)

    with pytest.raises(DatabaseError, match="only moves on"), transaction.atomic():
        attempt(AuditChain.objects.filter(pk=broker.pk))

    assert findings() == []


def test_without_its_end_a_chain_takes_no_event(broker):
    append(broker=broker.pk)
    guards.remove_triggers(None, connection.schema_editor())
    AuditChain.objects.all().delete()

    with pytest.raises(RuntimeError, match="verify_audit"), transaction.atomic():
        append(broker=broker.pk)

    assert numbers(broker.pk) == [1]


def test_writers_at_the_same_time_leave_no_gap(race):
    traders = [TraderFactory(broker=BrokerFactory()) for _ in range(2)]

    def write(number):
        for turn in range(10):
            with transaction.atomic():
                trader = traders[(number + turn) % 2]
                audit.record("user.seen", trader, by=Actor("x"), owner=trader, changes={"turn": (None, turn)})
                transaction.set_rollback(turn % 5 == 4)
        return "done"

    assert race(*(partial(write, number) for number in range(4))) == ["done"] * 4

    # Of each writer's ten turns the fifth and the tenth were rolled back: one of either trader.
    assert [numbers(trader.broker_id) for trader in traders] == [list(range(1, 17))] * 2
    assert findings() == []


@pytest.mark.django_db(transaction=True)
def test_events_that_were_there_before_are_sealed_by_the_migration():
    [before] = [name for app, name in guards.Migration.dependencies if app == "support_platform"]
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    executor.migrate([("support_platform", before)])
    try:
        old = executor.loader.project_state([("support_platform", before)]).apps.get_model(
            "support_platform", "AuditEvent"
        )
        for broker in (7, None, 8, 7, 7):
            old.objects.create(
                actor="a", action="x", subject_type="user", source="api", broker=broker, changes={"n": [5.0, {"7": 1}]}
            )
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            old.objects.all().delete()
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(leaves)

    assert {chain: numbers(chain) for chain in (0, 7, 8)} == {0: [1], 7: [1, 2, 3], 8: [1]}
    with transaction.atomic():
        append(broker=7)
    assert numbers(7) == [1, 2, 3, 4]
    assert findings() == []
    for guarded in (AuditEvent, AuditChain):
        with pytest.raises(DatabaseError), transaction.atomic():
            guarded.objects.all().delete()
