"""verify_audit: whatever is done to the audit trail behind the platform's back is found and named."""

import json
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from support_platform import audit_chain, audit_check
from support_platform.commands import Unsuccessful
from support_platform.models import AuditChain, AuditEvent
from support_platform.tests.commands import fail, process, run, tell

guards = import_module("support_platform.migrations.0005_audit_chain")
CHAIN, OTHER = 3, 4


def append(broker, **columns):
    told = {"actor": "a", "actor_id": 1, "subject_id": 1, "user": 1, "ip": "203.0.113.7", "reason": "why"}
    kind = {"action": "user.seen", "subject_type": "user", "source": "api", "changes": {"phone": [None, "1"]}}
    return audit_chain.append(broker=broker, **told | kind | columns)


@pytest.fixture
def ids(db):
    """
    {number: id} of the six events in CHAIN, of which every other one is followed by one of another chain. The database
    takes any statement.
    """
    made = {}
    for number in range(1, 7):
        made[number] = append(CHAIN).pk
        if number % 2:
            append(OTHER)
    append(None)
    guards.remove_triggers(None, connection.schema_editor())
    return made


def events(**values):
    return AuditEvent.objects.filter(chain=CHAIN, **values)


def end(chain=CHAIN):
    return AuditChain.objects.filter(pk=chain)


def forge(number, **columns):
    """An event as one would write it who has no key."""
    [last] = AuditEvent.objects.filter(chain=CHAIN).order_by("-sequence")[:1].values()
    del last["id"]
    return AuditEvent.objects.create(**last | {"sequence": number, "reason": "forged", "seal": "f" * 64} | columns)


def renumber(*places):
    """Put the events that stand in the first of each pair of numbers into the second."""
    for number, _ in places:
        events(sequence=number).update(sequence=-number)
    for number, place in places:
        events(sequence=-number).update(sequence=place)


def found(*args):
    """(kind, first, last, ids) of what the command finds, for CHAIN or with the chain before it for another."""
    out = StringIO()
    with pytest.raises(Unsuccessful, match="not as it was written"):
        call_command("verify_audit", "--json", *map(str, args), stdout=out)
    outcome = json.loads(out.getvalue())
    assert outcome["found"] == len(outcome["findings"])
    return [
        (*(() if row["chain"] == CHAIN else (row["chain"],)), row["kind"], row["first"], row["last"], row["events"])
        for row in outcome["findings"]
    ]


def test_a_trail_that_is_as_it_was_written(ids):
    outcome = run("verify_audit")

    assert (outcome["chains"], outcome["events"], outcome["found"], outcome["findings"]) == (3, 10, 0, [])
    assert [(row["chain"], row["length"]) for row in outcome["ends"]] == [(0, 1), (CHAIN, 6), (OTHER, 3)]


def test_an_empty_trail(db):
    assert run("verify_audit")["events"] == 0


# --- changed ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "values",
    [
        {"at": "2026-01-01T00:00:00Z"},
        {"actor": "b"},
        {"actor": ""},
        {"actor_id": 2},
        {"actor_id": None},
        {"action": "user.gone"},
        {"subject_type": "trade"},
        {"subject_id": 2},
        {"subject_id": None},
        {"user": 2},
        {"user": None},
        {"changes": {}},
        {"changes": {"phone": [None, 1]}},
        {"changes": {"phone": ["1", None]}},
        {"reason": ""},
        {"reason": "why "},
        {"request_id": "r"},
        {"source": "console"},
        {"ip": "203.0.113.8"},
        {"ip": None},
        {"seal": "0" * 64},
        {"seal": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_changed_event_is_named(ids, values, number):
    events(sequence=number).update(**values)

    assert found() == [("changed", number, number, [ids[number]])]


def test_several_changes_are_told_apart(ids):
    events(sequence__in=(2, 4, 5)).update(reason="x")

    assert found() == [("changed", 2, 2, [ids[2]]), ("changed", 4, 5, [ids[4], ids[5]])]


def test_a_changed_event_with_a_seal_of_its_own_takes_the_next_along(ids):
    events(sequence=3).update(reason="x", seal="0" * 64)

    assert found() == [("changed", 3, 4, [ids[3], ids[4]])]


def test_another_broker_is_another_chain(ids):
    events(sequence=3).update(broker=OTHER)

    assert found() == [("wrong_chain", 3, 3, [ids[3]])]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps nothing that its column cannot hold")
@pytest.mark.parametrize("column", ["at", "ip", "actor_id", "seal", "reason", "broker"])
@pytest.mark.parametrize("value", ["X'00ff'", "'garbage'", "1.5", "-1"])
def test_what_cannot_be_read_is_found_as_changed(ids, column, value):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {guards.EVENTS} SET {column} = {value} WHERE id = {ids[3]}")

    [(kind, first, _, [event, *_])] = found()
    assert (kind, first, event) == ("wrong_chain" if column == "broker" else "changed", 3, ids[3])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite knows no infinity")
def test_an_instant_out_of_pythons_time_is_found_as_changed(ids):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {guards.EVENTS} SET at = 'infinity' WHERE id = {ids[3]}")

    assert found() == [("changed", 3, 3, [ids[3]])]


# --- missing ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ((1,), [("missing", 1, 1, [])]),
        ((3,), [("missing", 3, 3, [])]),
        ((2, 3, 5), [("missing", 2, 3, []), ("missing", 5, 5, [])]),
        ((6,), [("truncated", 6, 6, [])]),
        ((3, 5, 6), [("missing", 3, 3, []), ("truncated", 5, 6, [])]),
        ((1, 2, 3, 4, 5, 6), [("truncated", 1, 6, [])]),
    ],
)
def test_missing_events_are_named_by_their_numbers(ids, gone, told):
    events(sequence__in=gone).delete()

    assert found() == told


