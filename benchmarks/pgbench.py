"""The SQL of a page alone: pgbench sends the floor's statement, prepared, over as many connections as the load has."""

import re
import shutil
import subprocess
import time
from math import ceil

from faults.servers import StandError

from .cost import SETTLE
from .peers.sql import PAGE_OF


class Pgbench:
    """Stands where a `load.Load` stands; each of `users` has the same share of the pages."""

    def __init__(self, filled, users, connections=8):
        self.program = shutil.which("pgbench")
        if not self.program:
            raise StandError("No pgbench here. Install it (Debian, Ubuntu: apt install postgresql-contrib).")
        self.url, self.connections = filled.environment["DATABASE_URL"], connections
        [[broker]] = filled.rows("SELECT id FROM accounts_broker WHERE name = 'Demo'")
        self.scripts = []
        for user in users:
            script = filled.folder / f"page-{user}.sql"
            script.write_text(" ".join((PAGE_OF % (user, user, broker)).split()) + ";\n")
            self.scripts += ["-f", script]

    def run(self, *, seconds):
        """As `load.Load.run`; pgbench counts whole seconds and tells only the average wait."""
        began = time.perf_counter()
        done = subprocess.run(
            [self.program, "-n", "-M", "prepared", "-c", str(self.connections), "-T", str(ceil(seconds))]
            + [*self.scripts, self.url],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise StandError(f"pgbench failed: {done.stderr.strip()[-500:]}")
        passed = time.perf_counter() - began
        time.sleep(SETTLE)  # its sessions end with it
        count, wait = told(done.stdout)
        return count, passed, [wait]


def told(output):
    """(how many transactions, the average wait in seconds) of pgbench's report"""
    count = int(re.search(r"number of transactions actually processed: (\d+)", output)[1])
    return count, float(re.search(r"latency average = ([0-9.]+) ms", output)[1]) / 1000
