"""Whether an answer is one that the OpenAPI document describes."""

import re
from functools import cache

from jsonschema import Draft202012Validator

from support_platform.decimals import PLAIN

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)


class Described:
    """The answers that one operation describes; `whole` fills in and closes a schema."""

    def __init__(self, operation, whole):
        self.operation, self.whole = operation, whole
        self.validator = cache(self._validator)

    def _validator(self, status):
        answer = self.operation.followed(self.operation.described["responses"][str(status)])
        [(media_type, media)] = answer["content"].items()
        schema = self.whole(media["schema"], self.operation.document)
        checker = Draft202012Validator.FORMAT_CHECKER
        return media_type, Draft202012Validator(schema, format_checker=checker)

    def check(self, answer):
        assert answer.status_code < 500, answer.content
        assert str(answer.status_code) in self.operation.described["responses"], (answer.status_code, answer.content)
        media_type, validator = self.validator(answer.status_code)
        assert answer["Content-Type"] == media_type
        value = answer.json()
        faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not faults, faults
        if answer.status_code >= 400:
            assert (value["status"], value["request_id"]) == (answer.status_code, answer["X-Request-ID"])
        else:
            check_spelling(value)


def check_spelling(value, name=""):
    """Instants in UTC with Z; decimals, which are the strings that look like numbers, plain and in one spelling."""
    if isinstance(value, dict):
        for key in value.keys() - {"definitions"}:
            check_spelling(value[key], key)
    elif isinstance(value, list):
        for inner in value:
            check_spelling(inner, name)
    elif isinstance(value, str) and (name.endswith("_at") or name in ("at", "as_of", "since", "until", "start")):
        assert _INSTANT.fullmatch(value), (name, value)
    elif isinstance(value, str) and PLAIN.fullmatch(value) and name in DECIMALS:
        assert not re.search(r"\.\d*0$|^-0$", value), (name, value)


DECIMALS = (
    "quantity",
    "capital",
    "strike",
    "result",
    "fees",
    "entry_price",
    "exit_price",
    "stop_loss",
    "target",
    "pnl",
)