def test_what_follows_a_gap_cannot_be_checked_against_it_but_what_follows_that_is(ids):
    events(sequence=2).delete()
    events(sequence__in=(3, 5)).update(reason="x")

    assert found() == [("missing", 2, 2, []), ("changed", 5, 5, [ids[5]])]


def test_closing_the_gap_does_not_hide_it(ids):
    events(sequence=3).delete()
    renumber((4, 3), (5, 4), (6, 5))
    end().update(length=5)

    assert found() == [("changed", 3, 5, [ids[4], ids[5], ids[6]])]


# --- moved and put in -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("places", "told"),
    [
        (((3, 4), (4, 3)), (3, 4, [4, 3])),
        (((1, 2), (2, 1)), (1, 2, [2, 1])),
        (((5, 6), (6, 5)), (5, 6, [6, 5])),
        (((2, 4), (3, 2), (4, 3)), (2, 4, [3, 4, 2])),
    ],
)
def test_events_in_another_order_are_named(ids, places, told):
    renumber(*places)

    first, last, order = told
    assert found() == [("reordered", first, last, [ids[number] for number in order])]


def test_exchanged_ids_are_found(ids):
    events(sequence=3).update(id=10**6)
    events(sequence=4).update(id=ids[3])
    events(sequence=3).update(id=ids[4])

    assert found() == [("reordered", 4, 4, [ids[3]])]


def test_an_event_put_in_for_another_is_found(ids):
    events(sequence=3).delete()
    forged = forge(3)

    assert found() == [("changed", 3, 4, [forged.pk, ids[4]])]


def test_an_event_put_after_the_end_is_found(ids):
    forged = forge(7)

    assert found() == [("inserted", 7, 7, [forged.pk])]


def test_an_event_put_after_the_end_with_an_end_of_its_own_is_found(ids):
    forged = forge(7)
    end().update(length=7, seal=forged.seal)

    assert found() == [("changed", 7, 7, [forged.pk])]


def test_an_event_before_the_first_is_found(ids):
    forged = forge(0)

    assert found() == [("inserted", 0, 0, [forged.pk])]


def test_an_event_moved_to_another_chain_is_found_in_both(ids):
    events(sequence=3).update(chain=OTHER, sequence=4)
    end(OTHER).update(length=4)

    assert found() == [("missing", 3, 3, []), (OTHER, "wrong_chain", 4, 4, [ids[3]])]


def test_an_event_moved_to_another_broker_is_found_in_both(ids):
    events(sequence=6).update(chain=9, broker=9, sequence=1)
    AuditChain.objects.create(chain=9, length=1, seal=AuditEvent.objects.get(chain=9).seal)

    assert found() == [("truncated", 6, 6, []), (9, "changed", 1, 1, [ids[6]])]


# --- the ends ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda: end().delete(), [("end", 6, 6, [])]),
        (lambda: end().update(seal="0" * 64), [("end", 6, 6, [])]),
        (lambda: end().update(length=9), [("truncated", 7, 9, [])]),
    ],
    ids=["gone", "another seal", "further than its events"],
)
def test_an_end_that_is_not_the_chains_is_found(ids, change, told):
    change()

    assert found() == told


def test_an_end_that_is_set_back_leaves_events_behind(ids):
    [seal] = events(sequence=4).values_list("seal", flat=True)
    end().update(length=4, seal=seal)

    assert found() == [("inserted", 5, 6, [ids[5], ids[6]])]


# --- anchors ----------------------------------------------------------------------------------------------
@pytest.fixture
def anchors(ids, tmp_path):
    path = tmp_path / "anchors.json"
    run("verify_audit", "--anchors", path)
    return path


def cut(length):
    """Take the last events away with all traces, as restoring an older copy does."""
    events(sequence__gt=length).delete()
    end().update(length=length, seal=events(sequence=length).get().seal)


def test_anchors_are_made_then_checked_then_moved_on(anchors):
    first = json.loads(anchors.read_text())
    append(CHAIN)

    outcome = run("verify_audit", "--anchors", anchors)

    second = json.loads(anchors.read_text())
    assert outcome["anchors_checked"] == 3
    assert [row["length"] for row in first["ends"]] == [1, 6, 3]
    assert [row["length"] for row in second["ends"]] == [1, 7, 3]
    assert second["ends"] == outcome["ends"]


