"""
Who may do what with chosen rows of the console, and what its exports, searches and filters tell of rows out of reach.

An operation without a row fails. Words and grids are those of test_permissions_console.
"""

import csv

import pytest
from django.contrib import admin

from accounts.models import User
from support_platform.models import AuditEvent
from support_platform.tests.console import address, form_fields
from support_platform.tests.people import NOBODY, grid
from support_platform.tests.test_permissions_console import (
    BY_AGENT,
    BY_ROOT,
    BY_SUPERVISOR,
    CALLERS,
    LISTS,
    MODELS,
    STAFF_SEEN,
    STAFF_STAY,
    line_of,
    outcome_of,
)

# Nobody deactivates or demotes themselves: the superuser's own dialog comes back.
STAFF_CHANGED = STAFF_SEEN | grid("self door 403 403 403 403   403 403 403 page")
# The peer is the home's own colleague.
OTHER_STAFF = {target: line for target, line in STAFF_SEEN.items() if target != "peer"}
OPERATIONS = {
    "users/change_contact": BY_AGENT | STAFF_STAY,
    "users/reset_password": BY_AGENT | STAFF_STAY,
    "users/deactivate": BY_AGENT | STAFF_STAY,
    "users/treat_deployments": BY_AGENT | STAFF_STAY,
    "users/activate": BY_AGENT | STAFF_STAY,
    "users/cancel_email_change": BY_AGENT | STAFF_STAY,
    "strategies/publish": BY_AGENT,
    "strategies/unpublish": BY_AGENT,
    "strategies/delete": BY_SUPERVISOR,
    "strategies/restore": BY_SUPERVISOR,
    "deployments/change": BY_AGENT,
    "deployments/pause": BY_AGENT,
    "deployments/resume": BY_AGENT,
    "deployments/stop": BY_AGENT,
    "trades/correct": BY_SUPERVISOR,
    "scanners/delete": BY_AGENT,
    "scanners/restore": BY_AGENT,
    "staff/change": STAFF_CHANGED,
    "staff/set_password": STAFF_SEEN,
    "brokers/change": BY_ROOT | {"nobody": STAFF_SEEN["nobody"]},
    "sessions/revoke": BY_ROOT,
    "staff/end_sessions": BY_ROOT | OTHER_STAFF,
    "staff/remove_second_factor": BY_ROOT | OTHER_STAFF,
    "audit/revert": BY_SUPERVISOR,
}
# What is typed into the dialogs.
VALUES = {
    "users/change_contact": {"phone": "+4915100000001"},
    "users/deactivate": {"deployments": "leave"},
    "users/treat_deployments": {"deployments": "pause"},
    "deployments/change": {"status": "stopped"},
    "trades/correct": {"result": "99"},
    "brokers/change": {"name": "Another"},
    # Everything that makes an account another's.
    "staff/change": {"email": "evil@desk.example", "is_active": "", "is_superuser": ""},
    "staff/set_password": {"password": "another long password"},
}
OF_MANY = [
    path
    for path in OPERATIONS
    if not admin.site._registry[MODELS[path.partition("/")[0]]].operations[path.partition("/")[2]].operation.is_for_one
]
# Whom it is not for is sent back to the list.
CELLS = [
    pytest.param(path, target, line_of(line.replace("home", "list"), target), id=f"{path} {target}")
    for path, targets in OPERATIONS.items()
    for target, line in targets.items()
]


def became(answer):
    """
    As outcome_of, but the audit trail is a list like the others, for nothing here leads on to it; and a receipt is what
    was asked for.
    """
    is_back_at_trail = answer.status_code == 302 and answer["Location"] == address(AuditEvent)
    is_receipt = answer.status_code == 200 and answer.context.get("events")
    return "list" if is_back_at_trail else "ok" if is_receipt else outcome_of(answer)


def test_every_operation_has_its_row():
    operations = {
        f"{name}/{operation}" for name, model in MODELS.items() for operation in admin.site._registry[model].operations
    }

    assert operations == OPERATIONS.keys()


def sent(path, rows, world=None):
    """What the dialog sends back, filled as it is for the superuser, who sees all of it."""
    seen = " ".join(f"{pk}:{version}" for pk, version in rows)
    filled = {}
    if world and len(rows) == 1:
        name, _, operation = path.partition("/")
        url = address(MODELS[name], "operate", operation)
        with world.moment():
            asked = world.console("superuser").post(url, {"id": rows[0][0]})
            filled = form_fields(asked) if asked.status_code == 200 else {}
    return {**filled, "seen": seen, "reason": "asked by phone", **VALUES.get(path, {})}


def versioned(path, target, world, actor):
    """The target's id with the version it has, or that a page would make up."""
    name, _, operation = path.partition("/")
    pk = world.id_of(target, path, actor)
    row = MODELS[name].objects.filter(pk=pk).first()
    return pk, getattr(row, "version", 0 if name == "sessions" else 1)


@pytest.mark.parametrize(("path", "target", "line"), CELLS)
def test_operations(path, target, line, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)
    data, previewed, seen = sent(path, [versioned(path, target, world, "superuser")], world), {}, {}
    for actor in line:
        if target == "self":
            data = sent(path, [versioned(path, target, world, actor)], world)
        with world.moment():
            previewed[actor] = became(world.console(actor).post(url, {**data, "step": "preview"}))

            world.assert_nothing_kept(attempts=0 if previewed[actor] in ("door", "page") else 1)
        with world.moment():
            answer = world.console(actor).post(url, {**data, "step": "confirm"})

            seen[actor] = became(answer)
            if seen[actor] == "ok":
                changes, refused = world.told()
                assert ([event.actor_id for event in changes], refused) == ([world.people[actor].pk], []), actor
            else:
                world.assert_nothing_kept(attempts=0 if seen[actor] in ("door", "page") else 1)
    assert seen == line
    assert previewed == {actor: "page" if got == "ok" else got for actor, got in line.items()}


