"""
The mail server gone, silent, refusing or forgetful while workers are killed: each reset's mail arrives once.

Resets of many traders, one each, go on while the mail server is in trouble and workers get SIGKILL; then it is well
again. What waits is made due by setting the clock of the queue forward, for its pauses are minutes. Reached: every
reset is answered 202, none later than 5 s; in the end no mail waits, and each acknowledged reset has brought its
trader exactly one mail, by its Message-ID: one that the server took without saying so may come a second time, as SMTP
has it, and can be told by its id.
"""

import signal
import threading
import time
from random import Random

from .. import outbox
from ..families import make_family
from ..sink import MailSink
from ..writers import Entry, Write, attempt_once, must_come_again
from . import Measured

REACH = "mail server away, workers killed: resets 202 quickly, every mail once afterwards"
FULL = {"resets": 40, "kills": 5, "workers": 4, "longest": 5}
QUICK = {"resets": 6, "kills": 1, "workers": 2, "longest": 20}
TARGETS = ("platform",)
OWN_SERVICES = False
TROUBLES = ("gone", "hangs", "refuses", "forgets", "takes")
SENDERS = 4


def measure(stand, sizes, advance):
    random, token, mark = Random(f"{stand.seed}/mail"), stand.token("superuser"), f"mail{time.time_ns():x}"
    faults, told, resets, kills = [], {}, {}, 0
    with MailSink().start() as sink, stand.database() as connection:
        environment = {"EMAIL_URL": sink.url, "GUNICORN_CMD_ARGS": "--preload"}
        with stand.serve(workers=sizes["workers"], environment=environment) as server:
            for number, trouble in enumerate(TROUBLES):
                advance(number, len(TROUBLES))
                families = [make_family(connection, f"{mark}.{trouble}.{n}") for n in range(sizes["resets"])]
                fall_into(sink, trouble)
                entries = reset_all(server, token, families, random, sizes["kills"])
                kills += sizes["kills"]
                time.sleep(2)
                recover(sink)
                resets |= {family.email: entry for family, entry in zip(families, entries, strict=True)}
                # Those that asked while their worker lived, and were not held up by a kill.
                direct = [entry.attempts[0].seconds for entry in entries if len(entry.attempts) == 1]
                told[trouble] = {"slowest_answer": round(max(direct, default=0), 2)}
                if max(direct, default=0) > sizes["longest"]:
                    faults.append(f"{trouble}: a reset was answered after {max(direct):.1f} s")
            waits = drained(connection)
    if waits:
        faults.append(f"{waits} mails still wait")
    copies = [mail.message_id for mail in sink.taken]
    for address, entry in resets.items():
        came = len(sink.message_ids(address))
        if entry.answer is None or entry.answer.status != 202:
            status = entry.answer.status if entry.answer else "nothing"
            faults.append(f"reset of {address}: answered {status} ({entry.key})")
        elif came != 1:
            faults.append(f"{came} different mails to {address}, 1 due ({entry.key})")
    numbers = {
        "resets": len(resets),
        "kills": kills,
        "mails": len(set(copies)),
        "came_twice_with_one_id": len(copies) - len(set(copies)),
        "slowest_answer": max(one["slowest_answer"] for one in told.values()),
        "troubles": told,
        "faults": faults[:100],
    }
    said = (
        f"{len(resets)} resets through {len(TROUBLES) - 1} troubles and {kills} kills: {numbers['mails']} mails, "
        f"{numbers['came_twice_with_one_id']} of them twice under one Message-ID, slowest answer "
        f"{numbers['slowest_answer']} s, {len(faults)} contradictions"
    )
    return Measured(not faults, said, numbers)


def fall_into(sink, trouble):
    if trouble == "gone":
        sink.stop()
    else:
        sink.mode = trouble


def recover(sink):
    sink.mode = "takes"
    if not sink.is_up:
        sink.start()


def reset_all(server, token, families, random, kills):
    """One reset each, by a few senders, while workers are killed. What gets no answer is sent again with its key."""
    entries = [
        Entry(f"{family.email}", Write("reset", "POST", f"/api/v1/users/{family.user}/password-reset/", None, True))
        for family in families
    ]

    def send(mine):
        client = server.client(token)
        for entry in mine:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                attempt = attempt_once(client, entry)
                if attempt.answer is not None and not must_come_again(attempt.answer):
                    break
                time.sleep(0.1)
        client.close()

    senders = [threading.Thread(target=send, args=(entries[place::SENDERS],)) for place in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        time.sleep(random.uniform(0.1, 0.6))
        server.kill_worker(how=signal.SIGKILL)
    for sender in senders:
        sender.join()
    return entries


def drained(connection, patience=240):
    """Let time pass in the queue until it is empty; returns how many mails wait even then."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if outbox.settled(connection, quiet=3) == 0:
            return 0
        outbox.let_time_pass(connection)
        outbox.settled(connection, quiet=20)
    return outbox.waiting(connection)
