"""
Schemathesis plays the OpenAPI document against the API, as nobody and as each role.

Requests that fit the document and requests that do not; needs requirements-fuzz.txt. Reached: no server error, every
answer as the document says, whatever does not fit it refused.
"""

from importlib.util import find_spec

from .. import suites
from ..servers import StandError
from . import Measured

REACH = "10,000 cases, 0 server errors, schema conformance"
FULL = {"cases": 10_000, "profile": "long"}
QUICK = {"cases": 100, "profile": "quick"}
TARGETS = ("platform",)
OWN_SERVICES = False
BY_NAME_ONLY = True  # a long run, with a package of its own


def measure(stand, sizes, advance):
    if find_spec("schemathesis") is None:
        raise StandError("schemathesis is missing: .venv/bin/pip install -r requirements-fuzz.txt")
    outcome = suites.run(
        "support_platform/tests/properties/test_schemathesis.py",
        f"--hypothesis-profile={sizes['profile']}",
        f"--hypothesis-seed={stand.seed}",
    )
    return Measured.cases(outcome, sizes["cases"])
