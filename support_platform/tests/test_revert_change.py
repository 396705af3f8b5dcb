"""POST audit/{id}/revert/: the named inverse of a change, and nothing that one could not do by its own call."""

import ast
import re
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as platform_settings
from django.contrib.auth.models import Permission
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import operations as account_operations
from accounts import staff_operations
from accounts.models import User
from accounts.tests.factories import StaffFactory, TraderFactory
from conftest import Api
from support_platform import audit_chain, inverses
from support_platform.audit import Actor
from support_platform.audit_check import Check
from support_platform.models import AuditEvent
from support_platform.tests.calls import assert_problem
from trading import operations
from trading.models import Strategy
from trading.tests.factories import DeploymentFactory, ScannerFactory, StrategyFactory, TradeFactory

BY = Actor(name="colleague@desk.example", source="console")
INSTANT = timezone.now() - timedelta(days=3)
OPEN = {"closed_at": None, "exit_price": None, "result": None}


def last():
    return AuditEvent.objects.latest("id")


def revert(api, event, **kwargs):
    return api.post(f"audit/{event.pk}/revert/", **kwargs)


def state(row, *fields):
    row = type(row).objects.get(pk=row.pk)
    return [getattr(row, field) for field in fields]


def contact(**values):
    return lambda row: account_operations.change_contact(row, by=BY, **values)


def status(value, **values):
    return lambda row: account_operations.set_status(row, value, by=BY, **values)


def operation(name, **values):
    return lambda row: getattr(operations, name)(row, by=BY, **values)


def trader(broker, **values):
    return TraderFactory(broker=broker, email="jane@demo.example", **values)


def owned(factory, **values):
    return lambda broker: factory(user=TraderFactory(broker=broker), **values)


def trade(broker, **values):
    return TradeFactory(deployment__user=TraderFactory(broker=broker), **values)


WAITING = {"pending_email": "new@demo.example", "email_nonce": "n", "email_expires_at": timezone.now() + timedelta(1)}
EMAILS = ("email", "pending_email", "phone")
PARAMETERS = {"quantity": Decimal("2"), "stop_loss_pct": None, "take_profit_pct": Decimal("4.5"), "order_type": "limit"}
# The row as it begins, the change, the action of its inverse, and the columns that are then as they were.
CASES = {
    "phone": (partial(trader, phone="+4915112345678"), contact(phone=None), "user.contact_changed", EMAILS),
    "pending e-mail": (trader, contact(email="new@demo.example"), "user.email_change_cancelled", EMAILS),
    "pending e-mail and phone": (
        trader,
        contact(email="new@demo.example", phone="+4915112345678"),
        "user.contact_changed",
        EMAILS,
    ),
    "another pending e-mail": (
        partial(trader, **WAITING),
        contact(email="third@demo.example"),
        "user.contact_changed",
        EMAILS,
    ),
    "cancelled e-mail change": (
        partial(trader, **WAITING),
        lambda row: account_operations.cancel_email_change(row, by=BY),
        "user.contact_changed",
        EMAILS,
    ),
    "verified e-mail": (trader, contact(email="new@demo.example", verified=True), "user.contact_changed", EMAILS),
    "deactivated": (trader, status("inactive"), "user.activated", ("is_active", "email")),
    "activated": (partial(trader, is_active=False), status("active"), "user.deactivated", ("is_active", "email")),
    "published": (
        owned(StrategyFactory),
        operation("publish_strategy"),
        "strategy.unpublished",
        ("published_at", "deleted_at"),
    ),
    "unpublished": (
        owned(StrategyFactory, published_at=INSTANT),
        operation("unpublish_strategy"),
        "strategy.published",
        ("is_published", "deleted_at"),
    ),
    "strategy deleted": (owned(StrategyFactory), operation("delete_strategy"), "strategy.restored", ("deleted_at",)),
    "strategy restored": (
        owned(StrategyFactory, deleted_at=INSTANT),
        operation("restore_strategy"),
        "strategy.deleted",
        ("is_deleted",),
    ),
    "scanner deleted": (owned(ScannerFactory), operation("delete_scanner"), "scanner.restored", ("deleted_at",)),
    "scanner restored": (
        owned(ScannerFactory, deleted_at=INSTANT),
        operation("restore_scanner"),
        "scanner.deleted",
        ("is_deleted",),
    ),
    "paused": (
        owned(DeploymentFactory),
        operation("update_deployment", status="paused"),
        "deployment.resumed",
        ("status", "stopped_at"),
    ),
    "resumed": (
        owned(DeploymentFactory, status="paused"),
        operation("update_deployment", status="active"),
        "deployment.paused",
        ("status", "stopped_at"),
    ),
    "parameters": (
        owned(DeploymentFactory, quantity=None, stop_loss_pct=Decimal("2.500001"), capital=Decimal("0.000000000001")),
        operation("update_deployment", **PARAMETERS, max_open_trades=7, capital=Decimal("5")),
        "deployment.updated",
        (*PARAMETERS, "max_open_trades", "capital"),
    ),
    "parameters and status": (
        owned(DeploymentFactory),
        operation("update_deployment", status="paused", quantity=Decimal("3")),
        "deployment.updated",
        ("status", "quantity"),
    ),
    "trade corrected": (
        partial(trade, result=Decimal("-880.030000000001"), strike=None),
        operation("correct_trade", result=Decimal("1"), strike=Decimal("12.5"), taken_at=INSTANT - timedelta(days=900)),
        "trade.corrected",
        ("result", "strike", "taken_at", "closed_at"),
    ),
    "trade reopened": (trade, operation("correct_trade", closed_at=None), "trade.corrected", ("closed_at", "result")),
    "trade closed": (
        partial(trade, **OPEN),
        operation("correct_trade", closed_at=INSTANT, result=Decimal("7")),
        "trade.corrected",
        ("closed_at", "result"),
    ),
}


