"""
Hostile values by the type that the OpenAPI document declares: {readable name: value}.

What stands under a type is refused by every parameter or member of that type. A value that some accept and others
refuse has no place here.
"""

import json
import re

DIGITS_30 = "9" * 30
ARABIC_ONE = "\u0661"
FULL_WIDTH_ONE = "\uff11"

# --- ids in a path: percent-encoded, because the path is what is sent --------------------------------------
PATH_IDS = {
    "0": "0",
    "-1": "-1",
    "-0": "-0",
    "2^63": str(2**63),
    "2^64 + 1": str(2**64 + 1),
    "30 digits": DIGITS_30,
    "1,000 digits": "9" * 1000,
    "NUL": "%00",
    "1 and NUL": "1%00",
    "1.0": "1.0",
    "1e0": "1e0",
    "0x1": "0x1",
    "1_0": "1_0",
    "space before": "%201",
    "space after": "1%20",
    "line break after": "1%0A",
    "leading zero": "01",
    "plus": "+1",
    "plus, escaped": "%2B1",
    "Arabic digit": "%D9%A1",
    "full-width digit": "%EF%BC%91",
    "superscript digit": "%C2%B2",
    "not UTF-8": "%FF",
    "surrogate": "%ED%A0%80",
    "word": "abc",
    "null": "null",
    "true": "true",
    "me": "me",
    "quote": "1'",
    "SQL": "1%20OR%201=1",
    "two ids": "1,2",
    "matrix parameter": "1;a=b",
    "JSON": "%7B%7D",
    "template": "%7B%7B7*7%7D%7D",
    "dots, escaped": "%2E%2E",
    "backslash": "..%5C..%5Cetc",
    "script": "%3Cscript%3E",
}

# --- query parameters: text, sent percent-encoded ---------------------------------------------------------
# Refused as text wherever a parameter takes text, and as a value wherever it takes anything else.
NO_TEXT = {
    "space": " ",
    "tab": "\t",
    "line break inside": "a\nb",
    "CRLF and a header": "a\r\nX-Evil: 1",
    "bell": "a\x07b",
    "escape sequence": "\x1b[2J",
    "delete": "\x7f",
    "C1 control": "a\x85b",
    "right-to-left override": "a\u202eb",
    "isolate": "\u2066a\u2069",
    "10,000 characters": "x" * 10_000,
}
# Refused wherever a parameter takes a number, an id, an instant, a choice or a boolean.
NO_VALUE = {
    **NO_TEXT,
    "NaN": "NaN",
    "sNaN": "sNaN",
    "Infinity": "Infinity",
    "1e999999": "1e999999",
    "1e-999999": "1e-999999",
    "null": "null",
    "None": "None",
    "undefined": "undefined",
    "array": "[]",
    "object": "{}",
    "quote": "'",
    "SQL": "1' OR '1'='1",
    "SQL, stacked": "1; DROP TABLE accounts_user; --",
    "script": "<script>alert(1)</script>",
    "template": "{{7*7}}${7*7}",
    "path": "../../etc/passwd",
    "emoji": "\U0001f600",
    "two values": "1,2",
    "0x1": "0x1",
}
NO_ID = {
    "0": "0",
    "-1": "-1",
    "-0": "-0",
    "2^63": str(2**63),
    "30 digits": DIGITS_30,
    "5,000 digits": "9" * 5000,
    "1.0": "1.0",
    "1e3": "1e3",
    "1_0": "1_0",
    "space before": " 1",
    "space after": "1 ",
    "leading zero": "01",
    "plus": "+1",
    "Arabic digit": ARABIC_ONE,
    "full-width digit": FULL_WIDTH_ONE,
    "superscript digit": "\u00b2",
    "true": "true",
    "word": "abc",
}
NO_BOOLEAN = {
    **{value: value for value in ("True", "FALSE", "1", "0", "yes", "no", "on", "t", "abc")},
    "space before": " true",
    "space after": "true ",
}
NO_INSTANT = {
    "a date": "2026-01-01",
    "without offset": "2026-01-01T00:00:00",
    "a space for the plus": "2026-01-01T00:00:00 02:00",
    "year 0": "0000-01-01T00:00:00Z",
    "year 99999": "99999-01-01T00:00:00Z",
    "negative year": "-2026-01-01T00:00:00Z",
    "before year 1 in UTC": "0001-01-01T00:00:00+23:59",
    "after year 9999 in UTC": "9999-12-31T23:59:59-23:59",
    "month 13": "2026-13-01T00:00:00Z",
    "30 February": "2026-02-30T00:00:00Z",
    "hour 25": "2026-01-01T25:00:00Z",
    "leap second": "2026-06-30T23:59:60Z",
    "offset 99:99": "2026-01-01T00:00:00+99:99",
    "seven decimals": "2026-01-01T00:00:00.1234567Z",
    "ISO week": "2026-W01-1T00:00:00Z",
    "basic format": "20260101T000000Z",
    "zone name": "2026-01-01T00:00:00[Europe/Berlin]",
    "seconds since 1970": "1767225600",
    "now": "now",
    "Arabic digits": "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
    "space after": "2026-01-01T00:00:00Z ",
}
NO_WINDOW = {value: value for value in ("0d", "-1d", "1w", "1.5h", "1 d", "d", "1D", "PT1H", "100000d")}
NO_CHOICE = {"junk": "junk", "number": "1", "true": "true", "30 digits": DIGITS_30}
NO_ADDRESS = {
    **{value: value for value in ("999.1.1.1", "1.2.3", "127.1", "1.2.3.4/32", "localhost", "::g", "fe80::1%eth0")},
}
NO_CURSOR = {
    "colons": "::",
    "three parts": "a:b:c",
    "unsigned": "W10:1:1",
    "base64 of {}": "e30=",
    "accents": "\u00e9:\u00e9:\u00e9",
}

