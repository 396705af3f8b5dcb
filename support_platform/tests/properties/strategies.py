"""What Hypothesis draws requests from: values that fit a schema of the OpenAPI document, and values that do not."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import quote

from hypothesis import settings
from hypothesis import strategies as st

from support_platform.decimals import DECIMAL_PLACES, MAX_DIGITS, format_decimal

# For properties that need no request, and for those that need many.
MANY = settings(max_examples=5 * settings().max_examples)
FEW = settings(max_examples=max(10, settings().max_examples // 5))
# All of Unicode, halves of surrogate pairs too.
any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
any_number = st.integers() | st.floats() | st.integers(-(10**400), 10**400)
any_json = st.recursive(
    st.none() | st.booleans() | any_number | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets)  # noqa: DTZ001
past_instants = st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
decimals = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(-(10**MAX_DIGITS) + 1, 10**MAX_DIGITS - 1) | st.integers(-1000, 1000),
    st.integers(0, DECIMAL_PLACES),
).filter(lambda value: len(format_decimal(abs(value)).partition(".")[0]) <= MAX_DIGITS - DECIMAL_PLACES)


def fitting(schema):
    """JSON values that a schema takes, or nearly: a rule may forbid one (a percentage of 0, a date to come)."""
    kinds = schema.get("type", ())
    if "null" in kinds:
        return st.none() | fitting({**schema, "type": next(kind for kind in kinds if kind != "null")})
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kinds == "boolean":
        return st.booleans()
    if kinds == "integer":
        return st.integers(schema.get("minimum"), min(schema["maximum"], 1100)) | st.just(schema["maximum"])
    if kinds == "number":
        return st.integers(0, 100_000_000).map(lambda millionths: millionths / 1_000_000)
    if schema.get("format") == "date-time":
        return (past_instants | instants).map(datetime.isoformat)
    if schema.get("format") == "decimal":
        return decimals.map(abs).map(format_decimal)
    if schema.get("format") == "email":
        return st.emails() | st.from_regex(r"[a-z]{1,9}@[a-z]{1,9}\.example", fullmatch=True)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 60), 60))


@st.composite
def queries(draw, parameters):
    """A query string: of parameters that fit, of some that do not, or of any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60)).decode("latin-1")
    pairs = []
    for name in draw(st.lists(st.sampled_from(sorted(parameters)), max_size=4)) if parameters else ():
        value = draw(fitting(parameters[name]) if draw(st.integers(0, 4)) else any_text)
        pairs.append((name, json.dumps(value) if isinstance(value, bool) else str(value)))
    if draw(st.integers(0, 9)) == 0:
        pairs.append((draw(any_text), draw(any_text)))
    return "&".join("=".join(quote(part, safe="", errors="surrogatepass") for part in pair) for pair in pairs)


@st.composite
def bodies(draw, members):
    """
    The bytes of a body: an object whose members fit or do not, JSON of any shape, or no JSON at all.

    :returns: (the bytes, the object or None)
    """
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=80)), None
    if kind == 1:
        return _written(draw, draw(any_json)), None
    value = {}
    for name in draw(st.lists(st.sampled_from(sorted(members)), unique=True)) if members else ():
        value[name] = draw(fitting(members[name]) if draw(st.integers(0, 5)) else any_json)
    if kind == 2:
        value[draw(any_text)] = draw(any_json)
    return _written(draw, value), value


def _written(draw, value):
    is_ascii = draw(st.booleans())
    return json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")


headers = st.fixed_dictionaries(
    {},
    optional={
        "If-Match": st.sampled_from(['"1"', '"2"', "*", '"1", "7"']) | st.text(st.characters(max_codepoint=255)),
        "Audit-Reason": st.text(max_size=20).map(quote) | st.text(st.characters(max_codepoint=255)),
        "Idempotency-Key": st.text(st.characters(max_codepoint=255), max_size=300),
        "X-Request-ID": st.text(st.characters(max_codepoint=255), max_size=70),
        "Accept": st.text(st.characters(max_codepoint=255)),
    },
)
path_ids = st.integers(0, 2**64).map(str) | any_text.filter(bool).map(
    lambda text: quote(text, safe="", errors="surrogatepass")
)
