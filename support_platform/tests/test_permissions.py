"""
Who may call what: one row per call of the API, one column per kind of caller.

A call without a row fails, so adding a route means adding its line here.
"""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts import tokens
from accounts.models import ApiSession
from accounts.tests.factories import PASSWORD, StaffFactory, SuperuserFactory
from conftest import Api
from support_platform.models import AuditEvent
from support_platform.tests.calls import all_calls, assert_problem
from support_platform.viewsets import ResourceViewSet

# "trader" holds a token with our signature and a session in the database; "foreign" is an Agent of another broker.
CALLERS = ("anonymous", "trader", "no role", "Viewer", "Agent", "Supervisor", "foreign", "superuser")

OPEN = "           ok  ok  ok  ok  ok  ok  ok  ok"
ANY_STAFF = "      401 401 ok  ok  ok  ok  ok  ok"
VIEWER_LIST = "    401 401 403 ok  ok  ok  ok  ok"
VIEWER = "         401 401 403 ok  ok  ok  404 ok"
AGENT = "          401 401 403 403 ok  ok  404 ok"
SUPERVISOR = "     401 401 403 403 403 ok  404 ok"
# Of another's event, which only they may see who may read the trail of others.
TRAIL = "          401 401 404 404 404 ok  404 ok"

TABLE = {
    "POST auth/token/": (OPEN, "credentials"),
    "POST auth/token/refresh/": (OPEN, "refresh"),
    "POST auth/token/revoke/": (ANY_STAFF, {}),
    "GET users/": (VIEWER_LIST,),
    "GET users/{id}/": (VIEWER,),
    "PATCH users/{id}/": (AGENT, {"phone": "+4915112345678"}),
    "PUT users/{id}/status/": (AGENT, {"status": "inactive"}),
    "POST users/{id}/password-reset/": (AGENT,),
    "DELETE users/{id}/pending-email/": (AGENT,),
    "GET strategies/": (VIEWER_LIST,),
    "GET strategies/{id}/": (VIEWER,),
    "DELETE strategies/{id}/": (SUPERVISOR,),
    "POST strategies/{id}/restore/": (SUPERVISOR,),
    "POST strategies/{id}/publish/": (AGENT,),
    "POST strategies/{id}/unpublish/": (AGENT,),
    "GET deployments/": (VIEWER_LIST,),
    "GET deployments/{id}/": (VIEWER,),
    "PATCH deployments/{id}/": (AGENT, {"status": "paused"}),
    "GET trades/": (VIEWER_LIST,),
    "GET trades/{id}/": (VIEWER,),
    "PATCH trades/{id}/": (SUPERVISOR, {"result": "7"}),
    "GET trades/{id}/corrections/": (VIEWER,),
    "GET scanners/": (VIEWER_LIST,),
    "GET scanners/{id}/": (VIEWER,),
    "DELETE scanners/{id}/": (AGENT,),
    "POST scanners/{id}/restore/": (AGENT,),
    "GET analytics/latency/": (VIEWER, "of the trader"),
    "GET analytics/slippage/": (VIEWER, "of the trader"),
    "GET analytics/performance/": (VIEWER, "of the trader"),
    "GET audit/": (ANY_STAFF,),
    "GET audit/{id}/": (TRAIL,),
    "GET limits/": (ANY_STAFF,),
}
# A second row for calls whose body decides which right is asked for.
BY_BODY = [
    ("PATCH users/{id}/", SUPERVISOR, {"email": "new@demo.example", "verified": True}),
    ("PATCH deployments/{id}/", SUPERVISOR, {"quantity": "2"}),
]

CALLS = {str(call): call for call in all_calls()}
ROWS = [(name, *row) for name, row in TABLE.items() if name in CALLS]
CASES = [
    pytest.param(CALLS[name], caller, expected, body[0] if body else None, id=f"{name}-{caller}")
    for name, row, *body in ROWS + [row for row in BY_BODY if row[0] in CALLS]
    for caller, expected in zip(CALLERS, row.split(), strict=True)
]