# Taken as text, and found nowhere: an injection that worked would find something.
TEXT_FOUND_NOWHERE = {
    "SQL": "' OR 1=1 --",
    "SQL, stacked": "'; DROP TABLE accounts_user; --",
    "SQL, union": "x') UNION SELECT password FROM accounts_user --",
    "percent sign": "%zz%",
    "underscores": "__zz__",
    "backslash": "\\zz",
    "JSON path": '$."zz"[0]',
    "script": "<script>alert(1)</script>",
    "template": "{{7*7}}${7*7}",
    "format string": "%s%n{0}",
    "path": "../../etc/passwd",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469",
    "dotless i": "\u0131\u0130",
    "100 combining marks": "z" + "\u0301" * 99,
}

# --- members of a body: JSON values ------------------------------------------------------------------------
OF_ANOTHER_TYPE = {
    "true": True,
    "false": False,
    "0": 0,
    "1": 1,
    "1.5": 1.5,
    "10^30": 10**30,
    "text": "junk",
    "digit in a string": "1",
    "true in a string": "true",
    "empty string": "",
    "array": [],
    "array of null": [None],
    "array of one": ["active"],
    "object": {},
    "nested object": {"a": {"b": [1]}},
    "MongoDB operator": {"$gt": ""},
}
NO_DECIMAL = {
    "NaN in a string": "NaN",
    "sNaN in a string": "sNaN",
    "Infinity in a string": "Infinity",
    "-Infinity in a string": "-Infinity",
    "exponent in a string": "1e5",
    "huge exponent in a string": "1e999999",
    "tiny exponent in a string": "1e-999999",
    "30 decimal places": "0." + "1" * 30,
    "13 decimal places": "0.1234567890123",
    "19 digits before the point": "1234567890123456789",
    "5,000 digits in a string": "9" * 5000,
    "space before": " 1",
    "space after": "1 ",
    "line break after": "1\n",
    "plus": "+1",
    "leading zero": "01",
    "no digit before the point": ".5",
    "no digit after the point": "1.",
    "comma": "1,5",
    "thousands": "1,000",
    "underscore": "1_000",
    "hexadecimal": "0x10",
    "fraction": "1/2",
    "currency": "$1",
    "minus zero in a string": "-0",
    "minus 0.0 in a string": "-0.0",
    "Arabic digit": ARABIC_ONE,
    "full-width digit": FULL_WIDTH_ONE,
    "Unicode minus": "\u22121",
}
NO_EMAIL = {
    "no at": "a",
    "nothing after the at": "a@",
    "nothing before the at": "@demo.example",
    "no dot": "a@b",
    "two ats": "a@b@demo.example",
    "space inside": "a b@demo.example",
    "space before": " a@demo.example",
    "space after": "a@demo.example ",
    "line break after": "a@demo.example\n",
    "CRLF and a header": "a@demo.example\r\nBcc: b@demo.example",
    "two addresses": "a@demo.example,b@demo.example",
    "name and address": "A <a@demo.example>",
    "two dots": "a@demo..example",
    "hyphen first": "a@-demo.example",
    "line break in quotes": '"a\nb"@demo.example',
    "right-to-left override": "a\u202eb@demo.example",
    "control": "a\x07@demo.example",
    "accent before the at": "\u00e9@demo.example",
    "255 characters": "a" * 242 + "@demo.example",
    "100,000 characters": "a" * 100_000 + "@demo.example",
}
NO_PHONE = {
    "national": "0151 12345678",
    "spaces": "+49 151 12345678",
    "hyphens": "+49-151-12345678",
    "no plus": "4915112345678",
    "country code 0": "+0123456789",
    "6 digits": "+123456",
    "16 digits": "+1234567890123456",
    "extension": "+4915112345678;ext=1",
    "space before": " +4915112345678",
    "space after": "+4915112345678 ",
    "line break after": "+4915112345678\n",
    "Arabic digits": "+\u0664\u0669\u0661\u0665\u0661\u0661\u0662\u0663\u0664",
    "right-to-left override": "\u202e+4915112345678",
    "formula": "=1+1",
    "10,000 digits": "+" + "1" * 10_000,
}


