"""The OpenAPI document: valid, complete, and true to what the API answers; and the page that shows it."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from accounts.tests.factories import PASSWORD
from support_platform.openapi import views
from support_platform.permissions import ROLES
from support_platform.tests.calls import all_calls
from support_platform.viewsets import ResourceViewSet
from trading.tests.factories import DeploymentFactory, OrderFactory, ScannerFactory, StrategyFactory, TradeFactory

METHODS = {"get", "post", "put", "patch", "delete"}
# Called without a token, and so without a right.
OPEN = {"log_in", "refresh_token", "get_schema"}
# Need credentials, and have a test of their own.
CREDENTIALS = ("auth/token/", "auth/token/refresh/")
# Bodies with which a call is answered well; a write without a line here takes none.
BODIES = {
    "update_user": {"phone": "+4915112345678"},
    "set_status": {"status": "inactive", "deployments": "pause"},
    "update_deployment": {"stop_loss_pct": 2.5, "quantity": "3"},
    "update_trade": {"result": "7.25"},
    "revoke_token": {},
}
RESOURCE_WRITES = [call for call in all_calls() if call.method != "GET" and issubclass(call.view, ResourceViewSet)]


def make():
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


@pytest.fixture(scope="module")
def document():
    return make()


@pytest.fixture(scope="module")
def operations(document):
    """By operationId, each with its method and path."""
    return {
        operation["operationId"]: {**operation, "method": method.upper(), "path": path}
        for path, found in document["paths"].items()
        for method, operation in found.items()
        if method in METHODS
    }


def whole(schema, document, *, part=False):
    """The schema with its references filled in and every object closed, so that a member not described is seen."""
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    found = dict(schema)
    for key in ("oneOf", "anyOf", "allOf"):
        if key in found:
            found[key] = [whole(one, document, part=key == "allOf") for one in found[key]]
    if "properties" in found:
        found["properties"] = {name: whole(one, document) for name, one in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = whole(found[key], document)
    if {"properties", "allOf"} & found.keys() and "additionalProperties" not in found and not part:
        found["unevaluatedProperties"] = False
    return found


def faults(value, schema, document):
    validator = Draft202012Validator(whole(schema, document), format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def followed(node, document):
    if "$ref" not in node:
        return node
    _, _, kind, name = node["$ref"].split("/")
    return document["components"][kind][name]


def parameters_of(operation, document):
    found = [followed(parameter, document) for parameter in operation["parameters"]]
    return {parameter["name"]: parameter for parameter in found}


def operation_of(call, document):
    return document["paths"][f"/api/v1/{call.path}"][call.method.lower()]


# --- valid ----------------------------------------------------------------------------------------------
def test_the_methods_of_a_path_stand_in_one_order(document):
    for path, found in document["paths"].items():
        assert list(found) == [method for method in ("get", "post", "put", "patch", "delete") if method in found], path


def test_it_is_made_without_a_warning():
    SchemaGenerator().get_schema(public=True)

    assert not GENERATOR_STATS


def test_it_is_valid_openapi_3_1(document):
    validate(document, cls=OpenAPIV31SpecValidator)
    validate_schema(document)

    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/"}]


def test_its_own_marks_are_gone(document):
    assert "x-model" not in json.dumps(document)
    assert "x-spec-enum-id" not in json.dumps(document)


# --- complete -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call", all_calls(), ids=str)
def test_every_call_is_described(call, document):
    operation = operation_of(call, document)

    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert operation["summary"]
    assert len(operation["summary"]) <= 100
    assert operation["description"]
    assert set(operation["tags"]) < {tag["name"] for tag in document["tags"]}
    assert len(operation["tags"]) == 1


@pytest.mark.parametrize("call", [call for call in all_calls() if call.action], ids=str)
def test_every_action_says_in_its_docstring_what_it_does(call):
    if call.action not in ("list", "retrieve"):
        assert getattr(call.view, call.action).__doc__


def test_operation_ids_are_unique(document, operations):
    assert len(operations) == sum(len(METHODS & found.keys()) for found in document["paths"].values())


def test_security_and_rights(operations):
    for name, operation in operations.items():
        if name in OPEN:
            assert operation["security"] == []
            assert "x-rights" not in operation
        else:
            assert {"bearerAuth": []} in operation["security"]
            assert ({} in operation["security"]) == (name == "revoke_token")
            assert set(operation.get("x-roles", ())) <= ROLES.keys()
    assert operations["delete_strategy"]["x-roles"] == ["Supervisor"]
    assert operations["reset_password"]["x-rights"] == ["accounts.reset_password"]
    assert "`accounts.reset_password` (Agent, Supervisor)" in operations["reset_password"]["description"]


def test_limits_have_the_figures_of_the_settings(settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "reset": {"target trader": ["7/h"]}}

    operation = make()["paths"]["/api/v1/users/{id}/password-reset/"]["post"]

    assert {"bucket": "reset", "key": "target trader", "limit": 7, "window_seconds": 3600} in operation["x-rate-limits"]
    assert "7 per hour per target trader (`reset`)" in operation["description"]


@pytest.mark.parametrize("is_required", [True, False])
def test_the_reason_is_required_where_the_settings_say_so(settings, is_required):
    settings.AUDIT_REASON_REQUIRED = is_required

    assert make()["components"]["parameters"]["AuditReason"]["required"] is is_required


@pytest.mark.parametrize("call", [call for call in all_calls() if call.is_list], ids=str)
def test_every_list_documents_its_filters_and_its_page(call, document):
    operation = operation_of(call, document)
    described = parameters_of(operation, document)
    named = {name: parameter for name, parameter in described.items() if parameter["in"] != "path"}

    assert named.keys() == {
        *call.view.filterset_class.base_filters,
        *("ordering", "page_size", "cursor", "include_total", "X-Request-ID"),
    }
    for parameter in named.values():
        assert parameter["description"]
        schema = followed(parameter["schema"], document)
        assert schema["type"] in ("string", "integer", "boolean")
    for name, filter_ in call.view.filterset_class.base_filters.items():
        schema = followed(named[name]["schema"], document)
        assert schema.get("enum") == (filter_.extra.get("choices") or None)
    assert named["ordering"]["schema"]["enum"] == list(call.view.orderings)
    page = whole(operation["responses"]["200"]["content"]["application/json"]["schema"], document)
    assert page["properties"].keys() == {"next", "previous", "results", "total", "total_is_capped"}
    assert page["required"] == ["next", "previous", "results"]


@pytest.mark.parametrize("call", RESOURCE_WRITES, ids=str)
def test_every_write_documents_what_all_writes_take(call, document):
    operation = operation_of(call, document)
    named = parameters_of(operation, document)

    assert {"dry_run", "Audit-Reason", "Idempotency-Key", "If-Match"} <= named.keys()
    assert {"409", "412", "422"} <= operation["responses"].keys()
    assert "ETag" in next(iter(operation["responses"].values()))["headers"]
    assert ("requestBody" in operation) == ({"413", "415"} <= operation["responses"].keys())


def test_the_page_fills_in_no_header(document):
    """Swagger UI sends a parameter's example as if the caller had written it."""
    assert not any("example" in name for part in document["components"]["parameters"].values() for name in part)


