"""Faults of transport and syntax: each is refused before anything is done, on every call that takes a body."""

import json
import re

import pytest
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.test import Client
from redis.exceptions import RedisError

from accounts import operations
from conftest import Api
from support_platform import views
from support_platform.exceptions import RETRY_AFTER_SECONDS
from support_platform.logs import RequestFilter
from support_platform.tests.calls import BASE, METHODS, all_calls, assert_problem

JSON = "application/json"
WRITES = [call for call in all_calls() if call.method != "GET"]
READS = [call for call in all_calls() if call.method == "GET"]


@pytest.fixture
def send(superuser, samples):
    """Send raw bytes to every writing call; {call: answer}."""

    def send_all(body, content_type=JSON, **headers):
        return {
            str(call): superuser.client.generic(
                call.method,
                BASE + call.address(samples),
                body,
                content_type=content_type,
                headers={**superuser.headers, **headers},
            )
            for call in WRITES
        }

    return send_all


@pytest.fixture
def refused(send, events):
    """Every writing call refuses this body with this status, and nothing is kept."""

    def check(status, body, content_type=JSON, **headers):
        for name, answer in send(body, content_type, **headers).items():
            problem = assert_problem(answer, status)
            if status == 400:
                assert [error["code"] for error in problem["errors"]] == ["parse_error"], (name, problem)
        assert events() == []

    return check


# --- paths and methods ------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", [*METHODS, "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path",
    [
        *("nothing/", "users/1/nothing/", "users", "users/1", "users/1/password-reset", "auth/token", "users//", ""),
        *("/api", "/api/v1"),
    ],
)
def test_unknown_path_or_missing_slash_is_404_without_redirect(superuser, method, path):
    answer = superuser.call(method, path)

    assert_problem(answer, 404)
    assert "Location" not in answer


@pytest.mark.parametrize("path", ["/api/", "/api/v2/users/", "/api/v1", "/api/v1/users/%0A", "/api/v1/%C3%28/"])
def test_everything_below_api_answers_problems(anonymous, path):
    assert_problem(anonymous.get(path), 404)


def test_an_unknown_path_takes_a_post_without_csrf_token():
    answer = Client(enforce_csrf_checks=True).post("/api/v1/nothing/", {}, content_type=JSON)

    assert_problem(answer, 404)


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=call.path) for call in {c.path: c for c in all_calls()}.values()]
)
def test_unsupported_methods_are_405_and_name_those_there_are(superuser, samples, call):
    allowed = {other.method for other in all_calls() if other.path == call.path}

    for method in {*METHODS, "OPTIONS", "TRACE", "PROPFIND"} - allowed:
        answer = superuser.call(method, call.address(samples))

        problem = assert_problem(answer, 405)
        assert set(answer["Allow"].split(", ")) - {"HEAD"} == allowed, method
        assert answer["Allow"] in problem["detail"]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_method_override_is_ignored(agent, trader, header):
    answer = agent.post(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers={header: "PATCH"})

    assert_problem(answer, 405)
    trader.refresh_from_db()
    assert trader.phone is None


@pytest.mark.parametrize("call", [pytest.param(call, id=str(call)) for call in READS])
def test_head_answers_what_get_answers_without_the_body(superuser, samples, call):
    address = call.address(samples)
    query = {"user": samples["users"].pk} if call.path.startswith("analytics/") else {}

    got, headed = superuser.get(address, **query), superuser.call("HEAD", address, **query)

    assert headed.status_code == got.status_code == 200, (got.content, headed.headers)
    assert headed["Content-Type"] == got["Content-Type"]
    assert headed.get("ETag") == got.get("ETag")
    assert headed.content == b""