def body_of(call):
    """A body that the call takes, as its row gives it."""
    body = TABLE[str(call)][1:]
    return body[0] if body and isinstance(body[0], dict) else None


def test_every_call_has_its_row():
    assert CALLS.keys() - TABLE.keys() == set()


def test_every_row_has_its_call():
    assert TABLE.keys() - CALLS.keys() == set()


@pytest.mark.parametrize(("call", "caller", "expected", "body"), CASES)
def test_permissions(call, caller, expected, body, broker, other_broker, samples):
    api = as_caller(caller, broker, other_broker, samples["users"])
    address = call.address(samples)
    if body == "credentials":
        body = {"email": StaffFactory(broker=broker, role="Viewer").email, "password": PASSWORD}
    elif body == "refresh":
        body = {"refresh": a_session(StaffFactory(broker=broker))[1]}
    elif body == "of the trader":
        address, body = f"{address}?user={samples['users'].pk}", None
    before = AuditEvent.objects.exclude(action__in=["user.logged_in", "user.attempt_refused"]).count()

    answer = api.call(call.method, address, body)

    if expected == "ok":
        assert 200 <= answer.status_code < 300, answer.content
    else:
        assert_problem(answer, int(expected))
        after = AuditEvent.objects.exclude(action__in=["user.logged_in", "user.attempt_refused"]).count()
        assert after == before


@pytest.mark.parametrize("name", [name for name in CALLS if "{id}" in name])
def test_a_row_out_of_reach_is_answered_as_one_that_does_not_exist(name, other_broker, samples):
    foreign = Api(StaffFactory(broker=other_broker, role="Supervisor"))
    call = CALLS[name]

    hidden = foreign.call(call.method, call.address(samples), body_of(call))
    missing = foreign.call(call.method, call.address(samples, pk=10**9), body_of(call))

    shown = assert_problem(hidden, 404)
    nothing = assert_problem(missing, 404)
    assert {**shown, "request_id": ""} == {**nothing, "request_id": ""}


@pytest.mark.parametrize("target", [StaffFactory, SuperuserFactory])
@pytest.mark.parametrize("name", [name for name in CALLS if name.split()[1].startswith("users/{id}/")])
def test_staff_accounts_do_not_exist_here_even_for_a_superuser(name, target, superuser, broker, events):
    call = CALLS[name]

    answer = superuser.call(call.method, call.address({"users": target(broker=broker)}), body_of(call))

    assert_problem(answer, 404)
    refused = [] if name.startswith("GET") else ["user.attempt_refused"]
    assert [event.action for event in events()] == refused


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


@pytest.mark.parametrize("call", [pytest.param(call, id=str(call)) for call in all_calls()])
def test_no_view_goes_without_the_house_rules(call):
    """Only the calls on tokens may set permissions of their own."""
    if not call.path.startswith("auth/"):
        assert [cls.__name__ for cls in call.view.permission_classes] == ["HasRight"]
        assert call.view.rights.get(call.action or call.method.lower()) is not None
        assert [cls.__name__ for cls in call.view.throttle_classes] == ["CallerThrottle"]


def as_caller(caller, broker, other_broker, trader):
    if caller == "anonymous":
        return Api()
    if caller == "trader":
        return Api(token=a_session(trader)[0])
    if caller == "superuser":
        return Api(SuperuserFactory())
    if caller == "foreign":
        return Api(StaffFactory(broker=other_broker, role="Agent"))
    return Api(StaffFactory(broker=broker, role=None if caller == "no role" else caller))


def a_session(user):
    """A live session as only our own server could make it: (access token, refresh token)."""
    session = ApiSession(user=user, session_version=user.session_version)
    session.expires_at = timezone.now() + timedelta(hours=1)
    refresh, session.refresh_id, _ = tokens.issue("refresh", session)
    session.save(force_insert=True)
    return tokens.issue("access", session)[0], refresh
