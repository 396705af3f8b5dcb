"""What stands on every answer, by the area it comes from: policies, caching, cookies; and when a session ends."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import get_resolver

from accounts.tests.browser import link_in, open_form, path_of
from accounts.tests.factories import PASSWORD
from support_platform.middleware import (
    API_CONTENT_SECURITY_POLICY,
    CONSOLE_CONTENT_SECURITY_POLICY,
    CONTENT_SECURITY_POLICY,
    DOCS_CONTENT_SECURITY_POLICY,
)
from support_platform.tests.console import Console
from support_platform.views import not_found

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}
# Area -> its policy, and addresses with the status each answers to a stranger. Every area of urls.py must be here.
AREAS = {
    "api/v1": (
        API_CONTENT_SECURITY_POLICY,
        {"/api/v1/users/": 401, "/api/v1/nothing/": 404, "/api": 404},
    ),
    "api/schema": (API_CONTENT_SECURITY_POLICY, {"/api/schema/": 200}),
    "api/docs": (DOCS_CONTENT_SECURITY_POLICY, {"/api/docs/": 200}),
    "admin": (
        CONSOLE_CONTENT_SECURITY_POLICY,
        {
            "/admin/": 302,
            "/admin/login/": 200,
            "/admin/jsi18n/": 302,
            "/admin/nothing/": 302,
            "/admin/accounts/user/": 302,
        },
    ),
    "account": (
        CONTENT_SECURITY_POLICY,
        {f"/account/{page}/{token}": 400 for page in ("password", "email") for token in ("", "junk/")},
    ),
    "health": (API_CONTENT_SECURITY_POLICY, {"/health/live/": 200, "/health/ready/": 200}),
    "static": (
        API_CONTENT_SECURITY_POLICY,
        {"/static/support_platform/console.css": 200, "/static/nothing.css": 404},
    ),
    "": (CONTENT_SECURITY_POLICY, {"/": 404, "/nothing": 404, "/admin": 301, "/.git/config": 404}),
}
CASES = [
    pytest.param(path, policy, status, id=path) for policy, paths in AREAS.values() for path, status in paths.items()
]
pytestmark = pytest.mark.django_db


def browser():
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def production(settings):
    """What production sets of it, for browsers made from now on."""
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^health/"]
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True


def test_every_area_is_in_the_table():
    paths = [str(pattern.pattern) for pattern in get_resolver().url_patterns if pattern.callback is not not_found]

    assert [path for path in paths if not path.startswith(tuple(area for area in AREAS if area))] == []


def assert_headers(answer, policy):
    assert {name: answer.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert answer["Content-Security-Policy"] == policy
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["X-Request-ID"]
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
    assert "Server" not in answer and "X-Powered-By" not in answer


@pytest.mark.parametrize(("path", "policy", "status"), CASES)
def test_every_answer_carries_its_areas_policies(path, policy, status):
    answer = browser().get(path)

    assert answer.status_code == status
    assert_headers(answer, policy)
    stored = "max-age=60, public" if path.endswith("console.css") else "no-store"
    assert stored in answer["Cache-Control"] or path == "/admin/jsi18n/"


@pytest.mark.parametrize(("path", "policy", "status"), CASES)
def test_what_is_refused_before_the_views_carries_them_too(path, policy, status):
    refused = [
        browser().get(path, headers={"Host": "evil.example"}),
        browser().get(f"{path}?a=%00"),
        browser().post(path, b"x", content_type="text/plain", headers={"Content-Length": str(10**8)}),
    ]

    assert [answer.status_code for answer in refused] == [400, 400, 413]
    for answer in refused:
        assert_headers(answer, policy)
        assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("path", "policy", "status"), CASES)
def test_a_post_without_its_token_carries_them_too(path, policy, status):
    answer = browser().post(path)

    assert 400 <= answer.status_code < 500 or path.startswith("/admin")
    assert_headers(answer, policy)


@pytest.mark.parametrize(("path", "policy", "status"), CASES)
def test_a_crash_carries_them_too(path, policy, status, monkeypatch):
    for layer in ("common.CommonMiddleware.process_request", "csrf.CsrfViewMiddleware.process_view"):
        monkeypatch.setattr(f"django.middleware.{layer}", lambda *args: 1 / 0)

    answer = browser().get(path)

    assert answer.status_code == (200 if path.endswith("console.css") else 500)
    assert_headers(answer, policy)


@pytest.mark.parametrize(("path", "policy", "status"), CASES)
def test_in_production_everything_is_over_tls(path, policy, status, production):
    plain, secure = browser().get(path), browser().get(path, secure=True)

    if path.startswith("/health/"):
        assert plain.status_code == 200
    elif path.startswith("/api"):
        assert (plain.status_code, plain.json()["code"]) == (403, "https_required")
    else:
        assert (plain.status_code, plain["Location"]) == (301, f"https://testserver{path}")
    assert "Strict-Transport-Security" not in plain
    assert secure["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")
    assert_headers(plain, policy)
    assert_headers(secure, policy)
    refused = browser().get(path, secure=True, headers={"Host": "evil.example"})
    assert refused["Strict-Transport-Security"] == secure["Strict-Transport-Security"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
@pytest.mark.parametrize("path", ["/api/v1/users/", "/api/v1/auth/token/", "/admin/login/", "/health/live/"])
def test_no_other_origin_is_invited(path, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    for answer in (browser().get(path, headers=asked), browser().options(path, headers=asked)):
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


# --- personal pages are not kept --------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/support_platform/auditevent/"])
def test_console_pages_are_kept_by_nobody(supervisor, path):
    answer = Console(supervisor.user).get(path)

    assert answer.status_code == 200
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))


def test_a_traders_form_is_kept_by_nobody(agent, trader, mailoutbox):
    agent.post(f"users/{trader.pk}/password-reset/")

    page = open_form(link_in(mailoutbox[0])).page

    assert {"no-store", "private"} <= set(page["Cache-Control"].split(", "))


# --- cookies and sessions ---------------------------------------------------------------------------------
def log_in(client, user, **secure):
    client.get("/admin/login/", **secure)
    [csrf] = [morsel.value for morsel in client.cookies.values() if "csrf" in morsel.key]
    given = {"username": user.email, "password": PASSWORD, "csrfmiddlewaretoken": csrf}
    headers = {"Referer": "https://testserver/admin/login/"}
    return client.post("/admin/login/", given, headers=headers, **secure)


def test_cookies_are_for_this_server_alone(viewer, agent, trader, mailoutbox, request):
    agent.post(f"users/{trader.pk}/password-reset/")
    request.getfixturevalue("production")
    client = browser()
    assert log_in(client, viewer.user, secure=True).status_code == 302
    client.get(path_of(link_in(mailoutbox[0])), secure=True)

    cookies = {morsel.key: morsel for morsel in client.cookies.values()}

    assert set(cookies) == {"sessionid", "csrftoken", "reset_link"}
    for cookie in cookies.values():
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, True, "Lax", "")
    assert cookies["sessionid"]["path"] == cookies["csrftoken"]["path"] == "/"
    assert cookies["reset_link"]["path"] == "/account/password/"


def test_a_session_known_before_the_login_is_worth_nothing_after_it(viewer):
    client = browser()
    before = client.session
    before["planted"] = "by someone else"
    before.save()

    log_in(client, viewer.user)

    assert client.cookies["sessionid"].value != before.session_key
    assert not Session.objects.filter(pk=before.session_key).exists()


def test_a_session_ends_with_the_logout(viewer):
    client, thief = browser(), browser()
    log_in(client, viewer.user)
    thief.cookies["sessionid"] = client.cookies["sessionid"].value
    assert thief.get("/admin/").status_code == 200

    client.post("/admin/logout/", {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})

    assert thief.get("/admin/").status_code == 302


# --- sizes ------------------------------------------------------------------------------------------------
def test_forms_are_bounded_and_take_no_files(settings):
    client = Client(raise_request_exception=False)
    file = '--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nx\r\n--b--\r\n'
    fields = {f"f{number}": "" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS)}

    large = client.post("/admin/login/", b"a" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1), "text/plain")
    answers = [
        client.post("/admin/login/", fields),
        client.post("/admin/login/", {**fields, "one": "more"}),
        client.post("/admin/login/", file.replace('; filename="f.txt"', ""), "multipart/form-data; boundary=b"),
        client.post("/admin/login/", file, "multipart/form-data; boundary=b"),
    ]

    assert large.status_code == 413
    assert [answer.status_code for answer in answers] == [200, 400, 200, 400]
