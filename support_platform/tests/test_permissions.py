"""
Who may call what, on whom: one row per call of the API, and behind each row a grid of callers by targets.

A call without a row fails, so adding a route means adding its line here. Lists and filters: test_permissions_lists.
"""

import json
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission
from django.urls import get_resolver
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts import session_operations
from accounts.tests.factories import PASSWORD, SuperuserFactory
from support_platform.audit import Actor
from support_platform.exceptions import problem
from support_platform.tests.calls import METHODS, all_calls, assert_problem
from support_platform.tests.people import STAFF, STRANGERS, grid
from support_platform.viewsets import ResourceViewSet

# What each caller gets for a target of each kind; ok is any 2xx. The columns, of which the first stands for
# people.STRANGERS and the others are people.STAFF:
#   strangers, no role, Viewer, Agent, service, Supervisor,
#   foreign Agent, foreign Supervisor, free Agent, free Supervisor, superuser
OPEN = grid("-      ok  ok  ok  ok  ok  ok   ok  ok  ok  ok  ok")
ANY_STAFF = grid("- 401 ok  ok  ok  ok  ok   ok  ok  ok  ok  ok")
LIST = grid("-      401 403 ok  ok  ok  ok   ok  ok  ok  ok  ok")
VIEWER = grid("""
    own        401 403 ok  ok  ok  ok   404 404 ok  ok  ok
    foreign    401 404 404 404 404 404  ok  ok  ok  ok  ok
    nobody     401 404 404 404 404 404  404 404 404 404 404
""")
AGENT = grid("""
    own        401 403 403 ok  ok  ok   404 404 ok  ok  ok
    foreign    401 404 404 404 404 404  ok  ok  ok  ok  ok
    nobody     401 404 404 404 404 404  404 404 404 404 404
""")
SUPERVISOR = grid("""
    own        401 403 403 403 403 ok   404 404 403 ok  ok
    foreign    401 404 404 404 404 404  403 ok  403 ok  ok
    nobody     401 404 404 404 404 404  404 404 404 404 404
""")
# For calls on accounts: staff do not exist here, not for a superuser and not for themselves.
STAFF_ARE_HIDDEN = dict.fromkeys(("peer", "superuser", "self", "gone"), VIEWER["nobody"])
# The audit trail: one's own events, and those of others for who has the right to read them.
TRAIL = grid("""
    own        401 404 404 404 404 ok   404 404 404 ok  ok
    foreign    401 404 404 404 404 404  404 ok  404 ok  ok
    self       401 ok  ok  ok  ok  ok   ok  ok  ok  ok  ok
    staff      401 404 404 404 404 ok   404 404 404 ok  ok
    free-staff 401 404 404 404 404 404  404 404 404 ok  ok
    nobody     401 404 404 404 404 404  404 404 404 404 404
""")
# To revert a change one must see it, and have the right both to revert and to the inverse.
REVERT = {target: TRAIL[target] for target in ("own", "foreign", "nobody")}
# The figures of one scope, which has no place in the path: without the right, no scope is looked for.
SCOPE = grid("""
    own        401 403 ok  ok  ok  ok   404 404 ok  ok  ok
    foreign    401 403 404 404 404 404  ok  ok  ok  ok  ok
    nobody     401 403 404 404 404 404  404 404 404 404 404
""")
SCOPE_OF_STAFF = dict.fromkeys(("peer", "self"), SCOPE["nobody"])

