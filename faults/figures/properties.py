"""
What must hold for all input, tried on generated input: parameters, bodies, pages, decimals, headers, figures.

Hypothesis makes the cases from the harness's seed. Reached: the properties hold in all of them.
"""

from .. import suites
from . import Measured

REACH = "50,000 cases, 0 server errors"
FULL = {"cases": 50_000, "profile": "long"}
QUICK = {"cases": 1_000, "profile": "quick"}
TARGETS = ("platform",)
OWN_SERVICES = False
BY_NAME_ONLY = True  # the suite holds its quick size
TESTS = ("support_platform/tests/properties", "analytics/tests/test_metrics_properties.py")


def measure(stand, sizes, advance):
    outcome = suites.run(
        *TESTS,
        "--ignore=support_platform/tests/properties/test_schemathesis.py",
        f"--hypothesis-profile={sizes['profile']}",
        f"--hypothesis-seed={stand.seed}",
    )
    return Measured.cases(outcome, sizes["cases"])
