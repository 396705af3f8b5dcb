"""
Hostile requests to every operation of the OpenAPI document and every page of the console.

Wrong values, parameters, tokens, bodies, paths and headers, made from the document, each with the answers that may be
given to it. Reached: no case is answered otherwise, none by 5xx, none under /api/ by HTML. The quick size takes a
sample of alike cases.
"""

from .. import suites
from . import Measured

REACH = "at least 5,000 cases, 0 answers 5xx, 0 HTML, each status as written"
FULL = {"cases": 5_000, "options": ["--every-case"]}
QUICK = {"cases": 1_000, "options": []}
TARGETS = ("platform",)
OWN_SERVICES = False
BY_NAME_ONLY = True  # the suite holds its quick size


def measure(stand, sizes, advance):
    outcome = suites.run("support_platform/tests/corpus", *sizes["options"])
    return Measured.cases(outcome, sizes["cases"])
