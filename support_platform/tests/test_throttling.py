"""The published limits: counted exactly, told in headers, the same wherever they are shown."""

import re
import threading
from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from rest_framework.exceptions import Throttled
from rest_framework.test import APIRequestFactory

from accounts.tests.factories import PASSWORD, StaffFactory
from conftest import Api
from support_platform import throttling
from support_platform.tests.calls import all_calls, assert_problem

START = 1_800_000_000
TRIES = 64


class Clock:
    """The clock of the counters; windows end where it says, and tests need not wait for them."""

    def __init__(self):
        self.now = START

    def time(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=clock.time))
    # The cache lets counters go by its own clock: not before the test is over, however slow the machine.
    monkeypatch.setattr("django_ratelimit.core.EXPIRATION_FUDGE", 600)
    return clock


@pytest.fixture
def limit(settings):
    def set_limit(bucket, *rates, key=None):
        keys = settings.RATE_LIMITS[bucket]
        settings.RATE_LIMITS = {**settings.RATE_LIMITS, bucket: {**keys, key or next(iter(keys)): list(rates)}}

    return set_limit


def figures(answer):
    """{"RateLimit-Policy": (bucket, q, w), "RateLimit": (bucket, r, t)}, of exactly the draft's format."""
    policy = re.fullmatch(r'"([a-z]+)";q=(\d+);w=(\d+)', answer["RateLimit-Policy"])
    left = re.fullmatch(r'"([a-z]+)";r=(\d+);t=(\d+)', answer["RateLimit"])
    return (policy[1], int(policy[2]), int(policy[3])), (left[1], int(left[2]), int(left[3]))


# --- which bucket -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("call", [pytest.param(c, id=str(c)) for c in all_calls() if not c.path.startswith("auth/")])
def test_every_call_of_staff_is_counted_once_in_its_bucket(superuser, samples, limit, call):
    bucket = "analytics" if call.path.startswith("analytics/") else "read" if call.method == "GET" else "write"
    limit("read", "7/m")
    limit("write", "8/m")
    limit("analytics", "9/m")
    expected = {"read": 7, "write": 8, "analytics": 9}[bucket]
    body = None if call.method == "GET" else {"nonsense": 1}

    first, second = (figures(superuser.call(call.method, call.address(samples), body)) for _ in range(2))

    assert first[0] == (bucket, expected, 60)
    assert first[1][:2] == (bucket, expected - 1)
    assert second[1][:2] == (bucket, expected - 2)


def test_buckets_are_counted_apart(agent, trader, limit):
    limit("read", "2/m")
    limit("write", "2/m")
    limit("analytics", "2/m")
    for _ in range(2):
        assert agent.get("users/").status_code == 200
        assert agent.patch(f"users/{trader.pk}/", {"phone": None}).status_code == 200
        assert agent.get("analytics/latency/", user=trader.pk).status_code == 200

    assert_problem(agent.get("users/"), 429)
    assert_problem(agent.patch(f"users/{trader.pk}/", {"phone": None}), 429)
    assert_problem(agent.get("analytics/latency/", user=trader.pk), 429)


def test_each_staff_user_has_its_own_count_whatever_token_it_uses(agent, viewer, limit):
    limit("read", "2/m")
    again = Api(agent.user)
    assert [api.get("limits/").status_code for api in (agent, again, agent, viewer)] == [200, 200, 429, 200]


def test_head_counts_as_a_read(agent, limit):
    limit("read", "1/m")
    assert agent.call("HEAD", "users/").status_code == 200
    assert agent.call("HEAD", "users/").status_code == 429


def test_a_call_without_a_token_counts_for_nobody(anonymous, agent, limit):
    limit("read", "1/m")
    for _ in range(3):
        answer = anonymous.get("users/")
        assert_problem(answer, 401)
        assert "RateLimit" not in answer
    assert agent.get("users/").status_code == 200


