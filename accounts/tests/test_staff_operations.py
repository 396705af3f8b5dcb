"""Operations on staff accounts and brokers."""

import pytest
from django.core.exceptions import PermissionDenied

from accounts import session_operations, staff_operations
from accounts.models import ApiSession, Broker, User
from accounts.tests.bearer import call, log_in
from accounts.tests.factories import BrokerFactory, StaffFactory, SuperuserFactory, TraderFactory
from support_platform.audit import Actor
from support_platform.exceptions import InvalidChange, OperationRefused, OutOfReach, StaleVersion

SYSTEM = Actor(name="command")
PASSWORD = "another 77 good one"


@pytest.fixture
def root(db):
    return Actor.of(SuperuserFactory())


def change(staff, by, **values):
    return staff_operations.change_staff(staff, by=by, **values)


def refusal(function, *args, **kwargs):
    with pytest.raises(OperationRefused) as refused:
        function(*args, **kwargs)
    return refused.value.code


# Brokers


def test_creates_a_broker_once_in_any_case(root, events):
    broker = staff_operations.create_broker("Alpha", by=root, domain="alpha.example")

    assert (broker.name, broker.domain) == ("Alpha", "alpha.example")
    assert refusal(staff_operations.create_broker, "ALPHA", by=root) == "broker_exists"
    [event] = events()
    assert (event.action, event.subject_id, event.broker) == ("broker.created", broker.pk, broker.pk)


def test_changes_a_broker(root, broker, other_broker, events):
    changed = staff_operations.change_broker(broker, by=root, name="Renamed", domain=broker.domain)

    assert (changed.name, changed.version) == ("Renamed", 2)
    assert events()[0].changes == {"name": ["Demo", "Renamed"]}
    assert refusal(staff_operations.change_broker, broker, by=root, name="oTHER") == "broker_exists"
    staff_operations.change_broker(broker, by=root, name="Renamed")
    assert len(events()) == 1


def test_many_who_make_the_same_broker_at_once_make_one(race):
    def create():
        return staff_operations.create_broker("Alpha", by=SYSTEM)

    results = race(*[create] * 6)

    assert sum(isinstance(result, Broker) for result in results) == 1, results
    assert {result.code for result in results if isinstance(result, Exception)} == {"broker_exists"}


# New accounts


def test_creates_a_trader_without_a_password(root, broker, events):
    trader = staff_operations.create_trader("New@Demo.Example", broker, by=root, first_name="Ada")

    assert (trader.email, trader.first_name, trader.is_staff) == ("new@demo.example", "Ada", False)
    assert not trader.has_usable_password()
    assert (events()[0].action, events()[0].user) == ("user.created", trader.pk)
    assert refusal(staff_operations.create_trader, "NEW@demo.example", broker, by=root) == "email_taken"


def test_creates_staff_with_a_role(root, broker, events):
    staff = staff_operations.create_staff("Staff@Desk.Example", PASSWORD, "Agent", by=root, broker=broker)

    assert log_in("staff@desk.example", PASSWORD).status_code == 200
    assert staff.has_perm("accounts.reset_password") and not staff.has_perm("trading.correct_trade")
    event = events(action="staff.created")[0]
    assert event.changes["role"] == [None, "Agent"] and event.broker == broker.pk
    assert PASSWORD not in str(event.changes) and staff.password not in str(event.changes)


def test_an_unknown_role_makes_no_account(root):
    with pytest.raises(InvalidChange, match="Agent, Supervisor, Viewer"):
        staff_operations.create_staff("staff@desk.example", PASSWORD, "Admin", by=root)

    assert not User.objects.filter(email="staff@desk.example").exists()


# Changes


def test_a_role_is_the_only_one_afterwards(root, broker, events):
    staff = StaffFactory(broker=broker, role="Supervisor")
    staff.groups.add(*StaffFactory(role="Agent").groups.all())

    change(staff, root, role="Agent")

    assert [group.name for group in staff.groups.all()] == ["Agent"]
    assert events()[0].changes == {"role": ["Agent, Supervisor", "Agent"]}
    change(staff, root, role="Agent")
    assert len(events()) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"password": PASSWORD},
        {"is_active": False},
        {"role": "Viewer"},
        {"is_superuser": True},
        {"broker": None},
    ],
)
def test_a_change_of_rights_ends_every_session(root, broker, values):
    staff = StaffFactory(broker=broker, role="Agent")
    token = session_operations.log_in(staff, by=root)["access"]
    hash_before = staff.get_session_auth_hash()

    changed = change(staff, root, **values)

    assert changed.version == 2 and changed.session_version == 2
    assert call(token).status_code == 401
    assert not ApiSession.objects.filter(revoked_at__isnull=True).exists()
    assert changed.get_session_auth_hash() != hash_before