TABLE = [
    ("POST auth/token/", OPEN, "credentials"),
    ("POST auth/token/refresh/", OPEN, "refresh"),
    ("POST auth/token/revoke/", ANY_STAFF, {}),
    ("GET users/", LIST),
    ("GET users/{id}/", VIEWER | STAFF_ARE_HIDDEN),
    ("PATCH users/{id}/", AGENT | STAFF_ARE_HIDDEN, {"phone": "+4915112345678"}),
    ("PATCH users/{id}/", AGENT | STAFF_ARE_HIDDEN, {"email": "new@demo.example", "verified": False}),
    ("PATCH users/{id}/", SUPERVISOR | STAFF_ARE_HIDDEN, {"email": "new@demo.example", "verified": True}),
    ("PUT users/{id}/status/", AGENT | STAFF_ARE_HIDDEN, {"status": "inactive"}),
    ("PUT users/{id}/status/", AGENT | STAFF_ARE_HIDDEN, {"status": "inactive", "deployments": "stop"}),
    ("POST users/{id}/password-reset/", AGENT | STAFF_ARE_HIDDEN),
    ("DELETE users/{id}/pending-email/", AGENT | STAFF_ARE_HIDDEN),
    ("GET users/{id}/timeline/", VIEWER | STAFF_ARE_HIDDEN),
    ("GET strategies/", LIST),
    ("GET strategies/{id}/", VIEWER),
    ("DELETE strategies/{id}/", SUPERVISOR),
    ("DELETE strategies/{id}/?stop_deployments=true", SUPERVISOR),
    ("POST strategies/{id}/restore/", SUPERVISOR),
    ("POST strategies/{id}/publish/", AGENT),
    ("POST strategies/{id}/unpublish/", AGENT),
    ("GET deployments/", LIST),
    ("GET deployments/{id}/", VIEWER),
    ("PATCH deployments/{id}/", AGENT, {"status": "paused"}),
    ("PATCH deployments/{id}/", SUPERVISOR, {"quantity": "2"}),
    ("PATCH deployments/{id}/", SUPERVISOR, {"status": "stopped", "capital": "1"}),
    ("GET trades/", LIST),
    ("GET trades/{id}/", VIEWER),
    ("PATCH trades/{id}/", SUPERVISOR, {"result": "7"}),
    ("GET trades/{id}/corrections/", VIEWER),
    ("GET scanners/", LIST),
    ("GET scanners/{id}/", VIEWER),
    ("DELETE scanners/{id}/", AGENT),
    ("POST scanners/{id}/restore/", AGENT),
    ("GET analytics/latency/?user=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/latency/?user_email=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/latency/?strategy=", SCOPE),
    ("GET analytics/latency/?deployment=", SCOPE),
    ("GET analytics/slippage/?user=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/slippage/?user_email=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/slippage/?strategy=", SCOPE),
    ("GET analytics/slippage/?deployment=", SCOPE),
    ("GET analytics/performance/?user=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/performance/?user_email=", SCOPE | SCOPE_OF_STAFF),
    ("GET analytics/performance/?strategy=", SCOPE),
    ("GET analytics/performance/?deployment=", SCOPE),
    ("GET audit/", ANY_STAFF),
    ("GET audit/{id}/", TRAIL),
    ("POST audit/{id}/revert/", REVERT),
    ("GET limits/", ANY_STAFF),
]

# What needs no one's right: path -> status for whoever asks. Whose link it is, the link itself says
# (accounts/tests/test_account_pages.py), and what stands below admin/ is test_permissions_console's.
OPEN_PAGES = {
    "api/schema/": 200,
    "api/docs/": 200,
    "api/": 404,
    "account/password/x/": 400,
    "account/password/": 400,
    "account/email/x/": 400,
    "account/email/": 400,
    "health/live/": 200,
    "health/ready/": 200,
}

CALLS = {str(call): call for call in all_calls()}


def is_change(call):
    """Of a row that every member of the desk can see, as events of others are not."""
    return call.method != "GET" and "{id}" in call.path and not call.path.startswith("audit/")


def body_of(call):
    """A body that the call takes: that of its first row."""
    body = next((row[2:] for row in TABLE if row[0] == str(call)), ())
    return body[0] if body and isinstance(body[0], dict) else None


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    path: str
    body: object = None

    @property
    def call(self):
        return f"{self.method} {self.path.partition('?')[0]}"

    def __str__(self):
        return f"{self.method} {self.path}{' ' + json.dumps(self.body) if isinstance(self.body, dict) else ''}"

    def address(self, world, target, actor):
        """With the target's id in its place in the path, or at the end of the query."""
        if self.path.endswith("?user_email="):
            return self.path + world.email_of(target, actor)
        if self.path.endswith("="):
            return self.path + str(world.id_of(target, SCOPES[self.path.partition("?")[2]], actor))
        return self.path.replace("{id}", str(world.id_of(target, self.path, actor))) if target else self.path

    def sent(self, world):
        if self.body == "credentials":
            return {"email": world.people["Viewer"].email, "password": PASSWORD}
        if self.body == "refresh":
            viewer = world.people["Viewer"]
            return {"refresh": session_operations.log_in(viewer, by=Actor.of(viewer))["refresh"]}
        return self.body


