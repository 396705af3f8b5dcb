"""Idempotency-Key: whatever is sent again with its key has happened once, and is answered as the first time."""

from datetime import timedelta
from threading import Event

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import StaffFactory
from conftest import Api
from support_platform.models import AuditEvent, IdempotencyRecord
from support_platform.statements import Insert
from support_platform.tests.calls import assert_problem
from support_platform.tests.commands import run
from support_platform.tests.test_permissions import body_of
from support_platform.tests.test_writes import WRITES, states
from trading import operations

KEY = {"Idempotency-Key": "5f1c-one"}


def assert_replayed(answer, first):
    assert answer.status_code == first.status_code
    assert answer.content == first.content
    assert answer["Content-Type"] == first["Content-Type"]
    assert answer.get("ETag") == first.get("ETag")
    assert answer["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first


@pytest.mark.parametrize("call", WRITES)
def test_every_write_happens_once_for_a_key(superuser, samples, events, mailoutbox, call):
    address = call.address(samples)
    first = superuser.call(call.method, address, body_of(call), headers=KEY)
    after, written, mails = states(samples), len(events()), len(mailoutbox)

    again = superuser.call(call.method, address, body_of(call), headers=KEY)

    assert 200 <= first.status_code < 300
    assert_replayed(again, first)
    assert (states(samples), len(events()), len(mailoutbox)) == (after, written, mails)


def test_the_answer_with_a_key_is_the_answer_without(supervisor, samples):
    trade = f"trades/{samples['trades'].pk}/"
    keyed = supervisor.patch(trade, {"result": "7"}, headers=KEY)

    plain = supervisor.patch(trade, {"result": "7"})

    assert keyed.json().keys() == plain.json().keys()
    assert (keyed["ETag"], keyed["Content-Type"]) == (plain["ETag"], plain["Content-Type"])
    assert keyed["RateLimit"].startswith('"write"')


def test_another_body_for_the_same_key_is_422(agent, trader, events):
    agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers=KEY)
    written = len(events())

    answer = agent.patch(f"users/{trader.pk}/", {"phone": "+4915100000000"}, headers=KEY)

    assert_problem(answer, 422, code="idempotency_key_reused")
    trader.refresh_from_db()
    assert (trader.phone, len(events())) == ("+4915112345678", written)


def test_other_parameters_for_the_same_key_are_422(supervisor, samples):
    address = f"strategies/{samples['strategies'].pk}/"
    supervisor.delete(address, headers=KEY)

    answer = supervisor.delete(f"{address}?stop_deployments=true", headers=KEY)

    assert_problem(answer, 422, code="idempotency_key_reused")


def test_the_same_body_spelt_otherwise_is_the_same(agent, trader):
    first = agent.put(f"users/{trader.pk}/status/", {"status": "inactive", "deployments": "pause"}, headers=KEY)

    again = agent.put(f"users/{trader.pk}/status/", {"deployments": "pause", "status": "inactive"}, headers=KEY)

    assert_replayed(again, first)


def test_a_key_is_its_callers_own_and_means_one_method_and_path(agent, supervisor, broker, trader, samples):
    scanner = f"scanners/{samples['scanners'].pk}/"
    agent.delete(scanner, headers=KEY)

    others = [
        supervisor.delete(scanner, headers=KEY),
        Api(StaffFactory(broker=broker, role="Agent")).delete(scanner, headers=KEY),
        agent.post(f"{scanner}restore/", headers=KEY),
        agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers=KEY),
    ]

    assert [answer.status_code for answer in others] == [200] * 4
    assert not any("Idempotent-Replayed" in answer for answer in others)


def test_what_the_state_forbade_is_answered_the_same_although_the_state_has_changed(agent, trader, events):
    User.objects.filter(pk=trader.pk).update(is_active=False)
    first = agent.post(f"users/{trader.pk}/password-reset/", headers=KEY)
    agent.put(f"users/{trader.pk}/status/", {"status": "active"})

    again = agent.post(f"users/{trader.pk}/password-reset/", headers=KEY)

    assert first.status_code == 409
    assert_replayed(again, first)
    assert "user.password_reset" not in [event.action for event in events()]