@pytest.fixture(params=CASES)
def case(request, broker):
    """A change that was made: (its subject, its event, the inverse's action, columns, what they held before)."""
    make, change, action, columns = CASES[request.param]
    row = make(broker)
    before = state(row, *columns)
    change(row)
    return row, last(), action, columns, before


# --- what it does -----------------------------------------------------------------------------------------
def test_the_inverse_puts_back_what_was(supervisor, case, events):
    row, event, action, columns, before = case
    assert state(row, *columns) != before
    answer = revert(supervisor, event, reason="a mistake")

    assert answer.status_code == 200, answer.content
    assert state(row, *columns) == before
    [told] = events(subject_type=row._meta.model_name)
    assert (told.action, told.subject_id) == (action, row.pk)
    assert told.changes["reverts"] == [None, event.pk]
    assert told.changes.keys() - {"reverts"} <= event.changes.keys() | {"deleted_at", "published_at"}
    assert (told.actor_id, told.reason, told.source) == (supervisor.user.pk, "a mistake", "api")
    assert answer.json() == supervisor.get(f"audit/{told.pk}/").json()
    assert answer["ETag"] == f'"{event.subject_version + 1}"'
    check = Check()
    check.run()
    assert check.findings == []


def test_twice_is_409_and_the_reverted_can_be_reverted(supervisor, case, events):
    row, event, _, columns, _ = case
    after = state(row, *[column for column in columns if not column.endswith("_at")])
    first = revert(supervisor, event).json()

    assert_problem(revert(supervisor, event), 409, code="moved_on")
    again = revert(supervisor, AuditEvent.objects.get(pk=first["id"]))

    assert again.status_code == 200, again.content
    assert again.json()["changes"]["reverts"] == [None, first["id"]]
    assert state(row, *[column for column in columns if not column.endswith("_at")]) == after
    assert len(events(subject_type=row._meta.model_name)) == 2


def test_a_subject_that_has_moved_on_stays_as_it_is(supervisor, case, events):
    row, event, *_ = case
    model = type(row)
    model.objects.filter(pk=row.pk).update(version=event.subject_version + 1)
    before = model.objects.filter(pk=row.pk).values().get()

    problem = assert_problem(revert(supervisor, event), 409, code="moved_on")

    assert problem["current_version"] == event.subject_version + 1
    assert model.objects.filter(pk=row.pk).values().get() == before
    assert events(subject_type=row._meta.model_name) == []


@transaction.atomic
def without_version(event):
    """The same event as one from before versions were kept."""
    names = {name for name in audit_chain.SEALED if name not in ("chain", "sequence", "subject_version")}
    return audit_chain.append(**{name: getattr(event, name) for name in names})


