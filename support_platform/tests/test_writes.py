"""What every write of the API promises: If-Match, the dry run, and 404 for rows that are gone; walked, not listed."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import QuerySet

from support_platform.statements import Insert, Written
from support_platform.tests.calls import all_calls, assert_problem
from support_platform.tests.test_permissions import body_of
from trading.tests.csv_rows import COLUMNS, GOOD

CALLS = [
    call for call in all_calls() if call.method != "GET" and "{id}" in call.path and not call.path.startswith("audit/")
]
WRITES = [pytest.param(call, id=str(call)) for call in CALLS]


def states(samples):
    return {name: type(row).objects.filter(pk=row.pk).values().get() for name, row in samples.items()}


@pytest.fixture
def unchanged(samples, mailoutbox, events):
    before = states(samples)

    def check():
        assert states(samples) == before
        assert events() == []
        assert mailoutbox == []

    return check


@pytest.mark.parametrize("call", WRITES)
def test_a_dry_run_answers_as_the_call_would_and_keeps_nothing(superuser, samples, unchanged, call):
    address = call.address(samples)

    tried = superuser.call(call.method, f"{address}?dry_run=true", body_of(call))

    unchanged()
    assert tried.json()["dry_run"] is True
    assert "ETag" not in tried
    done = superuser.call(call.method, address, body_of(call))
    assert tried.status_code == done.status_code
    assert tried.json().keys() - {"dry_run"} == done.json().keys()


@pytest.mark.parametrize("given", ['"99"', '"0"', 'W/"1"', "1", '"abc"', "x" * 300, '""', '"98", "99"', '"1', "'1'"])
def test_a_stale_or_meaningless_if_match_is_412(superuser, samples, unchanged, given):
    for call in CALLS:
        answer = superuser.call(call.method, call.address(samples), body_of(call), headers={"If-Match": given})

        assert_problem(answer, 412, code="stale")
        assert answer["ETag"] == '"1"'
    unchanged()


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("given", ['"1"', '"7", "1"', "*", ' "1" '])
def test_a_matching_if_match_goes_through(superuser, samples, call, given):
    answer = superuser.call(call.method, call.address(samples), body_of(call), headers={"If-Match": given})

    assert 200 <= answer.status_code < 300, answer.content
    row = samples[call.path.split("/")[0]]
    row.refresh_from_db()
    assert answer["ETag"] == f'"{row.version}"'


@pytest.mark.parametrize("call", WRITES)
def test_who_lacks_the_right_is_told_so_before_the_body_is_looked_at(viewer, samples, unchanged, call):
    answer = viewer.call(call.method, call.address(samples), {"nonsense": True})

    assert_problem(answer, 403)
    unchanged()


@pytest.mark.parametrize("call", WRITES)
def test_each_change_counts_the_version_up_by_one_and_is_on_record_once(superuser, samples, events, call):
    row = samples[call.path.split("/")[0]]

    superuser.call(call.method, call.address(samples), body_of(call), reason="as asked")

    row.refresh_from_db()
    written = events(subject_type=row._meta.model_name, subject_id=row.pk)
    assert row.version == 1 + len(written)
    assert len(written) <= 1
    for event in written:
        assert event.user == (row.pk if row._meta.model_name == "user" else row.user_id)
        assert event.broker == samples["users"].broker_id
        assert event.subject_version == row.version
        assert (event.actor, event.actor_id, event.source) == (superuser.user.email, superuser.user.pk, "api")
        assert (event.reason, event.ip) == ("as asked", "127.0.0.1")
        assert event.request_id


@pytest.mark.parametrize("call", WRITES)
def test_the_reason_can_be_required(superuser, samples, settings, unchanged, call):
    settings.AUDIT_REASON_REQUIRED = True

    refused = superuser.call(call.method, call.address(samples), body_of(call))

    assert_problem(refused, 400, code="reason_required", field="Audit-Reason")
    unchanged()
    given = superuser.call(call.method, call.address(samples), body_of(call), reason="asked on the phone")
    assert 200 <= given.status_code < 300, given.content


@pytest.mark.parametrize("call", WRITES)
def test_without_its_audit_event_a_change_does_not_happen(superuser, samples, unchanged, call, monkeypatch):
    tried = []

    def fail(insert, event):
        tried.append(event.action)
        raise RuntimeError("no room for another event")

    monkeypatch.setattr(Insert, "write", fail)

    answer = superuser.call(call.method, call.address(samples), body_of(call))

    if tried:
        assert_problem(answer, 500)
    unchanged()


# What a change reads besides its own row, and must find unchanged when it commits.
LOCKED_TOO = {
    "POST strategies/{id}/publish/": {"user"},
    "PATCH trades/{id}/": {"deployment"},
}


@pytest.fixture
def locked(monkeypatch):
    """The models whose rows are locked from here on, in order."""
    seen, select_for_update, rows = [], QuerySet.select_for_update, Written.rows

    def note(model):
        if model and seen[-1:] != [model._meta.model_name]:
            seen.append(model._meta.model_name)

    def noted(queryset, **options):
        note(queryset.model)
        return select_for_update(queryset, **options)

    def noted_rows(written, *args, **options):
        note(written.locks)
        return rows(written, *args, **options)

    monkeypatch.setattr(QuerySet, "select_for_update", noted)
    monkeypatch.setattr(Written, "rows", noted_rows)
    return seen


@pytest.mark.parametrize("call", WRITES)
def test_each_write_locks_what_it_stands_on(superuser, samples, call, locked):
    superuser.call(call.method, call.address(samples), body_of(call))

    own = samples[call.path.split("/")[0]]._meta.model_name
    assert {own} | LOCKED_TOO.get(str(call), set()) <= set(locked)


def test_resuming_a_deployment_locks_its_owner_its_strategy_and_itself(superuser, samples, locked):
    address = f"deployments/{samples['deployments'].pk}/"
    superuser.patch(address, {"status": "paused"})
    del locked[:]

    superuser.patch(address, {"status": "active"})

    assert [name for name in locked if name != "auditchain"] == ["user", "strategy", "deployment"]


ORDERS = "order_id,symbol,side,quantity,expected_price,filled_price,signal_at,sent_at,acknowledged_at,filled_at"
ORDER = "1,EUR/USD,buy,2,1.1,,,2026-01-05T09:00:00Z,,"


@pytest.mark.parametrize(("command", "lines"), [("import_trades", (COLUMNS, GOOD)), ("import_orders", (ORDERS, ORDER))])
def test_an_import_locks_its_trader(trader, locked, tmp_path, command, lines):
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines))
    to = ("--trader", trader.email, "--broker", trader.broker.name)

    call_command(command, str(file), *to, "--json", stdout=StringIO())

    assert locked[0] == "user"