class Raw(str):
    """A JSON value as it is to stand in the body, for what json.dumps would not write."""


# Refused wherever they stand: the body as a whole is not strict JSON.
NO_JSON_VALUE = {
    "NaN": Raw("NaN"),
    "Infinity": Raw("Infinity"),
    "-Infinity": Raw("-Infinity"),
    "1e999": Raw("1e999"),
    "-1E+999": Raw("-1E+999"),
    "1e-999999": Raw("1e-999999"),
    "exponent of 20 digits": Raw("1e99999999999999999999"),
    "5,000 digits": Raw("9" * 5000),
    "5,000 decimal places": Raw("0." + "1" * 5000),
    "leading zero": Raw("01"),
    "plus": Raw("+1"),
    "hexadecimal": Raw("0x1"),
    "single quotes": Raw("'1'"),
    "NUL": Raw('"a\\u0000b"'),
    "lone high surrogate": Raw('"\\ud800"'),
    "lone low surrogate": Raw('["\\udfff"]'),
    "surrogates the wrong way round": Raw('"\\ude00\\ud83d"'),
    "raw line break": Raw('"a\nb"'),
    "33 levels": Raw("[" * 33 + "]" * 33),
    "1,000 levels": Raw("[" * 1000 + "]" * 1000),
    "2 kB of brackets": Raw("[" * 2048),
    "a key twice": Raw('{"a": 1, "a": 2}'),
    "a key twice, escaped": Raw('{"a": 1, "\\u0061": 2}'),
    "NUL in a key": Raw('{"\\u0000": 1}'),
    "comment": Raw("1 /* one */"),
    "trailing comma": Raw("[1,]"),
    "nothing": Raw(""),
}


