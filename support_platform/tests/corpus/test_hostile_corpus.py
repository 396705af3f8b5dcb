"""
The hostile corpus: thousands of requests made from the OpenAPI document, each with the status it must be answered with.

One test is one operation with all its cases; of values that many parameters refuse alike each gets some, with
`--every-case` all. `--case TEXT` runs only the cases whose name holds the text.
"""

import json
import re
from collections import Counter

import pytest
from django.test import Client

from accounts import session_operations
from accounts.models import Broker
from support_platform.audit import Actor
from support_platform.middleware import REQUEST_ID
from support_platform.openapi.views import document as described
from support_platform.tests.calls import BASE, all_calls, assert_problem

from .cases import cases_of
from .credentials import bad_credentials
from .kept import kept
from .operation import SECRET, Operation

OPERATIONS = [(call.method, BASE + call.path) for call in all_calls()] + [("GET", "/api/schema/")]
INSIDE = re.compile(
    r"Traceback|File \"|site-packages|\.py\b|[dD]jango|sqlite|psycopg|SELECT |INSERT |UPDATE |gunicorn|root:|Python/"
)


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(described()))


@pytest.fixture
def pair(supervisor):
    return session_operations.log_in(supervisor.user, by=Actor.of(supervisor.user))


def test_every_operation_is_in_the_corpus(document):
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}

    assert described == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(operation) for operation in OPERATIONS])
def test_it_is_refused_as_written_and_nothing_is_kept(
    method, path, document, samples, supervisor, pair, unlimited, request, record_property
):
    row = samples.get(path.split("/")[3]) if "{id}" in path else None
    operation = Operation(
        method,
        path,
        document["paths"][path][method.lower()],
        document,
        row and row.pk,
        samples["users"].pk,
        request.config.getoption("--every-case"),
    )
    wanted = request.config.getoption("--case")
    cases = [case for case in cases_of(operation, bad_credentials(pair)) if wanted in str(case)]
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    before = kept()

    faults, refusals = [], {}
    for case in cases:
        answer = send(client, case, supervisor.headers)
        faults += [f"{case}: {fault}" for fault in faults_of(case, answer)]
        if case.category == "token" and answer.status_code == 401:
            refusals.setdefault(without_id(answer), str(case))
    if kept() != before:
        faults += who_kept_something(client, cases, supervisor.headers) or ["Something was kept, by no single case."]

    for category, count in Counter(case.category for case in cases).items():
        record_property(f"hostile cases: {category}", count)
    assert not faults, f"{len(faults)} faults in {len(cases)} cases:\n" + "\n".join(faults)
    assert len(refusals) <= 1, f"These tell apart why a token is refused: {refusals}"
    assert len({str(case) for case in cases}) == len(cases), Counter(map(str, cases)).most_common(3)


def send(client, case, signed_in):
    headers = {**(signed_in if case.is_signed_in else {}), **dict(case.headers)}
    return client.generic(
        case.method,
        case.path,
        case.body,
        content_type=case.content_type,
        headers=headers,
        QUERY_STRING=case.query,
    )


def faults_of(case, answer):
    shown = answer.content.decode(errors="replace")
    if answer.status_code != case.status:
        yield f"{answer.status_code} instead of {case.status}: {shown[:300]}"
        return
    if answer.status_code >= 400:
        try:
            problem = assert_problem(answer, case.status, field=case.field)
        except AssertionError as error:
            yield f"not the problem it should be: {error!r} {shown[:300]}"
            return
        if case.status == 405 and not answer.get("Allow"):
            yield "405 without Allow"
        if case.status == 400 and not problem.get("errors"):
            yield "400 without errors"
        if leak := INSIDE.search(shown):
            yield f"shows our inside: {leak[0]!r} in {shown[:300]}"
    elif "json" not in answer["Content-Type"]:
        yield f"answers {answer['Content-Type']}"
    elif case.finds_nothing and rows_of(answer.json()):
        yield f"found something: {shown[:300]}"
    if SECRET in shown or "evil" in shown:
        yield f"echoes what it was given: {shown[:300]}"
    given = dict(case.headers).get("X-Request-ID")
    if not REQUEST_ID.fullmatch(answer["X-Request-ID"]) or answer["X-Request-ID"] == given:
        yield f"has the request id {answer['X-Request-ID']!r}"
    if "Location" in answer or answer.cookies:
        yield "redirects or sets a cookie"


def rows_of(answer):
    return answer.get("results", answer.get("records"))


def without_id(answer):
    return json.dumps({**answer.json(), "request_id": ""}, sort_keys=True)


def who_kept_something(client, cases, signed_in):
    """The same cases once more, one by one; what a first round has done already may not show again."""
    found = []
    before = kept()
    for case in cases:
        send(client, case, signed_in)
        after = kept()
        if after != before:
            changed = [label for label in after[0] if after[0][label] != before[0][label]] or ["mails"]
            found.append(f"{case}: kept something in {', '.join(changed)}")
            before = after
    return found


def test_the_fingerprint_sees_a_change(broker):
    before = kept()

    Broker.objects.filter(pk=broker.pk).update(domain="other.example")

    assert kept() != before
