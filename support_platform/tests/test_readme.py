"""The README's support case, played as written: the shell lines of its block against a served platform."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def served(tmp_path):
    """A server of its own with demo data, on SQLite in a folder of its own; gives the environment to reach it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    foreign = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "ENVIRONMENT", "WEB_CONCURRENCY", "SECRET_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    environment |= {"VAR_DIR": str(tmp_path), "PORT": port, "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--traders", "3", "--trades", "30"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "support_platform.wsgi"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"{environment['PUBLIC_URL']}/health/ready/")
        yield environment
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's case is played with curl; install it")
def test_the_support_case(served, tmp_path):
    text = (ROOT / "README.md").read_text()
    case = re.search(r"## A support case.*?```sh\n(.*?)```", text, re.DOTALL)[1].replace("cookies.tmp", "$VAR_DIR/jar")

    played = subprocess.run(
        ["sh", "-eu", "-c", case], cwd=ROOT, env=served, capture_output=True, text=True, timeout=120, check=False
    )

    assert played.returncode == 0, played.stderr
    told = played.stdout
    assert '"state": "active"' in told
    assert '"status":"paused"' in told
    assert "'before': {'win_rate'" in told
    assert '"reason": "trader called"' in told
    assert '"sent_to":"t***@demo.example"' in told
    assert "<h1>Your password is changed</h1>" in told, told
    assert told.rstrip().endswith("401")
    assert "account/password/W" not in (tmp_path / "server.log").read_text()
