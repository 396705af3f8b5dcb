"""API: tokens. Log in, rotate, revoke; and every token that must not be let in."""

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client

from accounts import session_operations, tokens
from accounts.models import ApiSession, User
from accounts.tests.bearer import CALL, call, log_in, refresh, refusal_of
from accounts.tests.factories import PASSWORD, StaffFactory, TraderFactory
from conftest import Api
from support_platform.audit import Actor
from support_platform.tests.calls import assert_problem

BY = Actor(name="test")


def forge(token, key=None, algorithm="HS256", **claims):
    """A token like the given one with other claims, signed with our own key unless another is named."""
    payload = jwt.decode(token, options={"verify_signature": False}) | claims
    payload = {name: value for name, value in payload.items() if value is not ...}
    return jwt.encode(payload, settings.SIMPLE_JWT["SIGNING_KEY"] if key is None else key, algorithm=algorithm)


# Log in


def test_log_in_gives_a_pair_and_is_audited(staff, events):
    answer = log_in(staff.email.upper())

    assert answer.status_code == 200, answer.content
    assert answer.json().keys() == {"access", "refresh"}
    assert call(answer.json()["access"]).status_code == 200
    [event] = events()
    assert (event.action, event.actor_id, event.source) == ("user.logged_in", staff.pk, "api")
    assert "eyJ" not in json.dumps(event.changes)
    staff.refresh_from_db()
    assert staff.last_login is not None and staff.version == 1


def test_tokens_live_as_long_as_the_contract_says(pair):
    claims = {kind: jwt.decode(token, options={"verify_signature": False}) for kind, token in pair.items()}

    assert claims["access"]["exp"] - claims["access"]["iat"] == 15 * 60
    assert claims["refresh"]["exp"] - claims["refresh"]["iat"] == 24 * 3600


def test_a_token_that_was_read_before_expires_all_the_same(pair, monkeypatch):
    ends = jwt.decode(pair["access"], options={"verify_signature": False})["exp"]
    assert call(pair["access"]).status_code == 200

    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: ends - 0.5))
    assert call(pair["access"]).status_code == 200
    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: ends))
    assert call(pair["access"]).status_code == 401


def test_every_refused_log_in_is_told_the_same(staff, broker):
    inactive = StaffFactory(broker=broker, is_active=False)
    unusable = User.objects.create_user("unset@desk.example", None, is_staff=True)
    attempts = [
        (staff.email, "wrong password"),
        ("nobody@demo.example", PASSWORD),
        (inactive.email, PASSWORD),
        (unusable.email, PASSWORD),
        (TraderFactory(broker=broker).email, PASSWORD),
    ]

    told = [refusal_of(log_in(*attempt)) for attempt in attempts]

    assert all(words == told[0] for words in told)
    assert staff.email not in json.dumps(told)
    assert not ApiSession.objects.exists()