def test_an_event_without_a_version_is_compared_by_value(supervisor, case):
    row, event, _, columns, before = case
    old = without_version(event)
    assert old.subject_version is None

    assert revert(supervisor, old).status_code == 200
    assert state(row, *columns) == before
    assert_problem(revert(supervisor, old), 409, code="moved_on")


def test_by_value_only_what_the_event_changed_counts(supervisor, trader):
    account_operations.change_contact(trader, by=BY, phone="+4915112345678")
    event = last()
    old = without_version(event)
    account_operations.reset_password(trader, by=BY)
    assert_problem(revert(supervisor, event), 409, code="moved_on")

    assert revert(supervisor, old).status_code == 200
    assert state(trader, "phone") == [None]


def test_an_event_that_changed_nothing_leaves_nothing_to_take_back(supervisor, trader, events):
    with transaction.atomic():
        told = {"actor": "a", "action": "user.contact_changed", "subject_type": "user", "subject_id": trader.pk}
        event = audit_chain.append(**told, broker=trader.broker_id, source="api", changes={"phone": [None, None]})
    before = len(events())

    assert_problem(revert(supervisor, event), 409, code="moved_on")
    assert len(events()) == before


def test_mails_are_those_of_the_inverse(supervisor, trader, mailoutbox):
    account_operations.change_contact(trader, by=BY, email="new@demo.example")
    revert(supervisor, last())
    assert mailoutbox == []

    revert(supervisor, last())

    assert sorted(mail.to[0] for mail in mailoutbox) == sorted(["new@demo.example", trader.email])


def test_reactivation_leaves_deployments_and_tokens_ended(supervisor, trader):
    deployment = DeploymentFactory(user=trader)
    account_operations.set_status(trader, "inactive", by=BY, deployments="pause")
    version = state(trader, "session_version")

    assert revert(supervisor, last()).status_code == 200
    assert state(trader, "is_active", "session_version") == [True, *version]
    assert state(deployment, "status") == ["paused"]


def test_a_trades_corrections_tell_of_it(supervisor, broker):
    row = trade(broker)
    operations.correct_trade(row, by=BY, result=Decimal("1"))
    event = last()
    revert(supervisor, event)

    newest, oldest = supervisor.get(f"trades/{row.pk}/corrections/").json()["results"]
    assert newest["changes"] == {"result": ["1", "12.5"], "reverts": [None, event.pk]}
    assert oldest["id"] == event.pk
    assert [row["id"] for row in supervisor.get("audit/", changes="reverts").json()["results"]] == [newest["id"]]


# --- what it does not -------------------------------------------------------------------------------------
def test_what_has_no_inverse_is_409_and_says_why(supervisor, trader):
    deployment = DeploymentFactory(user=trader)
    made = [
        partial(account_operations.reset_password, trader, by=BY),
        partial(operations.update_deployment, deployment, by=BY, status="stopped"),
        partial(staff_operations.change_staff, StaffFactory(broker=trader.broker), by=BY, first_name="Kim"),
        partial(staff_operations.change_broker, trader.broker, by=BY, domain="new.example"),
    ]
    details = set()
    for make in made:
        make()
        problem = assert_problem(revert(supervisor, last()), 409, code="not_revertible")
        details.add(problem["detail"])
    assert len(details) == 4
    assert inverses.UNKNOWN in details


def test_stopped_is_final_also_along_with_parameters(supervisor, trader):
    deployment = DeploymentFactory(user=trader)
    operations.update_deployment(deployment, by=BY, status="stopped", quantity=Decimal("9"))

    problem = assert_problem(revert(supervisor, last()), 409, code="not_revertible")

    assert "final" in problem["detail"]
    assert state(deployment, "quantity") == [Decimal("9")]


def test_the_inverses_own_rules_hold(supervisor, trader):
    strategy = StrategyFactory(user=trader, published_at=INSTANT)
    operations.unpublish_strategy(strategy, by=BY)
    unpublished = last()
    account_operations.set_status(trader, "inactive", by=BY)
    assert_problem(revert(supervisor, unpublished), 409, code="owner_inactive")

    deleted = StrategyFactory(user=trader, deleted_at=INSTANT)
    operations.restore_strategy(deleted, by=BY)
    DeploymentFactory(user=trader, strategy=deleted)
    assert_problem(revert(supervisor, last()), 409, code="active_deployments")

    jane = TraderFactory(broker=trader.broker, email="jane@demo.example")
    account_operations.change_contact(jane, by=BY, email="new@demo.example", verified=True)
    TraderFactory(broker=trader.broker, email="jane@demo.example")
    assert_problem(revert(supervisor, last()), 409, code="email_taken")