# --- never one over the limit -----------------------------------------------------------------------------
@pytest.mark.parametrize("limited", [1, 20, TRIES - 1])
def test_of_many_at_once_exactly_as_many_as_the_limit_are_accepted(limit, limited):
    limit("write", f"{limited}/m")
    together, accepted, refused = threading.Barrier(TRIES), [], []

    def call():
        request = APIRequestFactory().get("/")
        together.wait()
        try:
            throttling.count(request, "write", "staff user", 1)
            accepted.append(1)
        except Throttled:
            refused.append(1)

    threads = [threading.Thread(target=call) for _ in range(TRIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(accepted), len(refused)) == (limited, TRIES - limited)


def test_a_refused_write_does_nothing(agent, trader, limit, events, mailoutbox):
    limit("write", "1/m")
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"})

    assert_problem(agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345679"}), 429)

    trader.refresh_from_db()
    assert trader.phone == "+4915112345678"
    assert len(events()) == 1


def test_a_counter_that_vanishes_between_two_commands_is_closed_not_open(agent, monkeypatch):
    def gone(*args, **kwargs):
        raise ValueError("no such key")

    agent.get("limits/")
    monkeypatch.setattr(type(caches["default"]), "incr", gone)

    assert_problem(agent.get("limits/"), 429)


# --- what is told -----------------------------------------------------------------------------------------
def test_refused_is_429_with_the_seconds_to_wait(agent, limit):
    limit("read", "1/m")
    agent.get("users/")

    answer = agent.get("users/")

    problem = assert_problem(answer, 429, code="throttled")
    assert re.fullmatch(r"[1-9][0-9]?", answer["Retry-After"])
    assert f"{answer['Retry-After']} seconds" in problem["detail"]
    assert figures(answer)[1] == ("read", 0, int(answer["Retry-After"]))


@pytest.mark.parametrize("rate", ["1/s", "1/m", "3/m", "2/5m", "1/h", "1/d"])
@pytest.mark.parametrize("offset", [0, 0.001, 17.5, 59, 59.999, 3599.5])
def test_waiting_as_long_as_told_is_always_enough_and_less_is_not(agent, limit, clock, rate, offset):
    limit("read", rate)
    clock.now = START + offset
    allowed = throttling.parse_rate(rate)[0]
    for _ in range(allowed):
        assert agent.get("limits/").status_code == 200
    wait = int(agent.get("limits/")["Retry-After"])
    assert wait <= throttling.parse_rate(rate)[1] + 1

    clock.now = START + offset + wait - 2
    if wait > 2:
        assert agent.get("limits/").status_code == 429
    clock.now = START + offset + wait
    assert agent.get("limits/").status_code == 200


@pytest.mark.parametrize("call", ["users/?nonsense=1", "users/999999/", "users/0/"])
def test_headers_stand_on_refused_answers_of_counted_calls(agent, limit, call):
    limit("read", "5/m")

    answer = agent.get(call)

    if call == "users/0/":  # no call of the API at all: nobody counts it
        assert "RateLimit" not in answer
    else:
        assert answer.status_code in (400, 404)
        assert figures(answer) == (("read", 5, 60), ("read", 4, figures(answer)[1][2]))


def test_a_call_without_the_right_is_counted_too(viewer, trader, limit):
    limit("write", "2/m")

    statuses = [viewer.patch(f"users/{trader.pk}/", {"phone": None}) for _ in range(3)]

    assert [answer.status_code for answer in statuses] == [403, 403, 429]
    assert figures(statuses[0])[1][:2] == ("write", 1)


def test_a_body_that_is_refused_is_counted_too(agent, trader, limit):
    limit("write", "2/m")

    answer = agent.patch(f"users/{trader.pk}/", {"nonsense": 1})

    assert (answer.status_code, figures(answer)[1][:2]) == (400, ("write", 1))


def test_of_several_rates_the_tightest_is_shown(agent, limit, clock):
    limit("read", "2/m", "3/h")

    assert figures(agent.get("limits/"))[0] == ("read", 2, 60)
    agent.get("limits/")
    clock.now += 61
    answer = agent.get("limits/")
    assert answer.status_code == 200
    assert figures(answer)[0] == ("read", 3, 3600)
    refused = agent.get("limits/")
    assert refused.status_code == 429
    assert figures(refused)[0] == ("read", 3, 3600)
    assert int(refused["Retry-After"]) > 60


def test_of_several_buckets_the_tightest_is_shown(agent, trader, limit):
    limit("reset", "2/m", "20/d")

    answer = agent.post(f"users/{trader.pk}/password-reset/")

    assert figures(answer)[0] == ("reset", 2, 60)
    assert figures(answer)[1][:2] == ("reset", 1)


# --- resets and logins ------------------------------------------------------------------------------------
def test_resets_are_counted_by_the_trader_not_by_the_caller(agent, supervisor, trader, samples, mailoutbox):
    for api in (agent, supervisor, agent):
        assert api.post(f"users/{trader.pk}/password-reset/").status_code == 202

    assert_problem(supervisor.post(f"users/{trader.pk}/password-reset/"), 429)
    assert len(mailoutbox) == 3


def log_in(address="203.0.113.7", email="nobody@desk.example", password="wrong"):
    return Api().client.post(
        "/api/v1/auth/token/",
        {"email": email, "password": password},
        content_type="application/json",
        REMOTE_ADDR=address,
    )


@pytest.mark.django_db
def test_logins_are_counted_by_e_mail_in_any_case():
    statuses = [
        log_in(f"203.0.113.{n}", email).status_code
        for n, email in enumerate(["a@desk.example", "A@desk.example", "a@DESK.example", "a@desk.example"] * 2)
    ]

    assert statuses == [401] * 5 + [429] * 3


@pytest.mark.django_db
def test_logins_are_counted_by_address():
    statuses = [log_in(email=f"a{n}@desk.example").status_code for n in range(12)]

    assert statuses == [401] * 10 + [429] * 2
    assert log_in("203.0.113.8").status_code == 401


@pytest.mark.django_db
def test_logins_are_counted_by_the_hour_too(clock):
    statuses = []
    for n in range(52):
        clock.now += 61 if n % 10 == 0 else 0
        statuses.append(log_in(email=f"a{n}@desk.example").status_code)

    assert statuses == [401] * 50 + [429] * 2


@pytest.mark.django_db
def test_a_right_password_is_refused_unseen_while_limited(monkeypatch):
    staff = StaffFactory(role="Viewer")
    for _ in range(5):
        log_in(email=staff.email)
    monkeypatch.setattr("accounts.views.authenticate", lambda *args, **kwargs: pytest.fail("looked at the password"))

    assert_problem(log_in("203.0.113.9", staff.email, PASSWORD), 429)


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "address"),
    [
        ("203.0.113.7", "198.51.100.1", 0, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", 1, "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", 1, "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", 2, "198.51.100.1"),
        ("10.0.0.1", "", 1, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", 2, "10.0.0.1"),
        ("10.0.0.1", "junk", 1, "0.0.0.0"),
        ("10.0.0.1", "198.51.100.1:4711", 1, "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", 1, "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0:0::1", 1, "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1, 198.51.100.1", 2, "2001:db8::1"),
        ("10.0.0.1", "::ffff:198.51.100.1", 1, "198.51.100.1"),
        ("10.0.0.1", "fe80::1%eth0", 1, "fe80::1"),
        ("10.0.0.1", " \t198.51.100.1 \t", 1, "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1,,198.51.100.1,", 1, "198.51.100.1"),
        ("10.0.0.1", ",".join(["1.1.1.1"] * 500 + ["198.51.100.1"]), 1, "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 2.2.2.2,198.51.100.1, 10.0.0.2", 3, "2.2.2.2"),
        ("10.0.0.1", "198.51.100.1:4711:1", 1, "0.0.0.0"),
        ("10.0.0.1", "198.51.100.1:port", 1, "0.0.0.0"),
        ("10.0.0.1", "[198.51.100.1", 1, "0.0.0.0"),
        ("10.0.0.1", "[]", 1, "0.0.0.0"),
        ("10.0.0.1", "[]:80", 1, "0.0.0.0"),
        ("10.0.0.1", "198.51.100.256", 1, "0.0.0.0"),
        ("10.0.0.1", "\u0661.1.1.1", 1, "0.0.0.0"),
        ("10.0.0.1", "198.51.100.1 10.0.0.2", 1, "0.0.0.0"),
        ("10.0.0.1", "unknown", 1, "0.0.0.0"),
        ("10.0.0.1", "for=198.51.100.1", 1, "0.0.0.0"),
        ("10.0.0.1", ", ,", 1, "10.0.0.1"),
        ("10.0.0.1", None, 1, "10.0.0.1"),
        ("", None, 0, "0.0.0.0"),
        ("::ffff:203.0.113.7", None, 0, "203.0.113.7"),
        ("fe80::1%eth0", None, 0, "fe80::1"),
        ("2001:db8::1", None, 0, "2001:db8::1"),
    ],
)
def test_the_client_address(settings, peer, forwarded, hops, address):
    settings.TRUSTED_PROXY_HOPS = hops
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}

    assert throttling.client_address(APIRequestFactory().get("/", REMOTE_ADDR=peer, **headers)) == address


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize(
    "header", ["HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_CLIENT_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_X_FORWARDED"]
)
def test_no_other_header_tells_the_address(settings, header, hops):
    settings.TRUSTED_PROXY_HOPS = hops
    request = APIRequestFactory().get("/", REMOTE_ADDR="203.0.113.7", **{header: "for=198.51.100.1"})

    assert throttling.client_address(request) == "203.0.113.7"


def test_an_ipv6_address_is_counted_by_its_network():
    keys = {
        throttling.address_key(APIRequestFactory().get("/", REMOTE_ADDR=address))
        for address in ("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1", "203.0.113.7", "::ffff:203.0.113.7")
    }

    assert keys == {"2001:db8::/64", "2001:db8:0:1::/64", "203.0.113.7"}


# --- the table --------------------------------------------------------------------------------------------
def test_limits_tells_every_limit_and_what_is_left(viewer, settings):
    viewer.get("users/")

    rows = viewer.get("limits/").json()["limits"]

    assert [(row["bucket"], row["key"], row["limit"], row["window_seconds"]) for row in rows] == [
        ("read", "staff user", 600, 60),
        ("write", "staff user", 120, 60),
        ("analytics", "staff user", 120, 60),
        ("login", "address", 10, 60),
        ("login", "address", 50, 3600),
        ("login", "e-mail", 5, 60),
        ("second_factor", "staff user", 5, 60),
        ("second_factor", "staff user", 30, 3600),
        ("reset", "target trader", 3, 60),
        ("reset", "target trader", 20, 86400),
    ]
    assert [row["remaining"] for row in rows] == [598, 120, 120, 10, 50, 5, 5, 30, None, None]
    assert all(1 <= row["reset_seconds"] <= row["window_seconds"] + 1 for row in rows[:8])
    assert all(row["reset_seconds"] is None for row in rows[8:])


def test_looking_at_the_limits_uses_only_a_read(viewer):
    rows = [viewer.get("limits/").json()["limits"] for _ in range(3)][-1]

    assert [row["remaining"] for row in rows][:6] == [597, 120, 120, 10, 50, 5]


@pytest.mark.parametrize("rate", ["", "0/m", "5", "5/w", "/m", "-1/m", "1.5/m", "5/0m", "5 /m", "٣/m", "unlimited"])
def test_what_is_no_rate_does_not_start(limit, rate):
    limit("read", rate)

    with pytest.raises(SystemCheckError, match="read/staff user"):
        call_command("check")


def test_a_bucket_without_a_rate_does_not_start(limit):
    limit("read")

    with pytest.raises(SystemCheckError, match="read/staff user"):
        call_command("check")
