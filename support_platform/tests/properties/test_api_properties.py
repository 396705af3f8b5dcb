"""
Each operation under requests that no one thought of: what comes back is always one of the answers it describes.

`--hypothesis-profile long` tries a thousand per operation; each is rolled back.
"""

import json
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from support_platform.decimals import format_decimal
from support_platform.instants import format_instant, parse_instant
from support_platform.openapi.views import document as described
from support_platform.tests.corpus.operation import Operation
from support_platform.tests.corpus.test_hostile_corpus import OPERATIONS
from support_platform.tests.test_schema import whole
from trading.models import Deployment, Trade

from . import strategies
from .answers import Described


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(described()))


@pytest.fixture
def send(supervisor, samples, unlimited):
    """Sends one request as a supervisor, gives the answer, and undoes what it did."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)

    def request(method, path, query="", body=b"", headers=None, look=lambda: None):
        client.cookies.clear()
        with transaction.atomic():
            answer = client.generic(
                method,
                path,
                body,
                content_type="application/json",
                headers={**(headers or {}), **supervisor.headers},
                QUERY_STRING=query,
            )
            seen = look()
            transaction.set_rollback(True)
        return answer, seen

    return request


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(operation) for operation in OPERATIONS])
def test_every_answer_is_a_described_one(method, path, document, samples, send, tried):
    row = samples.get(path.split("/")[3]) if "{id}" in path else None
    described = document["paths"][path][method.lower()]
    operation = Operation(method, path, described, document, row and row.pk, samples["users"].pk, True)
    known = Described(operation, whole)
    version = getattr(row, "subject_version", None) or getattr(row, "version", None)

    @given(st.data())
    def property(data):
        tried()
        address = operation.address
        if row and data.draw(st.integers(0, 9)) == 0:
            address = path.replace("{id}", data.draw(strategies.path_ids))
        query = data.draw(strategies.queries(operation.parameters["query"]))
        if operation.scope and data.draw(st.integers(0, 3)):
            query = "&".join(filter(None, [urlencode(operation.scope), query]))
        body, value = data.draw(strategies.bodies(operation.members)) if operation.is_write else (b"", None)

        answer, _ = send(method, address, query, body, data.draw(strategies.headers))

        known.check(answer)
        if operation.is_write and answer.status_code < 300 and "dry_run" not in answer.json() and "ETag" in answer:
            told = int(answer["ETag"].strip('"'))
            assert told in (version, version + 1)
            if "version" in answer.json():
                assert told == answer.json()["version"]
            assert_taken_exactly(value, answer.json())

    property()


def assert_taken_exactly(sent, answered):
    for name in {"quantity", "capital", "strike", "result"} & (sent or {}).keys():
        if sent[name] is not None and "status" not in sent:
            assert Decimal(answered[name]) == Decimal(str(sent[name]))
    for name in {"taken_at", "closed_at"} & (sent or {}).keys():
        assert answered[name] == format_instant(sent[name] and parse_instant(sent[name]))


@given(value=strategies.decimals.filter(lambda value: value > 0))
def test_a_decimal_comes_back_as_it_was_given(value, samples, send, tried):
    tried()
    deployment = samples["deployments"]
    body = json.dumps({"quantity": format_decimal(value)}).encode()

    answer, kept = send(
        "PATCH",
        f"/api/v1/deployments/{deployment.pk}/",
        body=body,
        look=lambda: Deployment.objects.get(pk=deployment.pk).quantity,
    )

    assert answer.status_code == 200, answer.content
    assert answer.json()["quantity"] == format_decimal(value)
    assert kept == value


@given(
    taken=strategies.past_instants,
    later=st.timedeltas(min_value=timedelta(0), max_value=timedelta(300)),
)
def test_an_instant_comes_back_in_utc_to_the_microsecond(taken, later, samples, send, tried):
    tried()
    trade, closed = samples["trades"], taken + later
    body = json.dumps({"taken_at": taken.isoformat(), "closed_at": closed.isoformat()}).encode()

    answer, kept = send("PATCH", f"/api/v1/trades/{trade.pk}/", body=body, look=lambda: Trade.objects.get(pk=trade.pk))

    assert answer.status_code == 200, answer.content
    assert answer.json()["taken_at"] == format_instant(taken)
    assert answer.json()["closed_at"] == format_instant(closed)
    assert (kept.taken_at, kept.closed_at) == (taken, closed)