# --- bodies -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"phone=%2B4915112345678"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'),
        ("text/plain", b"{}"),
        ("text/json", b"{}"),
        ("application/xml", b"<a/>"),
        ("application/merge-patch+json", b"{}"),
        ("application/octet-stream", b"{}"),
        ("", b"{}"),
        ("nonsense", b"{}"),
        (f"{JSON}; charset=utf-16", "{}".encode("utf-16-le")),
        (f"{JSON}; charset=latin-1", b"{}"),
        (f'{JSON}; charset="iso-8859-1"', b"{}"),
    ],
)
def test_only_json_in_utf_8(refused, content_type, body):
    refused(415, body, content_type)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity"])
def test_no_content_encoding(refused, encoding):
    refused(415, b"{}", **{"Content-Encoding": encoding})


@pytest.mark.parametrize(
    "content_type", [JSON, f"{JSON}; charset=utf-8", f'{JSON};charset="UTF-8"', "Application/JSON"]
)
def test_json_may_be_named_in_every_usual_way(agent, trader, content_type):
    answer = agent.client.generic(
        "PATCH",
        f"{BASE}users/{trader.pk}/",
        b'{"phone": "+4915112345678"}',
        content_type=content_type,
        headers=agent.headers,
    )

    assert answer.status_code == 200, answer.content


def test_a_body_over_256_kib_is_413_before_it_is_parsed(refused, settings):
    refused(413, b"[" * (settings.MAX_BODY_BYTES + 1))


def test_a_body_of_256_kib_is_read(refused, settings):
    refused(400, b"{" + b" " * (settings.MAX_BODY_BYTES - 2) + b"]")


def test_a_body_without_a_length_is_411(agent, trader):
    answer = agent.client.generic(
        "PATCH", f"{BASE}users/{trader.pk}/", headers={**agent.headers, "Transfer-Encoding": "chunked"}
    )

    assert_problem(answer, 411)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b" ", id="blank"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"{'phone': 1}", id="single quotes"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": 1} {"b": 2}', id="two objects"),
        pytest.param(b'{"a": 01}', id="leading zero"),
        pytest.param(b'{"a": +1}', id="plus"),
        pytest.param(b'{"a": .5}', id="no zero before the point"),
        pytest.param(b'{"a": 0x10}', id="hexadecimal"),
        pytest.param(b'{"a": "\n"}', id="raw newline in a string"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="utf-16 with mark"),
        pytest.param("{}".encode("utf-16-be"), id="utf-16 without mark"),
        pytest.param("{}".encode("utf-32"), id="utf-32"),
        pytest.param(b'{"a": "\xff"}', id="not utf-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in utf-8"),
        pytest.param(b'{"a": "\xc0\x80"}', id="overlong NUL"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'[{"phone": "+4915112345678"}]', id="array of objects"),
        pytest.param(b'"text"', id="string"),
        pytest.param(b"1", id="number"),
        pytest.param(b"1.5", id="decimal"),
        pytest.param(b"null", id="null"),
        pytest.param(b"true", id="true"),
        pytest.param(b'{"a": ' * 33 + b"1" + b"}" * 33, id="33 levels of objects"),
        pytest.param(b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", id="33 levels of arrays"),
        pytest.param(b"[" * 2048, id="2 kB of brackets"),
        pytest.param(b'{"a":' * 400, id="2 kB of objects"),
        pytest.param(b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", id="1,000 levels, closed"),
        pytest.param(b"[" * 200_000, id="200 kB of brackets"),
        pytest.param(b'{"phone": "+4915112345678", "phone": "+4915112345679"}', id="duplicate key"),
        pytest.param(b'{"phone": "+4915112345678", "\\u0070hone": null}', id="duplicate key, escaped"),
        pytest.param(b'{"a": {"b": [{"c": 1, "c": 1}]}}', id="duplicate key, nested"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": Infinity}', id="Infinity"),
        pytest.param(b'{"a": -Infinity}', id="-Infinity"),
        pytest.param(b'{"a": [[NaN]]}', id="NaN, nested"),
        pytest.param(b'{"a": 1e999}', id="1e999"),
        pytest.param(b'{"a": -1E+999}', id="-1E+999"),
        pytest.param(b'{"a": 1e-999999}', id="1e-999999"),
        pytest.param(b'{"a": 1e99999999999999999999}', id="exponent of 20 digits"),
        pytest.param(b'{"a": 0e99999999999999999999}', id="zero with an exponent of 20 digits"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="5,000 digits"),
        pytest.param(b'{"a": 0.' + b"9" * 5000 + b"}", id="5,000 decimal places"),
        pytest.param(b'{"a": "\\u0000"}', id="NUL"),
        pytest.param(b'{"a": "x\\u0000y"}', id="NUL inside"),
        pytest.param(b'{"\\u0000": 1}', id="NUL in a key"),
        pytest.param(b'{"a": [{"b\\u0000": 1}]}', id="NUL in a nested key"),
        pytest.param(b'{"a": "\\ud800"}', id="lone high surrogate"),
        pytest.param(b'{"a": ["\\udfff"]}', id="lone low surrogate, nested"),
        pytest.param(b'{"\\ud83d": 1}', id="lone surrogate in a key"),
        pytest.param(b'{"a": "\\ude00\\ud83d"}', id="surrogates the wrong way round"),
    ],
)
def test_what_is_not_one_strict_json_object_is_400(refused, body):
    refused(400, body)


@pytest.mark.parametrize("text", [b'"\\ud83d\\ude00"', "😀".encode().join([b'"', b'"']), b"0", b"[[[]]]"])
def test_what_looks_odd_but_is_good_json_is_only_an_unknown_field(agent, trader, text):
    answer = agent.client.generic(
        "PATCH",
        f"{BASE}users/{trader.pk}/",
        b'{"nickname": ' + text + b"}",
        content_type=JSON,
        headers=agent.headers,
    )

    problem = assert_problem(answer, 400, field="nickname")
    assert problem["errors"][0]["code"] == "unknown"


def test_32_levels_are_read(agent, trader):
    nested = json.loads('{"a": ' * 31 + "{}" + "}" * 31)

    problem = assert_problem(agent.patch(f"users/{trader.pk}/", nested), 400, field="a")

    assert problem["errors"][0]["code"] == "unknown"


# --- query strings ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    [
        "search=%00",
        "search=a%00b",
        "%00=1",
        "search=%ED%A0%80",
        "search=%FF",
        "%C3%28=1",
        "search=%C0%80",
        "cursor=%00",
        "search=\xff",
    ],
)
def test_query_strings_are_text(superuser, samples, query):
    for call in READS:
        answer = superuser.client.get(BASE + call.address(samples), headers=superuser.headers, QUERY_STRING=query)

        assert_problem(answer, 400, field="query")