def test_a_change_of_contact_ends_none(root, broker):
    staff = StaffFactory(broker=broker, role="Agent")
    token = session_operations.log_in(staff, by=root)["access"]

    changed = change(staff, root, email="Renamed@Desk.Example", phone="+4915112345678", last_name="New")

    assert (changed.email, changed.version) == ("renamed@desk.example", 2)
    assert call(token).status_code == 200


def test_what_changed_is_on_record_without_secrets(root, broker, events):
    staff = StaffFactory(broker=broker, role="Agent", email="a@desk.example")
    other = BrokerFactory()

    changed = change(staff, root, email="b@desk.example", password=PASSWORD, broker=other, is_active=False)

    [event] = events()
    assert (event.action, event.actor_id, event.subject_id) == ("staff.changed", root.id, staff.pk)
    assert event.changes == {
        "email": ["a@desk.example", "b@desk.example"],
        "password": [None, "changed"],
        "broker": [broker.pk, other.pk],
        "status": ["active", "inactive"],
    }
    assert changed.check_password(PASSWORD)


def test_the_same_values_again_change_nothing(root, broker, events):
    staff = StaffFactory(broker=broker, role="Agent")

    change(staff, root, email=staff.email.upper(), role="Agent", is_active=True, broker=broker, is_superuser=False)

    assert events() == [] and User.objects.get(pk=staff.pk).version == 1


def test_an_address_in_use_is_refused(root, broker, trader):
    staff = StaffFactory(broker=broker)

    assert refusal(change, staff, root, email=trader.email.upper(), role="Agent") == "email_taken"
    assert not staff.groups.exists()


def test_a_stale_version_is_refused(root, broker):
    staff = StaffFactory(broker=broker)
    staff.if_match = {5}

    with pytest.raises(StaleVersion):
        change(staff, root, last_name="New")


def test_a_field_that_is_no_contact_is_a_mistake_of_the_caller(root, broker):
    with pytest.raises(TypeError):
        change(StaffFactory(broker=broker), root, is_staff=False)


def test_a_trader_is_no_staff(root, trader):
    with pytest.raises(OutOfReach):
        change(trader, root, password=PASSWORD)


# Who may


@pytest.mark.parametrize(
    "values",
    [
        {"email": "x@desk.example"},
        {"password": PASSWORD},
        {"is_active": False},
        {"role": "Viewer"},
        {"is_superuser": True},
    ],
)
@pytest.mark.parametrize("actor", ["Supervisor", "former superuser"])
def test_only_a_superuser_changes_another_staff_member(broker, actor, values, events):
    staff = StaffFactory(broker=broker, role="Agent")
    by = Actor.of(
        StaffFactory(broker=broker, role="Supervisor") if actor == "Supervisor" else SuperuserFactory(is_active=False)
    )

    with pytest.raises(PermissionDenied):
        change(staff, by, **values)

    assert User.objects.get(pk=staff.pk).version == 1 and events() == []


@pytest.mark.parametrize(
    "values", [{"role": "Supervisor"}, {"is_superuser": True}, {"broker": None}, {"email": "x@y.example"}]
)
def test_nobody_but_a_superuser_raises_themselves(broker, values):
    staff = StaffFactory(broker=broker, role="Viewer")

    with pytest.raises(PermissionDenied):
        change(staff, Actor.of(staff), password=PASSWORD, **values)


def test_everyone_may_change_their_own_password(broker):
    staff = StaffFactory(broker=broker, role="Viewer")

    assert change(staff, Actor.of(staff), password=PASSWORD).check_password(PASSWORD)


@pytest.mark.parametrize("values", [{"is_active": False}, {"is_superuser": False}])
def test_nobody_deactivates_or_demotes_themselves(root, values):
    account = User.objects.get(pk=root.id)

    assert refusal(change, account, root, **values) == "self"
    assert refusal(change, account, root, password=PASSWORD, **values) == "self"


def test_only_a_superuser_or_the_system_makes_staff(broker):
    supervisor = Actor.of(StaffFactory(broker=broker, role="Supervisor"))

    with pytest.raises(PermissionDenied):
        staff_operations.create_staff("new@desk.example", PASSWORD, "Viewer", by=supervisor)
    assert staff_operations.create_staff("new@desk.example", PASSWORD, "Viewer", by=SYSTEM).pk


def test_an_account_that_trades_is_not_in_the_staff_list(broker):
    TraderFactory(broker=broker)

    assert not User.objects.staff().exists()
