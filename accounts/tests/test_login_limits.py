"""The limits of logging in: counted before any password is looked at, by address and by e-mail."""

import threading

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher

from accounts.models import ApiSession
from accounts.tests.factories import PASSWORD, StaffFactory
from conftest import Api

WRONG = "wrong password"


@pytest.fixture
def staff(broker):
    return StaffFactory(broker=broker, role="Agent")


@pytest.fixture
def hashed(monkeypatch):
    """Grows by one with each password hashed."""
    seen, encode = [], MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: seen.append(1) or encode(*args))
    return seen


def log_in(email, password=PASSWORD, *, peer="198.51.100.7", forwarded=None):
    api = Api()
    api.client.defaults["REMOTE_ADDR"] = peer
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return api.post("auth/token/", {"email": email, "password": password}, headers=headers)


def exhaust_address(peer="198.51.100.7", forwarded=None):
    """Ten attempts on as many accounts, so that only the address is counted up."""
    answers = [log_in(f"nobody{n}@demo.example", WRONG, peer=peer, forwarded=forwarded) for n in range(10)]
    assert {answer.status_code for answer in answers} == {401}


def test_ten_a_minute_from_one_address(staff, hashed):
    exhaust_address()
    hashed.clear()

    answer = log_in(staff.email)

    assert answer.status_code == 429
    assert hashed == []
    assert 1 <= int(answer["Retry-After"]) <= 61
    assert answer["RateLimit-Policy"] == '"login";q=10;w=60'
    assert answer["RateLimit"].startswith('"login";r=0;t=')
    assert answer.json()["code"] == "throttled"
    assert log_in(staff.email, peer="198.51.100.8").status_code == 200


def test_five_a_minute_for_one_email_from_anywhere_and_in_any_case(staff, hashed):
    for n in range(5):
        email = staff.email.upper() if n % 2 else staff.email
        assert log_in(email, WRONG, peer=f"198.51.100.{n}").status_code == 401
    hashed.clear()

    answer = log_in(staff.email, peer="198.51.100.99")

    assert answer.status_code == 429
    assert hashed == []
    assert not ApiSession.objects.exists()


def test_the_limit_tells_nothing_of_whether_the_account_is_there(staff):
    def told(email):
        answers = [log_in(email, WRONG, peer=f"203.0.113.{n}") for n in range(6)]
        return [(answer.status_code, answer["RateLimit-Policy"]) for answer in answers]

    assert told(staff.email) == told("nobody@demo.example")


def test_a_good_log_in_counts_too(staff):
    for n in range(5):
        assert log_in(staff.email, peer=f"198.51.100.{n}").status_code == 200

    assert log_in(staff.email, peer="198.51.100.99").status_code == 429


def test_fifty_an_hour_from_one_address(settings, db):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"login": {"address": ["10000/m", "50/h"], "e-mail": ["5/m"]}}
    statuses = [log_in(f"nobody{n}@demo.example", WRONG).status_code for n in range(51)]

    assert statuses == [401] * 50 + [429]


def test_what_an_untrusted_peer_says_of_itself_is_ignored(staff):
    for n in range(10):
        log_in(f"nobody{n}@demo.example", WRONG, forwarded=f"203.0.113.{n}")

    assert log_in(staff.email, forwarded="203.0.113.200").status_code == 429


@pytest.mark.parametrize(
    ("hops", "forwarded"),
    [
        (1, "203.0.113.5"),
        (1, "1.2.3.4, 203.0.113.5"),
        (2, "203.0.113.5, 10.0.0.9"),
        (2, "1.2.3.4, 203.0.113.5, 10.0.0.9"),
    ],
)
def test_of_the_forwarded_addresses_the_trusted_hops_decide(staff, settings, hops, forwarded):
    settings.TRUSTED_PROXY_HOPS = hops
    exhaust_address(peer="10.0.0.1", forwarded=forwarded)

    same = log_in(staff.email, peer="10.0.0.2", forwarded=forwarded.replace("1.2.3.4", "9.9.9.9"))
    other = log_in(staff.email, peer="10.0.0.1", forwarded=forwarded.replace("203.0.113.5", "203.0.113.6"))

    assert (same.status_code, other.status_code) == (429, 200)


def test_an_ipv6_customer_is_one_address(staff):
    for n in range(10):
        log_in(f"nobody{n}@demo.example", WRONG, peer=f"2001:db8:1:2::{n:x}")

    assert log_in(staff.email, peer="2001:db8:1:2:ffff::1").status_code == 429
    assert log_in(staff.email, peer="2001:db8:1:3::1").status_code == 200


@pytest.mark.parametrize("body", [{"password": "y"}, {"email": ["x"], "password": "y"}, {}])
def test_what_is_no_log_in_counts_against_the_address(anonymous, staff, body):
    for _ in range(10):
        assert anonymous.post("auth/token/", body).status_code == 400

    assert anonymous.post("auth/token/", body).status_code == 429


def test_never_one_more_whatever_the_concurrency(race, hashed, broker):
    lock, statuses = threading.Lock(), []

    def attempt(n):
        answer = log_in(f"nobody{n}@demo.example", WRONG)
        with lock:
            statuses.append(answer.status_code)

    race(*[lambda n=n: attempt(n) for n in range(24)])

    assert sorted(statuses) == [401] * 10 + [429] * 14
    assert len(hashed) == 10