def test_thousands_of_parameters_are_400(superuser):
    assert_problem(superuser.get("users/?" + "&".join(f"a{n}=1" for n in range(1500))), 400)


# --- hosts ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "a b", "localhost@evil.example"]
)
@pytest.mark.parametrize("path", ["users/", "nothing/", "auth/token/", "/health/live/", "/account/password/"])
def test_a_host_that_is_not_ours_is_400_and_not_echoed(superuser, host, path):
    answer = superuser.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert b"evil" not in answer.content
    if not path.startswith("/"):
        assert_problem(answer, 400, code="host_not_allowed")


def test_a_forwarded_host_is_ignored(superuser, trader, foreign_trader):
    answer = superuser.get(
        "users/",
        page_size=1,
        headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Server": "evil.example", "Forwarded": "host=evil"},
    )

    assert answer.status_code == 200
    assert answer.json()["next"].startswith("http://testserver/api/v1/users/?")


# --- request ids and headers ------------------------------------------------------------------------------
@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 64])
@pytest.mark.parametrize("path", ["limits/", "nothing/"])
def test_a_good_request_id_is_kept(viewer, path, given):
    assert viewer.get(path, headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\u00e9", "a;b", "<script>", "abc\x00"])
@pytest.mark.parametrize("path", ["limits/", "nothing/", "/health/live/"])
def test_any_other_request_id_is_replaced(viewer, path, given):
    answer = viewer.get(path, headers={} if given is None else {"X-Request-ID": given})

    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-ID"])


def test_two_requests_have_two_ids(viewer):
    assert viewer.get("limits/")["X-Request-ID"] != viewer.get("limits/")["X-Request-ID"]


def test_the_request_id_stands_on_the_log_lines(viewer, caplog):
    caplog.handler.addFilter(RequestFilter())
    viewer.get("limits/", headers={"X-Request-ID": "find-me"})

    line = next(record for record in caplog.records if record.getMessage().startswith("request "))
    assert line.request_id == "find-me"


@pytest.mark.parametrize(
    ("path", "headers"),
    [("limits/", {}), ("nothing/", {}), ("limits/?x=1", {}), ("limits/", {"Host": "evil.example"})],
)
def test_security_headers_are_on_every_answer(viewer, path, headers):
    answer = viewer.get(path, headers=headers)

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer


# --- what nobody foresaw ----------------------------------------------------------------------------------
SECRET = "SELECT secret FROM vault at /srv/app.py"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_crash_is_500_and_shows_nothing(agent, trader, monkeypatch, method, caplog):
    def crash(*args, **kwargs):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(views.throttling, "standings", crash)
    monkeypatch.setattr(operations, "reset_password", crash)

    answer = agent.get("limits/") if method == "GET" else agent.post(f"users/{trader.pk}/password-reset/")

    assert_problem(answer, 500, code="internal_error")
    assert b"vault" not in answer.content
    assert SECRET in caplog.text


def test_a_crash_outside_the_views_is_500_and_shows_nothing(viewer, monkeypatch):
    def crash(*args, **kwargs):
        raise RuntimeError(SECRET)

    monkeypatch.setattr("django.middleware.csrf.CsrfViewMiddleware.process_view", crash)

    answer = viewer.get("limits/")

    assert_problem(answer, 500)
    assert b"vault" not in answer.content


def test_debug_changes_no_answer(viewer, settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.setattr(views.throttling, "standings", lambda *args: 1 / 0)

    assert_problem(viewer.get("limits/"), 500)
    assert_problem(viewer.get("nothing/"), 404)
    assert_problem(viewer.post("users"), 404)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("error", [OperationalError, InterfaceError, RedisError])
def test_a_database_or_cache_that_is_away_is_503_with_retry_after(agent, trader, monkeypatch, method, error, events):
    def fail(*args, **kwargs):
        raise error(f"could not connect: {SECRET}")

    monkeypatch.setattr(views.throttling, "standings", fail)
    monkeypatch.setattr(operations, "reset_password", fail)

    answer = agent.get("limits/") if method == "GET" else agent.post(f"users/{trader.pk}/password-reset/")

    assert_problem(answer, 503)
    assert answer["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert b"vault" not in answer.content
    assert events() == []


@pytest.mark.parametrize(("sqlstate", "status"), [("25006", 503), ("25P03", 503), ("25P02", 500), (None, 500)])
def test_a_database_that_only_reads_is_unavailable_other_internal_errors_are_ours(
    viewer, monkeypatch, sqlstate, status
):
    def fail(*args, **kwargs):
        cause = Exception()
        cause.sqlstate = sqlstate
        raise InternalError(SECRET) from cause

    monkeypatch.setattr(views.throttling, "standings", fail)

    assert_problem(viewer.get("limits/"), status)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x y", "Basic eDp5", "Bearer \xff", "x" * 4000])
def test_a_token_that_is_none_is_401_with_one_body(broker, header):
    api = Api()
    api.headers = {"Authorization": header}

    problem = assert_problem(api.get("limits/"), 401)

    assert problem["detail"].startswith("Send a valid access token")


def test_a_change_that_meets_another_in_the_database_is_409(agent, trader, monkeypatch, events):
    def fail(*args, **kwargs):
        raise IntegrityError(f"duplicate key: {SECRET}")

    monkeypatch.setattr(operations, "reset_password", fail)

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert_problem(answer, 409, code="conflict")
    assert b"vault" not in answer.content
    assert not events()
