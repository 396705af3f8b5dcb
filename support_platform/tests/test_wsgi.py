"""What a server has loaded when its workers are forked: all that requests need, shared by the workers, and no more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import gc, json, sys
import support_platform.wsgi
print(json.dumps({"modules": list(sys.modules), "frozen": gc.get_freeze_count(), "collects": gc.isenabled()}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    environment = {**os.environ, "VAR_DIR": str(tmp_path_factory.mktemp("loaded"))}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_what_requests_need_is_loaded(loaded):
    """The API, the console and what the database and the cache are asked with."""
    views = {f"{app}.views" for app in ("accounts", "trading", "analytics", "support_platform")}
    assert views | {"accounts.admin", "trading.admin", "unfold.admin", "orjson"} <= set(loaded["modules"])


def test_what_only_the_description_of_the_api_needs_is_not(loaded):
    modules = {name for name in loaded["modules"] if name.startswith(("drf_spectacular.", "support_platform.openapi."))}
    assert modules == {"drf_spectacular.apps", "drf_spectacular.checks", "support_platform.openapi.views"}


def test_what_is_loaded_is_out_of_the_garbage_collectors_sight(loaded):
    assert loaded["collects"]
    assert loaded["frozen"] > 100_000