# --- who may ----------------------------------------------------------------------------------------------
RIGHTS = {
    "phone": {"accounts.change_contact"},
    "verified e-mail": {"accounts.change_contact", "accounts.override_email_verification"},
    "deactivated": {"accounts.change_status"},
    "published": {"trading.publish_strategy"},
    "strategy deleted": {"trading.delete_strategy"},
    "scanner deleted": {"trading.delete_scanner"},
    "paused": {"trading.control_deployment"},
    "parameters": {"trading.change_deployment"},
    "parameters and status": {"trading.control_deployment", "trading.change_deployment"},
    "trade corrected": {"trading.correct_trade"},
}


@pytest.mark.parametrize("name", RIGHTS)
def test_it_takes_the_right_to_the_inverse_too(broker, name, events):
    make, change, *_ = CASES[name]
    change(make(broker))
    event, seeing = last(), {"support_platform.revert_change", "support_platform.view_auditevent"}

    def who_has(rights):
        staff = StaffFactory(broker=broker)
        codenames = {right.partition(".")[2] for right in rights}
        staff.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return Api(staff)

    for missing in RIGHTS[name]:
        assert_problem(revert(who_has(seeing | RIGHTS[name] - {missing}), event), 403)
    assert_problem(revert(who_has(RIGHTS[name] | seeing - {"support_platform.revert_change"}), event), 403)
    assert_problem(revert(who_has(RIGHTS[name] | {"support_platform.revert_change"}), event), 404)
    assert events(action__in=("user.logged_in",)) == events(pk__gt=event.pk)
    assert revert(who_has(seeing | RIGHTS[name]), event).status_code == 200


def test_an_event_of_another_broker_is_404(supervisor, other_broker):
    account_operations.change_contact(trader(other_broker), by=BY, phone="+4915112345678")

    assert_problem(revert(supervisor, last()), 404)
    assert_problem(supervisor.post("audit/999999999/revert/"), 404)


def test_a_subject_that_is_out_of_reach_by_now_is_404(supervisor, trader, other_broker, superuser):
    account_operations.change_contact(trader, by=BY, phone="+4915112345678")
    event = last()
    User.objects.filter(pk=trader.pk).update(broker=other_broker)

    assert_problem(revert(supervisor, event), 404)
    assert revert(superuser, event).status_code == 200


def test_an_event_about_a_trader_who_is_staff_by_now_is_404(superuser, trader):
    account_operations.change_contact(trader, by=BY, phone="+4915112345678")
    User.objects.filter(pk=trader.pk).update(is_staff=True)

    assert_problem(revert(superuser, last()), 404)
    assert state(trader, "phone") == ["+4915112345678"]


# --- as every write ---------------------------------------------------------------------------------------
@pytest.fixture
def published(trader):
    strategy = StrategyFactory(user=trader)
    operations.publish_strategy(strategy, by=BY)
    return strategy, last()


def test_a_dry_run_keeps_nothing(supervisor, published, events):
    strategy, event = published
    tried = revert(supervisor, event, dry_run="true")

    assert tried.json()["dry_run"] is True
    assert "ETag" not in tried
    assert tried.json()["changes"]["reverts"] == [None, event.pk]
    assert state(strategy, "is_published", "version") == [True, 2]
    assert events(action="strategy.unpublished") == []


def test_if_match_speaks_of_the_subject(supervisor, published, events):
    strategy, event = published
    for stale in ('"1"', '"3"', 'W/"2"', "x"):
        refused = revert(supervisor, event, headers={"If-Match": stale})
        assert_problem(refused, 412, code="stale")
        assert refused["ETag"] == '"2"'
    assert events(action="strategy.unpublished") == []

    assert revert(supervisor, event, headers={"If-Match": '"9", "2"'})["ETag"] == '"3"'
    assert_problem(revert(supervisor, event, headers={"If-Match": '"3"'}), 409, code="moved_on")
    assert_problem(revert(supervisor, event, headers={"If-Match": "*"}), 409, code="moved_on")


