"""
Workers killed at random under writers of every kind: rows and audit trail agree, nothing acknowledged is lost.

Eight writers change the same traders' rows, each write with an Idempotency-Key of its own, while workers, and now and
then the master, get SIGKILL at random instants. What got no answer is sent again with its key. After every round the
audit trail is played back over the rows as they were and must give the rows as they are, versions and money exactly.
Reached: that holds; every acknowledged write is in the trail once, at the version and with the values it was answered
with; no key is stuck; a replay says so, and so does a first answer; sent once more at the end, each acknowledged write
is answered with its first answer, byte for byte; the mail of every reset left once; `verify_audit` finds nothing.
"""

import signal
import time
from pathlib import Path
from random import Random

from .. import outbox
from ..families import make_family
from ..ledger import Ledger, read_rows
from ..servers import StandError
from ..sink import MailSink
from ..writers import Rows, Writers, contradictions, replayed_otherwise
from . import Measured

REACH = "200 kills under 8 writers: change and audit event always agree, 0 acknowledged lost, 0 stuck keys"
FULL = {"kills": 200, "rounds": 10, "writers": 8, "workers": 4, "replays": 10**6}
QUICK = {"kills": 10, "rounds": 2, "writers": 8, "workers": 2, "replays": 60}
TARGETS = ("platform",)
OWN_SERVICES = False
ONCE = 400  # traders of whom each gets one reset, so that its mail can be counted


def measure(stand, sizes, advance):
    random, token = Random(f"{stand.seed}/kill"), stand.token("superuser")
    with MailSink().start() as sink, stand.database() as connection:
        mark = f"kill{time.time_ns():x}"
        once = {}
        for number in range(ONCE if sizes["kills"] > 50 else ONCE // 10):
            family = make_family(connection, f"{mark}x{number}")
            once[family.user] = family.email
        rows = Rows(stand, once=once)
        ledger, last_event = Ledger(read_rows(connection)), stand.last_event()
        # --preload: the next worker is there at once, and the writers are not kept waiting for Django to load.
        environment = {"EMAIL_URL": sink.url, "GUNICORN_CMD_ARGS": "--preload"}
        journal, faults, kills, masters = [], [], 0, 0
        with stand.serve(workers=sizes["workers"], environment=environment) as server:

            def client():
                return server.client(token)

            for number in range(sizes["rounds"]):
                writers = Writers(
                    client, rows, count=sizes["writers"], seed=stand.seed, name=f"{mark}.{number}"
                ).start()
                for _ in range(sizes["kills"] // sizes["rounds"]):
                    time.sleep(random.uniform(0.05, 0.5))
                    kills += server.kill_worker(random.choice(server.workers() or [None])) is not None
                    advance(kills, sizes["kills"])
                if number % 3 == 1:
                    kill_master(server)
                    masters += 1
                writers.stop()
                journal += writers.journal
                events = stand.events(last_event)
                last_event = events[-1].id if events else last_event
                ledger.play(events)
                found = contradictions(writers.journal, ledger, events) + ledger.differences(read_rows(connection))
                faults += [f"round {number}: {fault}" for fault in found]
            acknowledged = [entry for entry in journal if entry.is_acknowledged]
            again = random.sample(acknowledged, min(len(acknowledged), sizes["replays"]))
            faults += [f"{key}: not its first answer" for key in replayed_otherwise(client, again)]
            faults += missing_mails(connection, sink, journal, once) + broken_chains(stand)
    cut_short = [entry for entry in journal if any(attempt.answer is None for attempt in entry.attempts)]
    kept = [
        entry for entry in cut_short if entry.is_acknowledged and entry.answer.header("Idempotent-Replayed") == "true"
    ]
    numbers = {
        "kills": kills,
        "masters_killed": masters,
        "writes": len(journal),
        "acknowledged": len(acknowledged),
        "sent_once_more": len(again),
        "without_answer": len(cut_short),
        "of_these_kept": len(kept),
        "stuck": sum(entry.answer is None for entry in journal),
        "resets": sum(entry.write.kind == "reset" for entry in journal),
        "mails": len(sink.taken),
        "mails_twice_with_one_id": len(sink.taken) - len({(mail.to, mail.message_id) for mail in sink.taken}),
        "faults": faults[:100],
    }
    said = (
        f"{kills} kills (and {masters} of the master) in {len(journal)} writes: {len(cut_short)} without an answer, "
        f"{len(kept)} of them kept; {len(faults)} contradictions, {numbers['stuck']} stuck keys"
    )
    return Measured(not faults and kills >= sizes["kills"] * 0.9, said, numbers)


def kill_master(server):
    """Kill it and start another, as whoever watches over it would: once its workers have noticed and freed the port."""
    workers = server.workers()
    server.stop(signal.SIGKILL)
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        time.sleep(0.05)
    server.start()


def broken_chains(stand):
    """What the platform's own check finds in its audit trail."""
    try:
        stand.manage("verify_audit")
    except StandError as error:
        return [str(error)]
    return []


def missing_mails(connection, sink, journal, once):
    """Each reset of a trader who got one: one mail, however often it was sent; without one, none."""
    outbox.settled(connection)
    outbox.let_time_pass(connection)
    waits = outbox.settled(connection, quiet=20, patience=120)
    faults = [f"{waits} mails still wait"] if waits else []
    reset = {entry.write.subject[1]: entry for entry in journal if entry.write.kind == "reset"}
    for pk, address in once.items():
        entry = reset.get(pk)
        due = 1 if entry is not None and entry.is_acknowledged else 0
        came = len(sink.message_ids(address))
        if came != due and (entry is None or entry.answer is not None):
            faults.append(f"{came} different mails to {address}, {due} due ({entry.key if entry else 'no reset'})")
    return faults
