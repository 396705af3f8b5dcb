"""API: delete a scanner, and restore it."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from trading.tests.factories import ScannerFactory

THEN = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def scanner(trader):
    return ScannerFactory(user=trader)


def test_deletes_softly_and_is_audited(agent, trader, scanner, events):
    before = timezone.now()

    answer = agent.delete(f"scanners/{scanner.pk}/", reason="too slow")

    assert answer.status_code == 200, answer.content
    assert answer["ETag"] == '"2"'
    body = answer.json()
    assert (body["id"], body["status"], body["version"]) == (scanner.pk, "deleted", 2)
    scanner.refresh_from_db()
    assert before <= scanner.deleted_at <= timezone.now()
    [event] = events()
    assert (event.action, event.reason, event.user) == ("scanner.deleted", "too slow", trader.pk)
    assert (event.subject_type, event.subject_id) == ("scanner", scanner.pk)
    assert event.changes == {"deleted_at": [None, body["deleted_at"]]}


def test_restores_and_is_audited(agent, trader, events):
    scanner = ScannerFactory(user=trader, deleted_at=THEN)

    answer = agent.post(f"scanners/{scanner.pk}/restore/")

    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], answer.json()["deleted_at"], answer.json()["version"]) == ("active", None, 2)
    [event] = events()
    assert event.action == "scanner.restored"
    assert event.changes == {"deleted_at": ["2025-06-01T12:00:00Z", None]}


def test_repeats_change_nothing(agent, trader, scanner, events):
    deleted = ScannerFactory(user=trader, deleted_at=THEN)

    again = agent.delete(f"scanners/{deleted.pk}/")
    kept = agent.post(f"scanners/{scanner.pk}/restore/")

    assert again.status_code == kept.status_code == 200
    assert (again.json()["deleted_at"], again.json()["version"]) == ("2025-06-01T12:00:00Z", 1)
    assert (kept.json()["deleted_at"], kept.json()["version"]) == (None, 1)
    assert not events()


def test_refuses_a_body_and_unknown_parameters(agent, scanner, refused, events):
    assert refused(agent.delete(f"scanners/{scanner.pk}/", {"id": 1})) == {"id"}
    assert refused(agent.delete(f"scanners/{scanner.pk}/", stop_deployments="true")) == {"stop_deployments"}
    assert refused(agent.post(f"scanners/{scanner.pk}/restore/", {"deleted_at": None})) == {"deleted_at"}
    assert not events()


def test_another_brokers_scanner_does_not_exist(agent, foreign_trader, events):
    foreign = ScannerFactory(user=foreign_trader)

    assert agent.delete(f"scanners/{foreign.pk}/").status_code == 404
    assert agent.post(f"scanners/{foreign.pk}/restore/").status_code == 404
    foreign.refresh_from_db()
    assert foreign.deleted_at is None
    assert not events()


def test_a_viewer_may_not(viewer, scanner):
    assert viewer.delete(f"scanners/{scanner.pk}/").status_code == 403
    assert viewer.post(f"scanners/{scanner.pk}/restore/").status_code == 403


def test_if_match(agent, scanner, events):
    stale = agent.delete(f"scanners/{scanner.pk}/", if_match=2)

    assert stale.status_code == 412
    assert not events()
    assert agent.delete(f"scanners/{scanner.pk}/", if_match=1).json()["version"] == 2
    assert agent.post(f"scanners/{scanner.pk}/restore/", if_match=1).status_code == 412
    assert agent.post(f"scanners/{scanner.pk}/restore/", if_match=2).json()["version"] == 3


def test_dry_run_answers_the_same_and_keeps_nothing(agent, trader, scanner, events):
    deleted = ScannerFactory(user=trader, deleted_at=THEN)

    gone = agent.delete(f"scanners/{scanner.pk}/", dry_run="true").json()
    back = agent.post(f"scanners/{deleted.pk}/restore/", dry_run="true").json()

    assert (gone["dry_run"], gone["status"], gone["version"]) == (True, "deleted", 2)
    assert (back["dry_run"], back["status"], back["version"]) == (True, "active", 2)
    scanner.refresh_from_db()
    deleted.refresh_from_db()
    assert (scanner.deleted_at, scanner.version) == (None, 1)
    assert (deleted.deleted_at, deleted.version) == (THEN, 1)
    assert not events()