def test_what_was_refused_before_it_was_done_may_be_sent_again(agent, viewer, superuser, trader, settings, samples):
    address = f"users/{trader.pk}/"
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"reset": {"target trader": ["1/h"]}}
    agent.post(f"{address}password-reset/")
    deployment = f"deployments/{samples['deployments'].pk}/"

    refused = [
        agent.patch(address, {"phone": "no number"}, headers=KEY),
        Api().patch(address, {"phone": "+4915112345678"}, headers=KEY),
        viewer.patch(address, {"phone": "+4915112345678"}, headers=KEY),
        agent.patch(deployment, {"quantity": "2"}, headers=KEY),
        agent.patch("users/999999999/", {"phone": "+4915112345678"}, headers=KEY),
        agent.patch(address, {"phone": "+4915112345678"}, headers=KEY | {"If-Match": '"99"'}),
        agent.post(f"{address}password-reset/", headers=KEY),
    ]

    assert [answer.status_code for answer in refused] == [400, 401, 403, 403, 404, 412, 429]
    assert not IdempotencyRecord.objects.exists()
    assert agent.patch(address, {"phone": "+4915112345678"}, headers=KEY).status_code == 200


def test_an_attempt_out_of_reach_stays_on_record(agent, foreign_trader, events):
    agent.patch(f"users/{foreign_trader.pk}/", {"phone": "+4915112345678"}, headers=KEY)

    assert [event.action for event in events()] == ["user.attempt_refused"]


def test_a_dry_run_neither_takes_nor_answers_for_a_key(agent, trader):
    address, body = f"users/{trader.pk}/", {"phone": "+4915112345678"}

    tried = agent.patch(f"{address}?dry_run=true", body, headers=KEY)
    done = agent.patch(address, body, headers=KEY)
    tried_again = agent.patch(f"{address}?dry_run=true", body, headers=KEY)

    assert tried.json()["dry_run"] is tried_again.json()["dry_run"] is True
    assert "dry_run" not in done.json()
    assert not any("Idempotent-Replayed" in answer for answer in (tried, done, tried_again))


def test_a_key_lives_a_day(agent, trader, events):
    address, body = f"users/{trader.pk}/password-reset/", {}
    agent.post(address, body, headers=KEY)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24))

    again = agent.post(address, body, headers=KEY)

    assert "Idempotent-Replayed" not in again
    assert len(events(action="user.password_reset")) == 2


def test_purge_forgets_what_is_over_and_nothing_else(agent, trader):
    for key in ("old", "young"):
        agent.post(f"users/{trader.pk}/password-reset/", headers={"Idempotency-Key": key})
    old = IdempotencyRecord.objects.order_by("created_at").first()
    IdempotencyRecord.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=24))

    assert run("purge")["idempotency_records"] == 1
    assert IdempotencyRecord.objects.exclude(pk=old.pk).count() == 1


@pytest.mark.parametrize("given", ["", "k" * 256, "a\tb", "a\x1fb"], ids=["empty", "long", "tab", "control"])
def test_what_is_no_key_is_400(agent, trader, events, given):
    answer = agent.patch(f"users/{trader.pk}/", {"phone": "+4915112345678"}, headers={"Idempotency-Key": given})

    assert_problem(answer, 400, field="Idempotency-Key")
    assert events() == []


@pytest.mark.parametrize("given", ["k", "k" * 255, "a b", "schlüssel"], ids=["one", "long", "two words", "umlaut"])
def test_any_short_text_is_a_key(agent, trader, given):
    body = {"phone": "+4915112345678"}
    first = agent.patch(f"users/{trader.pk}/", body, headers={"Idempotency-Key": given})

    assert_replayed(agent.patch(f"users/{trader.pk}/", body, headers={"Idempotency-Key": given}), first)