def test_a_key_does_it_once(supervisor, published, events):
    _, event = published
    first, second = (revert(supervisor, event, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert second["Idempotent-Replayed"] == "true"
    assert len(events(action="strategy.unpublished")) == 1
    refused = [revert(supervisor, event, headers={"Idempotency-Key": "other"}) for _ in range(2)]
    assert [answer.status_code for answer in refused] == [409, 409]
    assert refused[1]["Idempotent-Replayed"] == "true"


def test_it_takes_no_body_and_a_reason_where_one_is_required(supervisor, published, settings):
    _, event = published
    assert_problem(revert(supervisor, event, body={"force": True}), 400, field="force")
    assert_problem(revert(supervisor, event, force="true"), 400, field="force")
    settings.AUDIT_REASON_REQUIRED = True
    assert_problem(revert(supervisor, event), 400, code="reason_required")
    assert revert(supervisor, event, body={}, reason="asked").status_code == 200


def test_of_several_at_once_one_is_done(race, broker):
    strategy = StrategyFactory(user=TraderFactory(broker=broker))
    operations.publish_strategy(strategy, by=BY)
    event = last()
    staff = [Api(StaffFactory(broker=broker, role="Supervisor")) for _ in range(3)]

    answers = race(*(partial(revert, api, event) for api in staff))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "moved_on"}
    assert state(strategy, "is_published", "version") == [False, 3]
    assert AuditEvent.objects.filter(action="strategy.unpublished").count() == 1


def test_a_change_that_slips_in_before_the_lock_is_noticed(supervisor, published, monkeypatch):
    strategy, event = published
    plan = inverses.inverse_of("strategy.published").plan

    def slow(row, changes):
        Strategy.objects.filter(pk=strategy.pk).update(version=7)
        return plan(row, changes)

    found = inverses.Inverse(Strategy, slow)
    monkeypatch.setattr(inverses, "inverse_of", lambda action: found)

    assert_problem(revert(supervisor, event), 409, code="moved_on")
    assert state(strategy, "is_published") == [True]


# --- the tables -------------------------------------------------------------------------------------------
# Not of a trader's rows, or of nothing that is there to be changed back.
WITHOUT_A_WORD = {
    *("broker.created", "broker.changed", "demo.seeded", "user.service_token_created"),
    *("session.revoked", "session.reuse_detected"),
}


def recorded():
    """Every action that the code of the platform names."""
    for app in ("support_platform", "accounts", "trading"):
        for path in Path(platform_settings.BASE_DIR, app).rglob("*.py"):
            if not {"tests", "migrations", "openapi"} & {*path.parts} and path.stem not in ("inverses", "settings"):
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield from re.findall(
                            r"^(?:user|staff|broker|session|strategy|scanner|deployment|trades?|orders|demo)\.[a-z_]+ed"
                            r"(?:_[a-z]+)?$|^user\.password_reset$|^user\.logged_in$",
                            node.value,
                        )


def test_every_action_has_its_inverse_or_a_word_why_not():
    named = set().union(*(import_string(path) for path in platform_settings.AUDIT_INVERSES))

    actions = set(recorded())

    assert {"user.password_reset", "strategy.published", "deployment.paused", "trades.imported"} <= actions
    assert actions - named - WITHOUT_A_WORD == set()


def test_every_inverse_is_tried_here(broker):
    tried = set()
    for make, change, *_ in CASES.values():
        with transaction.atomic():
            change(make(broker))
            tried.add(last().action)
            transaction.set_rollback(True)
    tables = [import_string(path) for path in platform_settings.AUDIT_INVERSES]
    named = {action for table in tables for action, entry in table.items() if not isinstance(entry, str)}

    assert named - tried == {"user.email_confirmed"}


def test_a_confirmed_address_can_be_taken_back(supervisor, trader):
    account_operations.change_contact(trader, by=BY, email="new@demo.example")
    with transaction.atomic():
        told = {"actor": trader.email, "actor_id": trader.pk, "user": trader.pk, "subject_id": trader.pk}
        User.objects.filter(pk=trader.pk).update(email="new@demo.example", pending_email=None, email_nonce="")
        event = audit_chain.append(
            **told,
            action="user.email_confirmed",
            subject_type="user",
            broker=trader.broker_id,
            source="console",
            changes={"email": [trader.email, "new@demo.example"], "pending_email": ["new@demo.example", None]},
        )

    assert revert(supervisor, event).status_code == 200
    assert state(trader, "email", "pending_email") == [trader.email, None]