def test_bodies_take_nothing_else(document, operations):
    with_body = [operation for operation in operations.values() if "requestBody" in operation]
    for operation in with_body:
        assert operation["requestBody"]["content"].keys() == {"application/json"}
        schema = followed(operation["requestBody"]["content"]["application/json"]["schema"], document)
        assert schema["additionalProperties"] is False
        assert (schema.get("minProperties") == 1) == (operation["method"] == "PATCH")
    assert {operation["operationId"] for operation in with_body} == {
        *("update_user", "set_status", "update_deployment", "update_trade"),
        *("log_in", "refresh_token", "revoke_token"),
    }


def test_errors_are_problems(document, operations):
    for operation in operations.values():
        refused = {code: answer for code, answer in operation["responses"].items() if not code.startswith("2")}
        assert {"400", "default"} <= refused.keys()
        assert ("401" in refused) == (operation["operationId"] != "get_schema")
        for answer in refused.values():
            answer = followed(answer, document)
            [(media_type, media)] = answer["content"].items()
            assert media_type == "application/problem+json"
            assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert "X-Request-ID" in answer["headers"]
            assert media["examples"]


# --- examples -------------------------------------------------------------------------------------------
def test_every_operation_has_examples_that_fit(document, operations):
    for name, operation in operations.items():
        answers = [followed(answer, document) for answer in operation["responses"].values()]
        for part in [*answers, *([operation["requestBody"]] if "requestBody" in operation else [])]:
            for media in part["content"].values():
                assert media["examples"], name
                for example in media["examples"].values():
                    assert faults(example["value"], media["schema"], document) == [], name