def line_of(text, strangers):
    """A line of a grid as {actor: what it gets}."""
    of_strangers, *of_staff = text.split()
    return dict.fromkeys(strangers, of_strangers) | dict(zip(STAFF, of_staff, strict=True))


def outcome_of(answer):
    """ok, or the status of a refusal, which has one body whatever is behind it."""
    if 200 <= answer.status_code < 300:
        return "ok"
    shown = assert_problem(answer, answer.status_code)
    if answer.status_code in (401, 403, 404):
        assert shown == problem(answer.status_code, request_id=shown["request_id"])
    assert "ETag" not in answer
    return str(answer.status_code)


SCOPES = {"user=": "users", "strategy=": "strategies", "deployment=": "deployments"}
ROWS = [(Row(*call.split(" ", 1), *body), targets) for call, targets, *body in TABLE]
LINES = [
    # Who is turned away at the door is so before any row is looked at; on other rows one of them stands for all.
    pytest.param(
        row, target, line_of(line, STRANGERS if target in ("", "own") else STRANGERS[:1]), id=f"{row} {target}"
    )
    for row, targets in ROWS
    for target, line in targets.items()
]
READS = [line for line in LINES if line.values[0].method == "GET" and line.values[1] in ("", "own", "foreign")]
WRITES = [line for line in LINES if line.values[0].method != "GET" and line.values[1] in ("own", "foreign", "self")]


def test_every_call_has_its_row():
    assert CALLS.keys() - {row.call for row, _ in ROWS} == set()


def test_every_row_has_its_call():
    assert {row.call for row, _ in ROWS} - CALLS.keys() == set()


def test_every_call_on_a_row_is_tried_on_those_out_of_reach():
    for row, targets in ROWS:
        if "{id}" in row.path:
            assert {"own", "foreign", "nobody"} <= targets.keys(), row
        if row.path.startswith("users/{id}/"):
            assert STAFF_ARE_HIDDEN.keys() <= targets.keys(), row


def test_the_table_is_large_enough():
    assert sum(len(line.values[2]) for line in LINES) >= 600


@pytest.mark.parametrize(("row", "target", "line"), LINES)
def test_permissions(row, target, line, world):
    seen = {}
    for actor in line:
        with world.moment():
            body = row.sent(world)
            # A key on every write: what is refused must leave no record of it either.
            headers = {"Idempotency-Key": "once"} if row.method != "GET" else {}
            answer = world.api(actor).call(row.method, row.address(world, target, actor), body, headers=headers)

            seen[actor] = outcome_of(answer)
            if seen[actor] != "ok":
                is_attempt = seen[actor] == "404" and row.method != "GET" and row.path.startswith("users/")
                world.assert_nothing_kept(attempts=1 if is_attempt else 0)
            elif row.method == "GET":
                world.assert_nothing_kept()
            elif target:
                changes, refused = world.told()
                assert ([event.actor_id for event in changes], refused) == ([world.people[actor].pk], []), actor
    assert seen == line


@pytest.mark.parametrize(("row", "target", "line"), WRITES)
def test_a_dry_run_takes_the_same_right_and_leaves_no_trace(row, target, line, world):
    seen = {}
    for actor in ("Viewer", "Agent", "Supervisor", "foreign Supervisor", "superuser"):
        with world.moment():
            address = row.address(world, target, actor)
            address += ("&" if "?" in address else "?") + "dry_run=true"
            answer = world.api(actor).call(row.method, address, row.body)

            seen[actor] = outcome_of(answer)
            assert seen[actor] != "ok" or answer.json()["dry_run"] is True
            world.assert_nothing_kept()
    assert seen == {actor: line[actor] for actor in seen}