def test_a_trail_cut_without_a_trace_is_found_by_its_anchors_only(anchors):
    kept = anchors.read_text()
    cut(4)

    assert run("verify_audit")["found"] == 0
    assert found("--anchors", anchors) == [("anchor", 5, 6, [])]
    assert anchors.read_text() == kept


def test_a_chain_gone_without_a_trace_is_found_by_its_anchor(anchors):
    events().delete()
    end().delete()

    assert found("--anchors", anchors) == [("anchor", 1, 6, [])]


def test_a_trail_cut_and_written_on_is_found_by_its_anchors(anchors, ids):
    cut(4)
    replaced = [append(CHAIN).pk for _ in range(3)]

    assert run("verify_audit")["found"] == 0
    assert found("--anchors", anchors) == [("anchor", 6, 6, [replaced[1]])]


def test_whoever_has_the_key_is_found_by_the_anchors(anchors, ids):
    previous = ""
    for event in events().order_by("sequence"):
        event.reason = "rewritten"
        previous = audit_chain.seal(vars(event), previous, audit_chain.keys()[0])
        events(pk=event.pk).update(reason=event.reason, seal=previous)
    end().update(seal=previous)

    assert run("verify_audit")["found"] == 0
    assert found("--anchors", anchors) == [("anchor", 6, 6, [ids[6]])]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"ends": 1}', '{"ends": [{}]}', '{"ends": [{"chain": "1", "length": 1, "seal": "a"}]}']
)
def test_a_file_without_anchors_is_refused_and_left_alone(ids, tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)

    assert fail("verify_audit", "--anchors", path).startswith(f"{path} holds no ends of audit chains.")
    assert path.read_text() == text


# --- the key ----------------------------------------------------------------------------------------------
def test_a_new_key_needs_the_old_one_to_verify_what_it_sealed(ids, settings):
    settings.AUDIT_KEY, old = "another key", settings.AUDIT_KEY
    append(CHAIN)

    assert ("changed", 1, 6, [ids[number] for number in range(1, 7)]) in found()
    settings.AUDIT_KEY_FALLBACKS = [old]
    assert run("verify_audit")["found"] == 0


# --- how it reads -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 2, 3, 6])
def test_the_batches_do_not_matter(ids, monkeypatch, batch):
    monkeypatch.setattr(audit_check, "BATCH", batch)
    events(sequence__in=(2, 3)).update(reason="x")

    assert found() == [("changed", 2, 3, [ids[2], ids[3]])]


def test_it_keeps_no_more_than_it_can_tell(ids, monkeypatch):
    monkeypatch.setattr(audit_check, "MAX_FINDINGS", 2)
    monkeypatch.setattr(audit_check, "MAX_RUN", 1)
    events().update(reason="x")
    out = StringIO()

    with pytest.raises(Unsuccessful, match="6 findings"):
        call_command("verify_audit", "--json", stdout=out)

    assert [row["first"] for row in json.loads(out.getvalue())["findings"]] == [1, 2]


def test_what_is_written_meanwhile_is_no_finding(ids, monkeypatch):
    read = audit_check._read

    def read_while_others_write(rows):
        append(CHAIN), append(5)
        yield from read(rows)
        append(CHAIN)

    monkeypatch.setattr(audit_check, "_read", read_while_others_write)

    assert run("verify_audit")["found"] == 0
    assert numbers_of(CHAIN) == 12


def numbers_of(chain):
    return AuditEvent.objects.filter(chain=chain).count()


def test_people_are_told_in_lines(ids):
    assert "events           10" in tell("verify_audit")
    events(sequence=3).update(reason="x")
    out = StringIO()

    with pytest.raises(Unsuccessful):
        call_command("verify_audit", stdout=out)

    assert f"chain {CHAIN}, number 3: changed. " in out.getvalue()
    assert f"Ids: {ids[3]}." in out.getvalue()


def test_a_finding_is_exit_code_1_and_one_line(tmp_path):
    assert process(tmp_path, "migrate", "-v0").returncode == 0
    assert process(tmp_path, "seed_demo", "--traders", "2", "--trades", "1").returncode == 0
    whole = process(tmp_path, "verify_audit")
    sql = f"DROP TRIGGER {guards.EVENTS}_no_update; UPDATE {guards.EVENTS} SET reason = 'x' WHERE id = 1"
    code = f"import sqlite3; sqlite3.connect(r'{tmp_path}/db.sqlite3').executescript('''{sql}''')"
    assert process(tmp_path, "shell", "-v0", "-c", code).returncode == 0
    changed = process(tmp_path, "verify_audit")

    assert (whole.returncode, whole.stderr) == (0, "")
    assert (changed.returncode, changed.stderr) == (
        1,
        "error: the audit trail is not as it was written: 1 finding.\n",
    )