def for_parameter(schema):
    """What a query parameter of this schema refuses: (what all of many kinds refuse, what is its own)."""
    kind, limit = schema.get("type"), schema.get("maxLength")
    if "enum" in schema:
        known = schema["enum"]
        odd = {f"{value} in capitals": value.upper() for value in known if value.upper() not in known}
        return NO_VALUE, {**NO_CHOICE, **odd, "space before": f" {known[0]}", "list": ",".join((*known, "x"))}
    if kind == "boolean":
        return NO_VALUE, NO_BOOLEAN
    if kind == "integer":
        own = {**NO_ID, f"{schema['maximum']} and one": str(schema["maximum"] + 1)}
        return NO_VALUE, {name: value for name, value in own.items() if name != "0" or schema["minimum"] > 0}
    if schema.get("format") == "date-time":
        return NO_VALUE, NO_INSTANT
    if "pattern" in schema:
        own = NO_PHONE if re.search(schema["pattern"], "+4915112345678") else NO_WINDOW | NO_ID
        return NO_VALUE, {name: value for name, value in own.items() if value}
    if "IP" in schema.get("description", ""):
        return NO_VALUE, NO_ADDRESS
    if limit:
        return {}, {**NO_TEXT, f"{limit} characters and one": "x" * (limit + 1)}
    return NO_VALUE, NO_CURSOR


def for_member(schema):
    """What a member of a body with this schema refuses; the member is named in the answer."""
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    refused = dict(OF_ANOTHER_TYPE) if "null" in kinds else {**OF_ANOTHER_TYPE, "null": None}
    if "enum" in schema:
        for known in schema["enum"]:
            refused |= {f"{known} in capitals": known.upper(), f"{known} and a space": f"{known} "}
        return refused | {"right-to-left override": f"\u202e{schema['enum'][0]}", "null in a string": "null"}
    if "boolean" in kinds:
        return {name: value for name, value in refused.items() if not isinstance(value, bool)}
    if "integer" in kinds:
        low, high = schema["minimum"], schema["maximum"]
        refused |= {f"{low} less one": low - 1, f"{high} and one": high + 1, "2^63": 2**63, "1.0": Raw("1.0")}
        refused |= {"1e0": Raw("1e0"), "minus zero": Raw("-0"), "-1": -1}
        return {name: value for name, value in refused.items() if name != "1"}
    if "number" in kinds:
        refused |= {"7 decimal places": Raw("1.1234567"), "1e-7": Raw("1e-7"), "minus zero": Raw("-0")}
        refused |= {"minus 0.0": Raw("-0.0"), "-1": -1, "minus a bit": Raw("-0.000001")}
        refused |= {"number in a string": "2.5", "a bit over": Raw(f"{schema['maximum']}00001")}
        return {name: value for name, value in refused.items() if name not in ("1", "1.5")}
    if schema.get("format") == "decimal":
        refused = {name: value for name, value in refused.items() if name not in ("1", "1.5", "digit in a string")}
        refused |= NO_DECIMAL | {"minus zero": Raw("-0"), "13 places as a number": Raw("0.1234567890123")}
        if schema["pattern"].startswith("^-"):
            return {name: value for name, value in refused.items() if name != "0"}
        return refused | {"0 in a string": "0", "0.0 in a string": "0.0", "-1": -1, "-0.5 in a string": "-0.5"}
    if schema.get("format") == "date-time":
        return {**refused, **NO_VALUE, **NO_INSTANT}
    if schema.get("format") == "email":
        return {**refused, **NO_EMAIL}
    if schema.get("format") == "password":
        kept = ("text", "digit in a string", "true in a string")
        refused = {name: value for name, value in refused.items() if name not in kept}
        return {**refused, f"{schema['maxLength']} characters and one": "x" * (schema["maxLength"] + 1)}
    if "E.164" in schema.get("description", ""):
        return {**refused, **NO_PHONE}
    raise LookupError(f"No hostile values are known for {schema}; add them here.")


def json_text(members):
    """A JSON object of these members, `Raw` ones as they are."""
    return (
        "{"
        + ", ".join(
            f"{json.dumps(name)}: {value if isinstance(value, Raw) else json.dumps(value)}"
            for name, value in members.items()
        )
        + "}"
    )