@pytest.mark.parametrize(("path", "target", "line"), [c for c in CELLS if c.values[1] in ("own", "foreign")])
def test_an_operation_is_offered_to_whom_it_is_allowed(path, target, line, world):
    """From the list's menu, and from the row's page: both ask why on a page first, and keep nothing yet."""
    actors = ("no role", "Viewer", "Agent", "Supervisor", "foreign Agent", "superuser")
    offered = {actor: "page" if line[actor] == "ok" else line[actor] for actor in actors}
    name, _, operation = path.partition("/")
    pk = versioned(path, target, world, "superuser")[0]
    asked = {
        address(MODELS[name]): {"action": operation, "_selected_action": [pk], "index": "0"},
        address(MODELS[name], "operate", operation): {"id": pk},
    }
    for url, data in asked.items():
        seen = {}
        for actor in offered:
            with world.moment():
                answer = world.console(actor).post(url, data)

                seen[actor] = became(answer)
                is_refused_the_list = url in LISTS and (actor == "no role" or name in ("sessions", "brokers", "staff"))
                is_attempt = seen[actor] in ("403", "list") and not is_refused_the_list
                world.assert_nothing_kept(attempts=1 if is_attempt else 0)
        assert seen == offered


@pytest.mark.parametrize("path", OF_MANY)
def test_of_several_rows_those_in_reach_are_changed_and_the_others_are_refused(path, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)
    targets = [target for target in OPERATIONS[path] if target != "self"]
    lines = {target: line_of(OPERATIONS[path][target], "") for target in targets}
    rows = [versioned(path, target, world, "superuser") for target in targets]
    for actor in CALLERS:
        with world.moment():
            answer = world.console(actor).post(url, {**sent(path, rows), "step": "confirm"})

            changes, refused = world.told()
            allowed = [target for target in targets if lines[target][actor] == "ok"]
            assert len(changes) == len(allowed), actor
            assert len(refused) == len(targets) - len(allowed), actor
            assert (answer.status_code == 403) == (lines["own"][actor] == lines["foreign"][actor] == "403")
            if not changes:
                world.assert_nothing_kept(attempts=len(targets))


@pytest.mark.parametrize("path", OPERATIONS)
def test_an_operation_takes_a_post(path, world):
    name, _, operation = path.partition("/")
    url = address(MODELS[name], "operate", operation)

    assert outcome_of(world.console("anonymous").get(url)) == "door"
    assert outcome_of(world.console("superuser").get(url)) == "405"
    world.assert_nothing_kept()


# --- exports, autocomplete ----------------------------------------------------------------------------
def permitted(world, actor, rows):
    broker = world.people[actor].broker
    return {str(row.pk) for row in rows if broker in (None, getattr(row, "user", row).broker)}


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in ("audit", "staff", "brokers", "sessions", "mails")]
)
def test_an_export_holds_exactly_the_rows_in_reach(name, world):
    model = MODELS[name]
    rows = model.objects.filter(is_staff=False) if name == "users" else model.objects.all()
    for actor in CALLERS:
        for across, chosen in (("1", [NOBODY]), ("0", [row.pk for row in rows])):
            data = {"action": "export_csv", "select_across": across, "_selected_action": chosen, "index": "0"}
            with world.moment():
                answer = world.console(actor).post(address(model), data)

                if actor == "no role":
                    assert answer.status_code == 403
                    world.assert_nothing_kept()
                    continue
                lines = csv.DictReader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines())
                assert {line["id"] for line in lines} == permitted(world, actor, rows), actor
                assert [event.actor_id for event in world.told()[0]] == [world.people[actor].pk]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("app_label=trading&model_name=strategy&field_name=user", "users"),
        ("app_label=trading&model_name=deployment&field_name=strategy", "strategies"),
        ("app_label=trading&model_name=trade&field_name=deployment", "deployments"),
        ("app_label=trading&model_name=order&field_name=trade", "trades"),
        ("app_label=accounts&model_name=user&field_name=broker", None),
    ],
)
def test_autocomplete_finds_exactly_the_rows_in_reach(field, name, world):
    for actor in CALLERS:
        answer = world.console(actor).get(f"/admin/autocomplete/?{field}&term=")

        if actor == "no role" or (name is None and actor != "superuser"):
            assert answer.status_code == 403, actor
        elif name:
            rows = MODELS[name].objects.all() if name != "users" else User.objects.filter(is_staff=False)
            assert {row["id"] for row in answer.json()["results"]} == permitted(world, actor, rows), actor
    world.assert_nothing_kept()


def test_a_filter_by_a_foreign_row_is_answered_as_one_by_no_row(world):
    for name, parameter, target in (
        ("strategies", "user", "users"),
        ("deployments", "user", "users"),
        ("deployments", "strategy", "strategies"),
        ("trades", "user", "users"),
        ("trades", "strategy", "strategies"),
        ("trades", "deployment", "deployments"),
        ("orders", "trade", "trades"),
        ("scanners", "user", "users"),
    ):
        for actor in ("Viewer", "Supervisor"):
            console, url = world.console(actor), address(MODELS[name])
            answers = [
                console.get(f"{url}?{parameter}={world.id_of(where, target, actor)}")
                for where in ("own", "foreign", "nobody")
            ]
            assert [answer.status_code for answer in answers] == [200, 404, 404], (actor, name, parameter)
