"""Where no Chromium is, the last line says so and how to get one; where one is named that is not there, tests fail."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(**environment):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "browser/test_watch.py"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CHROMIUM"))}
    return subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, timeout=300
    )


def test_without_a_chromium_they_are_skipped_and_the_last_line_says_how_to_get_it(tmp_path):
    done = run(PATH=str(tmp_path))

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == (
        "5 browser tests were skipped: no Chromium here: apt install chromium (Debian, Ubuntu), "
        "or name yours: CHROMIUM=/path/to/chrome script/test"
    )


def test_a_chromium_that_is_named_must_be_there(tmp_path):
    done = run(CHROMIUM=str(tmp_path / "chrome"))

    assert done.returncode != 0
    assert "which is no program on this machine" in done.stdout + done.stderr