def test_every_refused_log_in_does_the_same_work(staff, broker, monkeypatch):
    hashed = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *args: hashed.append(1) or encode(*args))
    inactive = User.objects.create_user("gone@desk.example", PASSWORD, is_staff=True, is_active=False)
    unusable = User.objects.create_user("unset@desk.example", None, is_staff=True)
    trader = TraderFactory(broker=broker)
    work = []
    for email, password in (
        (staff.email, "wrong"),
        ("nobody@demo.example", PASSWORD),
        (inactive.email, PASSWORD),
        (trader.email, PASSWORD),
        (unusable.email, PASSWORD),
    ):
        hashed.clear()
        log_in(email, password)
        work.append(len(hashed))

    assert work == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "a@demo.example"}, "password"),
        ({"password": "x"}, "email"),
        ({"email": "a@demo.example", "password": ""}, "password"),
        ({"email": "a@demo.example", "password": "x" * 1001}, "password"),
        ({"email": "a@demo.example", "password": 12}, "password"),
        ({"email": ["a@demo.example"], "password": "x"}, "email"),
        ({"email": "a@demo.example", "password": "x", "otp": "1"}, "otp"),
    ],
)
def test_a_log_in_that_is_no_log_in(anonymous, body, field):
    answer = anonymous.post("auth/token/", body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "x" * 20 not in answer.content.decode()


# Rotation


def test_a_refresh_gives_a_new_pair_of_the_same_session(staff, pair):
    answer = refresh(pair["refresh"])

    assert answer.status_code == 200
    assert call(answer.json()["access"]).status_code == 200
    assert call(pair["access"]).status_code == 200  # until it expires
    assert ApiSession.objects.filter(user=staff).count() == 1


def test_a_refresh_token_used_again_kills_the_family(staff, pair, events):
    renewed = refresh(pair["refresh"]).json()

    told = refusal_of(refresh(pair["refresh"]))

    assert told == refusal_of(refresh("garbage"))
    assert refusal_of(refresh(renewed["refresh"])) and refusal_of(call(renewed["access"]))
    assert refusal_of(call(pair["access"]))
    reused = events(action="session.reuse_detected")
    assert [event.actor_id for event in reused] == [staff.pk]


def test_another_session_of_the_user_lives_on(staff, pair):
    other = session_operations.log_in(staff, by=BY)
    refresh(pair["refresh"])
    refresh(pair["refresh"])

    assert call(other["access"]).status_code == 200


@pytest.mark.parametrize("body", [{}, {"refresh": ""}, {"refresh": None}, {"refresh": ["a"]}, {"refresh": "x" * 4097}])
def test_a_refresh_without_a_token_is_400(anonymous, body):
    assert anonymous.post("auth/token/refresh/", body).status_code == 400


# Revocation


def test_revoke_by_the_access_token_in_the_header(staff, pair, events):
    answer = Api(token=pair["access"]).post("auth/token/revoke/")

    assert answer.status_code == 200 and answer.json()["revoked_at"].endswith("Z")
    assert refusal_of(call(pair["access"])) == refusal_of(refresh(pair["refresh"]))
    assert [event.action for event in events()][-1] == "session.revoked"


def test_revoke_by_the_refresh_token_in_the_body_twice(pair, events):
    answers = [Api().post("auth/token/revoke/", {"refresh": pair["refresh"]}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert refusal_of(call(pair["access"]))
    assert len(events(action="session.revoked")) == 1


def test_revoke_keeps_the_reason(staff, pair, events):
    Api(token=pair["access"]).call("POST", "auth/token/revoke/", reason="laptop lost, 10 €")

    assert events()[-1].reason == "laptop lost, 10 €"


def test_revoke_with_a_reason_that_is_none_ends_nothing(pair):
    answer = Api(token=pair["access"]).post("auth/token/revoke/", headers={"Audit-Reason": "%00"})

    assert_problem(answer, 400, field="Audit-Reason")
    assert call(pair["access"]).status_code == 200


def test_the_reason_of_a_revocation_can_be_required(pair, settings):
    settings.AUDIT_REASON_REQUIRED = True
    client = Api(token=pair["access"])

    assert_problem(client.post("auth/token/revoke/"), 400, code="reason_required", field="Audit-Reason")
    assert client.call("POST", "auth/token/revoke/", reason="end of the day").status_code == 200


@pytest.mark.parametrize("body", [None, {}, {"refresh": "garbage"}])
def test_revoke_of_nothing_is_401(anonymous, body):
    assert refusal_of(anonymous.post("auth/token/revoke/", body))


def test_an_access_token_is_no_refresh_token_for_revoke(pair):
    assert refusal_of(Api().post("auth/token/revoke/", {"refresh": pair["access"]}))


# Tokens that are not good: one refusal for all


def unsigned(token):
    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(jwt.decode(token, options={'verify_signature': False}))}."


FORGERIES = {
    "garbage": lambda token: "garbage",
    "three parts": lambda token: "a.b.c",
    "not ascii": lambda token: "größe",
    "cut": lambda token: token[:-5],
    "alg none": unsigned,
    "other key": lambda token: forge(token, key="another key that is long enough to sign with"),
    "other algorithm": lambda token: forge(token, algorithm="HS512"),
    "expired": lambda token: forge(token, exp=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())),
    "exp missing": lambda token: forge(token, exp=...),
    "exp 10^30": lambda token: forge(token, exp=10**30),
    "exp text": lambda token: forge(token, exp="tomorrow"),
    "exp null": lambda token: forge(token, exp=None),
    "exp list": lambda token: forge(token, exp=[1]),
    "not yet": lambda token: forge(token, iat=2**40),
    "type missing": lambda token: forge(token, token_type=...),
    "jti missing": lambda token: forge(token, jti=...),
    "jti null": lambda token: forge(token, jti=None),
    **{
        f"user_id {ascii(value)}": lambda token, value=value: forge(token, user_id=value)
        for value in ("abc", "\x00", "1", {}, [], None, ..., True, 1.0, -1, 0, 2**63, 10**30)
    },
    **{
        f"session {ascii(value)}": lambda token, value=value: forge(token, session=value)
        for value in ("abc", "\x00", {}, 7, None, ..., "00000000-0000-4000-8000-000000000000")
    },
    **{
        f"session_version {ascii(value)}": lambda token, value=value: forge(token, session_version=value)
        for value in ("1", {}, None, ..., True, 2, 0, 2**31)
    },
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_access_token(pair, name):
    told = refusal_of(call(FORGERIES[name](pair["access"])))

    assert told == refusal_of(Api().get(CALL))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_refresh_token_ends_no_session(pair, name):
    told = refusal_of(refresh(FORGERIES[name](pair["refresh"])))

    assert told == refusal_of(Api().get(CALL))
    assert refresh(pair["refresh"]).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "bearer x", "Basic YTpi", "Token x", "", "\x00"])
def test_headers_that_hold_no_token(anonymous, header):
    told = refusal_of(anonymous.get(CALL, headers={"Authorization": header}))

    assert told == refusal_of(anonymous.get(CALL))


def test_the_token_of_one_kind_is_not_the_other(pair):
    assert refusal_of(call(pair["refresh"])) == refusal_of(refresh(pair["access"]))


def test_the_token_of_another_user_with_my_session(pair, broker):
    other = StaffFactory(broker=broker, role="Supervisor")

    assert refusal_of(call(forge(pair["access"], user_id=other.pk)))


def test_an_unforged_copy_is_let_in(pair):
    assert call(forge(pair["access"])).status_code == 200


# Other ways in


def test_a_console_session_is_no_key_to_the_api(staff):
    browser = Client()
    browser.force_login(staff)

    answer = browser.get("/api/v1/limits/")

    assert refusal_of(answer) == refusal_of(Api().get(CALL))


def test_no_token_is_kept(staff, pair):
    kept = json.dumps(list(ApiSession.objects.values()), default=str)

    assert not any(part in kept for token in pair.values() for part in token.split("."))
    assert tokens.read(pair["refresh"], kind="refresh")[3] in kept
