"""
Schemathesis against the OpenAPI document with everyone's token: requests that fit it and requests that do not.

Needs requirements-fuzz.txt, and is left out without it. `--hypothesis-profile long` tries 12,000 requests.
"""

import json

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from support_platform.openapi.views import document
from support_platform.tests.corpus.test_hostile_corpus import OPERATIONS
from support_platform.wsgi import application

schemathesis = pytest.importorskip("schemathesis", reason="needs requirements-fuzz.txt")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

CALLERS = ("anonymous", "viewer", "agent", "supervisor", "superuser")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
]
QUICK = settings().max_examples <= 100
SOME = settings(max_examples=60 if QUICK else 2400, phases=[Phase.generate])


def checks_of(case):
    """An empty list in the query does not travel: what is wrong in the case by that alone arrives well-formed."""
    if any(value in ([], {}) for value in (case.query or {}).values()):
        return [check for check in CHECKS if check is not schemathesis.checks.negative_data_rejection]
    return CHECKS


@pytest.fixture(scope="module")
def schema():
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))
    schema.app = application
    return schema


@pytest.mark.parametrize("caller", CALLERS)
def test_it_keeps_to_its_description(caller, schema, samples, request, unlimited, tried):
    api = request.getfixturevalue(caller)
    requests = []
    for method, path in OPERATIONS:
        row = samples.get(path.split("/")[3]) if "{id}" in path else None
        known = {"path_parameters": {"id": row.pk}} if row else {}
        operation = schema[path][method]
        requests.append(operation.as_strategy(schemathesis.GenerationMode.POSITIVE, **known))
        requests.append(operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))

    @SOME
    @given(st.one_of(requests))
    def property(case):
        tried()
        with transaction.atomic():
            case.call_and_validate(base_url="http://testserver", headers=api.headers, checks=checks_of(case))
            transaction.set_rollback(True)

    property()