def test_every_example_of_a_body_is_taken(document, db):
    for call in all_calls():
        operation = operation_of(call, document)
        if "requestBody" in operation:
            [example] = operation["requestBody"]["content"]["application/json"]["examples"].values()
            serializer = call.view.inputs[call.action] if call.action else call.view.input
            body = serializer(data=json.loads(json.dumps(example["value"]), parse_float=Decimal))
            assert body.is_valid(), body.errors


# --- true -----------------------------------------------------------------------------------------------
def check(answer, operation, document):
    """That a real answer is one the document describes: its status, its headers, its body to the last member."""
    described = operation["responses"].get(str(answer.status_code), operation["responses"]["default"])
    described = followed(described, document)
    media = described["content"][answer["Content-Type"]]
    assert faults(answer.json(), media["schema"], document) == []
    told = {header for header in document["components"]["headers"] if header in answer}
    assert told <= described["headers"].keys()
    if answer.status_code < 300:
        assert told == described["headers"].keys() - {"Idempotent-Replayed"}


@pytest.mark.parametrize("call", [call for call in all_calls() if call.path not in CREDENTIALS], ids=str)
def test_answers_are_as_described(call, document, supervisor, samples):
    operation = operation_of(call, document)
    body = BODIES.get(operation["operationId"])
    query = {"user": samples["users"].pk} if call.path.startswith("analytics/") else {}

    answer = supervisor.call(call.method, call.address(samples), body, reason="asked", **query)

    assert 200 <= answer.status_code < 300, answer.content
    check(answer, operation, document)


@pytest.mark.parametrize("call", RESOURCE_WRITES, ids=str)
def test_dry_runs_are_as_described(call, document, supervisor, samples):
    operation = operation_of(call, document)
    body = BODIES.get(operation["operationId"])

    answer = supervisor.call(call.method, call.address(samples), body, dry_run="true")

    assert answer.json()["dry_run"] is True
    schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    assert faults(answer.json(), schema, document) == []


def test_tokens_are_as_described(document, operations, anonymous, viewer):
    given = anonymous.post("auth/token/", {"email": viewer.user.email, "password": PASSWORD})
    check(given, operations["log_in"], document)
    check(anonymous.post("auth/token/", {"email": "x@desk.example", "password": "no"}), operations["log_in"], document)
    renewed = anonymous.post("auth/token/refresh/", {"refresh": given.json()["refresh"]})
    check(renewed, operations["refresh_token"], document)
    check(anonymous.post("auth/token/refresh/", {}), operations["refresh_token"], document)
    revoked = anonymous.post("auth/token/revoke/", {"refresh": renewed.json()["refresh"]})
    assert revoked.status_code == 200
    assert faults(revoked.json(), {"$ref": "#/components/schemas/Revocation"}, document) == []


def test_rows_without_anything_optional_are_as_described(document, operations, supervisor, trader):
    strategy = StrategyFactory(user=trader, symbol="", timeframe="")
    deployment = DeploymentFactory(user=trader, strategy=strategy, symbol="", quantity=None, capital=None)
    TradeFactory(deployment=deployment, closed_at=None, exit_price=None, result=None)
    ScannerFactory(user=trader)

    for name in ("users", "strategies", "deployments", "trades", "scanners"):
        answer = supervisor.get(f"{name}/", include_total="true")
        assert answer.json()["total"] == 1
        check(answer, operations[f"list_{name}"], document)


@pytest.mark.parametrize("name", ["latency", "slippage", "performance"])
def test_figures_are_as_described(name, document, operations, supervisor, trader, samples):
    at = samples["trades"].taken_at
    stamps = {"signal_at": at, "sent_at": at, "acknowledged_at": at, "filled_at": at + timedelta(milliseconds=90)}
    prices = {"expected_price": "1.1", "arrival_price": "1.1001", "filled_price": "1.1002", "filled_quantity": "1"}
    OrderFactory(user=trader, trade=samples["trades"], deployment=samples["deployments"], **stamps, **prices)
    OrderFactory(user=trader)

    answer = supervisor.get(f"analytics/{name}/", user=trader.pk, interval="day")

    assert answer.json()["series"]
    assert answer.json()["records"]
    check(answer, operations[f"get_{name}"], document)


