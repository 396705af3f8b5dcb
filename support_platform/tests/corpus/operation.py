"""An operation of the OpenAPI document, and the hostile requests that can be made to it."""

import random
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from .values import json_text

JSON = "application/json"
# What is in the requests and must be in no answer.
SECRET = "rejected-secret-7f3a"
# Bodies that their operations take; what is sent with them is tried on a dry run or, for tokens, refused with 401.
GOOD = {
    "update_user": {"phone": "+4915112345678"},
    "set_status": {"status": "inactive", "deployments": "pause"},
    "update_deployment": {"stop_loss_pct": 2.5},
    "update_trade": {"result": "7.25"},
    "log_in": {"email": "nobody@desk.example", "password": SECRET},
    "refresh_token": {"refresh": SECRET},
    "revoke_token": {"refresh": SECRET},
}


@dataclass(frozen=True)
class Case:
    """One request and what must come of it; `path` is as it stands in the request line, without the query."""

    category: str
    name: str
    method: str
    path: str
    status: int
    query: str = ""
    headers: tuple = ()
    body: bytes = b""
    content_type: str = JSON
    is_signed_in: bool = True
    field: str | None = None
    finds_nothing: bool = False

    def __str__(self):
        return f"{self.method} {self.path} | {self.category} | {self.name}"


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    described: dict
    document: dict
    row_id: int | None
    user_id: int
    is_whole: bool

    def __str__(self):
        return self.described["operationId"]

    @property
    def is_write(self):
        return self.method != "GET"

    @property
    def needs_token(self):
        return bool(self.described["security"]) and {} not in self.described["security"]

    @property
    def reads_token(self):
        return bool(self.described["security"])

    @property
    def address(self):
        return self.path.replace("{id}", str(self.row_id))

    @cached_property
    def parameters(self):
        """{place: {name: schema}}"""
        found = {"path": {}, "query": {}, "header": {}}
        for parameter in map(self.followed, self.described.get("parameters", ())):
            found[parameter["in"]][parameter["name"]] = self.followed(parameter["schema"])
        return found

    @cached_property
    def members(self):
        """{name: schema} of the body; empty where there is none."""
        body = self.described.get("requestBody")
        schema = self.followed(body["content"][JSON]["schema"]) if body else {}
        return {name: self.followed(part) for name, part in schema.get("properties", {}).items()}

    @property
    def needs_body(self):
        body = self.described.get("requestBody")
        return bool(body) and {"required", "minProperties"} & self.followed(body["content"][JSON]["schema"]).keys()

    @property
    def good_body(self):
        return GOOD[str(self)] if self.members else {}

    @property
    def scope(self):
        """What the query must hold for anything to be answered."""
        return {"user": self.user_id} if "interval" in self.parameters["query"] else {}

    @property
    def success(self):
        """What the operation answers when nothing is wrong with the request; see GOOD for the tokens'."""
        return 401 if SECRET in str(self.good_body) else next(int(code) for code in self.described["responses"])

    def followed(self, node):
        if "$ref" not in node:
            return node
        _, _, kind, name = node["$ref"].split("/")
        return self.document["components"][kind][name]

    def some(self, found, count, *, of):
        """All of these when the whole corpus is asked for, else as many, always the same ones."""
        if self.is_whole or len(found) <= count:
            return found
        return dict(random.Random(f"{self} {of}").sample(sorted(found.items(), key=repr), count))

    def refused(self, category, name, status, field=None, **changes):
        """A case that must be refused, and would be done if it were not."""
        body = json_text(self.good_body).encode() if self.is_write and self.good_body else b""
        case = Case(category, name, self.method, self.address, status, urlencode(self.scope), body=body, field=field)
        return replace(case, **changes)

    def taken(self, category, name, **changes):
        """A case that must be answered as if nothing were odd; on a dry run."""
        query = {**self.scope, **({"dry_run": "true"} if "dry_run" in self.parameters["query"] else {})}
        return replace(self.refused(category, name, self.success), query=urlencode(query), **changes)

    def with_query(self, *pairs):
        """These parameters, and the scope if they name none."""
        named = {name for name, _ in pairs} & {"user", "user_email", "strategy", "deployment"}
        return urlencode([*({} if named else self.scope).items(), *pairs])