def test_reads_take_no_notice_of_a_key(agent, trader):
    agent.get(f"users/{trader.pk}/", headers=KEY)

    assert "Idempotent-Replayed" not in agent.get(f"users/{trader.pk}/", headers=KEY)
    assert not IdempotencyRecord.objects.exists()


def test_what_is_kept_tells_neither_key_nor_body_nor_secret(agent, trader):
    agent.patch(f"users/{trader.pk}/", {"email": "fresh@demo.example"}, headers=KEY)
    agent.post(f"users/{trader.pk}/password-reset/", headers=KEY)
    trader.refresh_from_db()

    kept = str([{**row, "body": bytes(row["body"])} for row in IdempotencyRecord.objects.values()])

    for secret in (KEY["Idempotency-Key"], agent.headers["Authorization"], trader.reset_nonce, trader.email_nonce):
        assert secret not in kept


def test_a_replay_outlives_a_rotation_of_the_secret_key(agent, trader, settings):
    body = {"phone": "+4915112345678"}
    first = agent.patch(f"users/{trader.pk}/", body, headers=KEY)
    settings.SIMPLE_JWT = settings.SIMPLE_JWT | {"SIGNING_KEY": settings.SECRET_KEY}
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "k" * 60

    assert_replayed(agent.patch(f"users/{trader.pk}/", body, headers=KEY), first)


def test_a_failure_leaves_the_key_free(agent, samples, monkeypatch):
    address = f"scanners/{samples['scanners'].pk}/"
    with monkeypatch.context() as broken:
        broken.setattr(Insert, "write", lambda *args: 1 / 0)
        assert agent.delete(address, headers=KEY).status_code == 500

    answer = agent.delete(address, headers=KEY)

    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer


def test_of_sixteen_at_once_one_is_done_and_all_are_told_the_same(race, broker, trader):
    headers = Api(StaffFactory(broker=broker, role="Agent")).headers | KEY

    address = f"/api/v1/users/{trader.pk}/password-reset/"

    answers = race(*[lambda: Client().post(address, {}, content_type="application/json", headers=headers)] * 16)

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert AuditEvent.objects.filter(action="user.password_reset").count() == 1


def test_when_the_first_one_is_lost_the_next_goes_on(race, broker, samples, monkeypatch):
    headers = Api(StaffFactory(broker=broker, role="Agent")).headers | KEY
    address = f"/api/v1/scanners/{samples['scanners'].pk}/"
    is_first, delete_scanner = iter([True]), operations.delete_scanner

    def lost_once(scanner, **arguments):
        deleted = delete_scanner(scanner, **arguments)
        if next(is_first, False):
            raise RuntimeError("gone before the commit")
        return deleted

    monkeypatch.setattr(operations, "delete_scanner", lost_once)

    answers = race(*[lambda: Client(raise_request_exception=False).delete(address, headers=headers)] * 4)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 500]
    assert AuditEvent.objects.filter(action="scanner.deleted", subject_id=samples["scanners"].pk).count() == 1


def test_who_waits_too_long_for_the_first_one_is_told_so(race, broker, samples, monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one lock for all writers; waiting for it in vain is 503")
    headers = Api(StaffFactory(broker=broker, role="Agent")).headers | KEY
    address = f"/api/v1/scanners/{samples['scanners'].pk}/"
    at_work, told, delete_scanner = Event(), Event(), operations.delete_scanner

    def slow(scanner, **arguments):
        at_work.set()
        told.wait(20)
        return delete_scanner(scanner, **arguments)

    def impatient():
        at_work.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        answer = Client().delete(address, headers=headers)
        told.set()
        return answer

    monkeypatch.setattr(operations, "delete_scanner", slow)

    first, second = race(lambda: Client().delete(address, headers=headers), impatient)

    assert first.status_code == 200
    assert_problem(second, 409, code="request_in_progress")
    assert_replayed(Client().delete(address, headers=headers), first)
