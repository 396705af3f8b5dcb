"""Parts of the test suite as figures: run in a process of their own on SQLite, and counted."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from .guards import ROOT

PASSED, FAILED = 0, 1
SERVICES = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "ENVIRONMENT", "WEB_CONCURRENCY", "PYTEST_ADDOPTS")
_CASES = re.compile(r"^ *(\d+) generated cases in all$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """How pytest ended (`code` as its exit code) and what it printed."""

    code: int
    printed: str

    @property
    def cases(self):
        """How many generated cases were tried; 0 if it printed none."""
        counted = _CASES.search(self.printed)
        return int(counted[1]) if counted else 0

    @property
    def last_line(self):
        lines = self.printed.strip().splitlines()
        return lines[-1] if lines else "pytest printed nothing"


def run(*arguments, tree=ROOT, seconds=3600):
    """
    Run pytest in `tree` with the embedded defaults, whatever services the caller's environment names.

    :raises subprocess.TimeoutExpired: if it takes longer than `seconds`
    """
    environment = {name: value for name, value in os.environ.items() if name not in SERVICES}
    outcome = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=tree,
        env=environment | {"VAR_DIR": str(tree / "var")},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Outcome(outcome.returncode, outcome.stdout)