@pytest.mark.parametrize(("row", "target", "line"), READS)
def test_head_tells_no_more_than_get(row, target, line, world):
    expected = {actor: line[actor] for actor in ("anonymous", "no role", "Viewer", "foreign Agent")}
    seen = {}
    for actor in expected:
        answer = world.api(actor).call("HEAD", row.address(world, target, actor))

        seen[actor] = "ok" if answer.status_code == 200 else str(answer.status_code)
        assert answer.content == b""
    assert seen == expected
    world.assert_nothing_kept()


@pytest.mark.parametrize("path", sorted({call.path for call in CALLS.values()}))
def test_other_methods_are_refused_whatever_the_row(path, world):
    allowed = {call.method for call in CALLS.values() if call.path == path}
    expected = dict.fromkeys(("anonymous", "no role", "superuser"), "405")
    if not path.startswith("auth/"):
        expected["anonymous"] = "401"

    for method in sorted({*METHODS, "OPTIONS", "TRACE"} - allowed):
        for target in ("foreign", "nobody") if "{id}" in path else ("",):
            with world.moment():
                address = Row(method, path).address(world, target, "superuser")
                answers = {actor: world.api(actor).call(method, address) for actor in expected}

                assert {actor: outcome_of(answer) for actor, answer in answers.items()} == expected
                taken = {*answers["superuser"]["Allow"].split(", ")}
                assert taken == allowed | ({"HEAD"} if "GET" in allowed else set())
                world.assert_nothing_kept()


def test_every_other_route_is_named():
    patterns = [pattern for pattern in get_resolver().url_patterns if pattern.pattern.match("admin/") is None]
    patterns = [pattern for pattern in patterns if not str(pattern.pattern).startswith("api/v1/")]

    unnamed = [p for p in patterns if not any(p.pattern.match(path) for path in OPEN_PAGES)]

    assert unnamed == []


@pytest.mark.parametrize("actor", ["anonymous", "deactivated", "trader", "no role", "superuser"])
@pytest.mark.parametrize("path", OPEN_PAGES)
def test_open_pages_are_the_same_for_everyone(path, actor, world):
    answers = [world.api(actor).get(f"/{path}"), world.console(actor).get(f"/{path}")]

    assert {answer.status_code for answer in answers} == {OPEN_PAGES[path]}
    world.assert_nothing_kept()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_view_that_names_no_right_is_refused_even_for_a_superuser(method):
    class Forgotten(ResourceViewSet):
        def list(self, request):
            raise AssertionError("reached")

        create = list

    request = getattr(APIRequestFactory(), method)("/")
    request.request_id = "r"
    force_authenticate(request, SuperuserFactory())

    answer = Forgotten.as_view({"get": "list", "post": "create"})(request)

    assert answer.status_code == 403


@pytest.mark.django_db
def test_rights_open_nothing_to_who_is_no_staff(trader):
    """No token is given to a trader; were there one, and all rights given by mistake, it would still open nothing."""
    trader.user_permissions.set(Permission.objects.all())
    request = APIRequestFactory().get("/")
    request.request_id = "r"
    force_authenticate(request, trader)

    lists = [call for call in all_calls() if call.method == "GET" and call.action == "list"]

    answers = [call.view.as_view({"get": "list"})(request) for call in lists]

    assert {answer.status_code for answer in answers} == {403}


@pytest.mark.parametrize("call", [pytest.param(call, id=str(call)) for call in all_calls() if is_change(call)])
def test_who_may_not_is_told_so_whatever_the_body(call, viewer, samples):
    assert viewer.call(call.method, call.address(samples), {"nonsense": True}).status_code == 403


@pytest.mark.parametrize("call", [pytest.param(call, id=str(call)) for call in all_calls()])
def test_no_view_goes_without_the_house_rules(call):
    """Only the calls on tokens may set permissions of their own."""
    if not call.path.startswith("auth/"):
        assert [cls.__name__ for cls in call.view.permission_classes] == ["HasRight"]
        assert call.view.rights.get(call.action or call.method.lower()) is not None
        assert [cls.__name__ for cls in call.view.throttle_classes] == ["CallerThrottle"]