@pytest.mark.parametrize("name", ["latency", "slippage", "performance"])
def test_figures_of_nothing_are_as_described(name, document, operations, supervisor, trader):
    """Every figure that can be null is null."""
    check(supervisor.get(f"analytics/{name}/", user=trader.pk), operations[f"get_{name}"], document)


def test_refusals_are_as_described(document, operations, supervisor, viewer, anonymous, samples, settings):
    trader, strategy = f"users/{samples['users'].pk}/", f"strategies/{samples['deployments'].strategy_id}/"
    phone = {"phone": "+4915112345678"}
    answers = [
        (400, "list_users", supervisor.get("users/", nonsense="1")),
        (400, "update_user", supervisor.patch(trader, {"id": 1})),
        (401, "get_user", anonymous.get(trader)),
        (403, "update_user", viewer.patch(trader, phone)),
        (404, "list_trades", supervisor.get("trades/", user=10**9)),
        (404, "get_user", supervisor.get("users/1000000000/")),
        (409, "delete_strategy", supervisor.delete(strategy)),
        (412, "update_user", supervisor.patch(trader, phone, if_match=99)),
        (413, "update_user", supervisor.patch(trader, {"phone": "1" * 300_000})),
        (
            415,
            "update_user",
            supervisor.client.patch("/api/v1/" + trader, "x", "text/plain", headers=supervisor.headers),
        ),
    ]
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "read": {"staff user": ["1/h"]}}
    answers.append((429, "get_user", [supervisor.get(trader) for _ in range(2)][1]))

    for status, name, answer in answers:
        assert answer.status_code == status, (name, answer.content)
        assert str(status) in operations[name]["responses"]
        described = followed(operations[name]["responses"][str(status)], document)
        assert faults(answer.json(), {"$ref": "#/components/schemas/Problem"}, document) == []
        for header in {"X-Request-ID", "Retry-After", "WWW-Authenticate", "ETag"} & described["headers"].keys():
            assert answer[header]


# --- served ---------------------------------------------------------------------------------------------
def test_the_document_is_served_without_a_token(anonymous, document):
    answer = anonymous.get("/api/schema/")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(views.document()))
    check(answer, document["paths"]["/api/schema/"]["get"], document)


def test_callers_who_come_at_once_have_it_made_once(monkeypatch):
    """By one thread: drf-spectacular fails when two are the first ones to use it."""
    made = []

    def slowly(self, public):
        time.sleep(0.05)
        made.append(public)
        return {"openapi": "3.1.1"}

    monkeypatch.setattr(SchemaGenerator, "get_schema", slowly)
    views._made.cache_clear()
    try:
        with ThreadPoolExecutor(4) as callers:
            answers = list(callers.map(lambda _: views.document(), range(4)))
    finally:
        views._made.cache_clear()

    assert answers == [{"openapi": "3.1.1"}] * 4
    assert made == [True]


def test_the_page_needs_nothing_from_elsewhere(anonymous):
    page = anonymous.get("/api/docs/")
    script = anonymous.get("/api/docs/", script="")

    assert page.status_code == script.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert script["Content-Type"] == "application/javascript"
    assert "script-src 'self';" in page["Content-Security-Policy"]
    for text in (page.content.decode(), script.content.decode()):
        assert "//" not in text.replace("/static/", "")
    assert '"validatorUrl": null' in script.content.decode()
    assert 'url: "/api/schema/"' in script.content.decode().replace("\\u002D", "-")
    assert not page.cookies
    assert not script.cookies


def test_the_files_of_the_page_are_there(anonymous):
    page = anonymous.get("/api/docs/").content.decode()

    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)

    assert len(files) == 4
    for file in files:
        assert anonymous.get(file).status_code == 200


@pytest.mark.parametrize("address", ["/api/schema/", "/api/docs/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_they_are_only_read(anonymous, address, method):
    answer = anonymous.call(method, address)

    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "method_not_allowed"
    assert answer["Allow"] == "GET, HEAD"
