"""API: update an account's status."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiSession, OutgoingMail, User
from accounts.tests.browser import Browser, is_dead_link_page, link_in, mails_to
from accounts.tests.factories import StaffFactory, SuperuserFactory, TraderFactory
from trading.models import Deployment
from trading.tests.factories import DeploymentFactory, StrategyFactory

NOTHING_DONE = {"sessions_revoked": 0, "deployments_paused": 0, "deployments_stopped": 0}


@pytest.fixture
def put(agent, trader):
    def change(status, deployments=None, **call):
        body = {"status": status} if deployments is None else {"status": status, "deployments": deployments}
        return agent.put(f"users/{trader.pk}/status/", body, **call)

    return change


@pytest.fixture
def deployments(trader):
    """One deployment in each status, and an active one of another trader."""
    strategy = StrategyFactory(user=trader)
    rows = {
        status: DeploymentFactory(
            user=trader,
            strategy=strategy,
            status=status,
            stopped_at=timezone.now() if status == "stopped" else None,
        )
        for status in ("active", "paused", "stopped")
    }
    rows["other"] = DeploymentFactory(user=TraderFactory(broker=trader.broker))
    return rows


def statuses(deployments):
    return {name: Deployment.objects.get(pk=row.pk).status for name, row in deployments.items()}


def counts(answer):
    assert answer.status_code == 200, answer.content
    return {name: answer.json()[name] for name in NOTHING_DONE}


def session_of(user, **fields):
    """A live session and its tokens: (session, access, refresh)."""
    session = ApiSession(user=user, session_version=user.session_version)
    refresh, session.refresh_id, session.expires_at = tokens.issue("refresh", session)
    for name, value in fields.items():
        setattr(session, name, value)
    session.save(force_insert=True)
    return session, tokens.issue("access", session)[0], refresh


def test_deactivates_and_is_audited(put, agent, trader, events):
    answer = put("inactive", reason="asked to leave")

    assert counts(answer) == NOTHING_DONE
    assert answer.json()["status"] == "inactive"
    assert answer.json()["version"] == 2 and answer["ETag"] == '"2"'
    assert not User.objects.get(pk=trader.pk).is_active
    [event] = events()
    assert (event.action, event.changes) == ("user.deactivated", {"status": ["active", "inactive"]})
    assert (event.reason, event.actor_id, event.user) == ("asked to leave", agent.user.pk, trader.pk)


def test_activates_and_is_audited(put, trader, events):
    put("inactive")

    answer = put("active")

    assert answer.json()["status"] == "active" and counts(answer) == NOTHING_DONE
    assert events()[-1].action == "user.activated"
    assert events()[-1].changes == {"status": ["inactive", "active"]}


@pytest.mark.parametrize("status", ["active", "inactive"])
def test_repeating_it_changes_nothing(put, trader, status, events):
    if status == "inactive":
        put("inactive")
    before = (len(events()), User.objects.get(pk=trader.pk).version)

    answer = put(status)

    assert counts(answer) == NOTHING_DONE and answer.json()["status"] == status
    assert (len(events()), User.objects.get(pk=trader.pk).version) == before


@pytest.mark.parametrize(
    ("treatment", "expected", "counted"),
    [
        (None, {"active": "active", "paused": "paused"}, NOTHING_DONE),
        ("leave", {"active": "active", "paused": "paused"}, NOTHING_DONE),
        ("pause", {"active": "paused", "paused": "paused"}, NOTHING_DONE | {"deployments_paused": 1}),
        ("stop", {"active": "stopped", "paused": "stopped"}, NOTHING_DONE | {"deployments_stopped": 2}),
    ],
)
def test_treats_the_deployments_as_asked(put, deployments, treatment, expected, counted, events):
    answer = put("inactive", treatment)

    assert counts(answer) == counted
    assert statuses(deployments) == {**expected, "stopped": "stopped", "other": "active"}
    [event] = events()
    changed = {str(row.pk) for name, row in deployments.items() if name != "other" and expected.get(name, name) != name}
    assert set(event.changes.get("deployments", [{}])[0]) == changed


def test_treated_deployments_move_on_a_version(put, deployments):
    put("inactive", deployments="stop")

    versions = {name: Deployment.objects.get(pk=row.pk).version for name, row in deployments.items()}
    assert versions == {"active": 2, "paused": 2, "stopped": 1, "other": 1}
    assert Deployment.objects.get(pk=deployments["active"].pk).stopped_at is not None


def test_of_an_inactive_trader_the_deployments_can_still_be_treated(put, deployments, events):
    put("inactive")

    answers = [put("inactive", deployments="stop") for _ in range(2)]

    assert counts(answers[0])["deployments_stopped"] == 2
    assert counts(answers[1]) == NOTHING_DONE
    assert [event.action for event in events()] == ["user.deactivated", "user.deployments_treated"]


def test_reactivation_revives_no_deployment(put, deployments):
    put("inactive", deployments="pause")

    put("active")

    assert statuses(deployments)["active"] == "paused"


def test_every_session_is_dead_at_once_and_stays_dead(put, trader):
    live, access, refresh = session_of(trader)
    session_of(trader)
    session_of(trader, expires_at=timezone.now() - timedelta(seconds=1))
    session_of(trader, revoked_at=timezone.now())
    hash_before = trader.get_session_auth_hash()

    answer = put("inactive")

    assert counts(answer)["sessions_revoked"] == 2
    put("active")
    trader.refresh_from_db()
    live.refresh_from_db()
    assert live.revoked_at is not None and live.session_version != trader.session_version
    for kind, token in (("access", access), ("refresh", refresh)):
        assert tokens.live_session(token, kind=kind, now=timezone.now()) is None
    assert trader.get_session_auth_hash() != hash_before


def test_pending_links_are_dead_at_once_and_stay_dead(put, agent, trader, events):
    agent.post(f"users/{trader.pk}/password-reset/")
    agent.patch(f"users/{trader.pk}/", {"email": "new@elsewhere.example"})
    reset_link = next(link_in(sent) for sent in mails_to(trader.email) if sent.subject == "Set a new password")
    email_link = link_in(mails_to("new@elsewhere.example")[0])

    answer = put("inactive")

    assert answer.json()["pending_email"] is None
    assert events()[-1].changes["pending_email"] == ["new@elsewhere.example", None]
    assert is_dead_link_page(Browser().open(reset_link)) and is_dead_link_page(Browser().open(email_link))
    put("active")
    assert is_dead_link_page(Browser().open(reset_link)) and is_dead_link_page(Browser().open(email_link))


def test_an_inactive_trader_cannot_log_in(put, anonymous, trader):
    put("inactive")

    answer = anonymous.post("auth/token/", {"email": trader.email, "password": "correct horse battery"})

    assert answer.status_code == 401


def test_a_dry_run_counts_and_keeps_nothing(put, trader, deployments, events):
    live, *_ = session_of(trader)

    answer = put("inactive", "stop", dry_run="true")

    assert counts(answer) == {"sessions_revoked": 1, "deployments_paused": 0, "deployments_stopped": 2}
    assert answer.json()["dry_run"] is True and answer.json()["status"] == "inactive"
    assert "ETag" not in answer
    trader.refresh_from_db()
    live.refresh_from_db()
    assert (trader.is_active, trader.version, trader.session_version, live.revoked_at) == (True, 1, 1, None)
    assert statuses(deployments)["active"] == "active"
    assert events() == [] and mail.outbox == [] and not OutgoingMail.objects.exists()


def test_if_match(put, trader):
    assert put("inactive", if_match=9).status_code == 412
    assert User.objects.get(pk=trader.pk).is_active
    assert put("inactive", if_match=1).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "deleted"}, "status"),
        ({"status": False}, "status"),
        ({"status": None}, "status"),
        ({"status": ["inactive"]}, "status"),
        ({"status": "Inactive"}, "status"),
        ({"status": "inactive", "deployments": "delete"}, "deployments"),
        ({"status": "inactive", "deployments": None}, "deployments"),
        ({"status": "active", "deployments": "stop"}, "deployments"),
        ({"status": "inactive", "is_active": False}, "is_active"),
    ],
)
def test_what_is_not_valid_is_named(agent, trader, body, field, events):
    answer = agent.put(f"users/{trader.pk}/status/", body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert events() == [] and User.objects.get(pk=trader.pk).is_active


@pytest.mark.parametrize("target", ["foreign", "staff", "superuser", "self"])
def test_out_of_reach_is_404_and_on_record(agent, broker, foreign_trader, target, events):
    targets = {"foreign": foreign_trader, "self": agent.user}
    user = targets.get(target) or (StaffFactory if target == "staff" else SuperuserFactory)(broker=broker)

    answer = agent.put(f"users/{user.pk}/status/", {"status": "inactive"})

    assert answer.status_code == 404
    assert User.objects.get(pk=user.pk).is_active
    assert [(event.action, event.subject_id) for event in events()] == [("user.attempt_refused", user.pk)]


def test_a_superuser_deactivates_neither_staff_nor_itself_here(superuser, broker):
    for user in (superuser.user, StaffFactory(broker=broker)):
        assert superuser.put(f"users/{user.pk}/status/", {"status": "inactive"}).status_code == 404


def test_a_viewer_may_not(viewer, trader, events):
    assert viewer.put(f"users/{trader.pk}/status/", {"status": "inactive"}).status_code == 403
    assert events() == []
