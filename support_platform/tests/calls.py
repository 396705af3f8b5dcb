"""Every call of the API, read from the URL configuration, so that a new route is covered by being there."""

import re
from dataclasses import dataclass

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLResolver, get_resolver

from support_platform.viewsets import ResourceViewSet

BASE = "/api/v1/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Call:
    method: str
    path: str  # below /api/v1/, an id written {id}
    view: type
    action: str | None
    orderings: tuple = ()
    serializer_class: type | None = None

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def is_list(self):
        """A list in keyset pages with filters."""
        return self.action == "list" and issubclass(self.view, ResourceViewSet)

    @property
    def is_paged(self):
        """In keyset pages, with filters or without."""
        return self.is_list or "cursor" in self.view.parameters.get(self.action, ())

    def address(self, samples, pk=None):
        """The path below /api/v1/ of the sample row, or with the given text in its place."""
        if "{id}" not in self.path:
            return self.path
        return self.path.replace("{id}", str(samples[self.path.split("/")[0]].pk if pk is None else pk))


def all_calls():
    return sorted(_calls(get_resolver().url_patterns, ""), key=str)


def _calls(patterns, prefix):
    for pattern in patterns:
        path = prefix + simplify_regex(str(pattern.pattern)).lstrip("/")
        if isinstance(pattern, URLResolver):
            yield from _calls(pattern.url_patterns, path)
        elif f"/{path}".startswith(BASE):
            yield from _methods(pattern.callback, re.sub(r"<\w+>", "{id}", f"/{path}".removeprefix(BASE)))


def _methods(callback, path):
    view = getattr(callback, "cls", None) or callback.view_class
    actions = getattr(callback, "actions", None)
    given = getattr(callback, "initkwargs", {})
    orderings, serializer_class = (
        given.get(name, getattr(view, name, default))
        for name, default in (("orderings", ()), ("serializer_class", None))
    )
    for method in METHODS:
        name = method.lower()
        if name in actions if actions else name in view.http_method_names and hasattr(view, name):
            yield Call(method, path, view, actions[name] if actions else None, orderings, serializer_class)


def assert_problem(answer, status, *, code=None, field=None):
    """An RFC 9457 problem with every member the contract names, and nothing of the server's inside."""
    shown = answer.content.decode()
    asked = [answer.request.get(name) for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")]
    assert answer.status_code == status, (asked, answer.status_code, shown[:500])
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert problem["status"] == status
    assert problem["request_id"] == answer["X-Request-ID"]
    assert all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail"))
    for inside in ("Traceback", "django", "SELECT ", 'File "', "site-packages"):
        assert inside not in shown
    if status == 401:
        assert answer["WWW-Authenticate"] == "Bearer"
    if code is not None:
        assert problem["code"] == code
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], (asked, problem)
        assert all(error.keys() == {"field", "code", "detail"} for error in problem["errors"])
    return problem
