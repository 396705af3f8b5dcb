"""
What the domain may raise, and how every error of the API is answered: RFC 9457 problem+json.

Operations raise the plain exceptions; only this module's handler knows HTTP.
"""

import json
import logging
import sqlite3

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from redis.exceptions import RedisError
from rest_framework import exceptions as drf
from rest_framework.response import Response

from . import logs

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:support-platform:problem:"

TITLES = {
    400: "The request is not valid",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "The current state does not allow this",
    411: "Length required",
    412: "The resource has changed",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "The key belongs to another request",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Temporarily unavailable",
}
DETAILS = {
    401: "Send a valid access token: Authorization: Bearer <token>. POST /api/v1/auth/token/ gives one.",
    403: "Your role does not include the right to do this. Ask a supervisor.",
    404: "There is no such resource within your reach.",
    411: "Send the body with a Content-Length.",
    500: "Nothing was changed by this request. Tell the operators the request id.",
    # Not "nothing was changed": a connection that breaks while it commits leaves that open.
    503: "A part this request needs is not available. Try again shortly, a write with its Idempotency-Key.",
}
CODES = {
    400: "invalid",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    411: "length_required",
    412: "stale",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "idempotency_key_reused",
    429: "throttled",
    500: "internal_error",
    503: "unavailable",
}
RETRY_AFTER_SECONDS, LONG_RETRY_AFTER_SECONDS = 2, 30
MAX_ERRORS, MAX_NAME = 100, 100

# What PostgreSQL says when it is away or cannot work now, by SQLSTATE: one code can arrive as several of Django's
# exceptions, and one exception can be our own wrong statement. Classes: connection lost, transaction rolled back
# (deadlock, serialization), out of resources, an operator's intervention (shutdown, timeout), system error.
_UNAVAILABLE_CLASSES = ("08", "40", "53", "57", "58")
# It only reads (a standby); a transaction was ended for idling or for its length; a lock was not to be had.
_UNAVAILABLE_STATES = ("25006", "25P03", "25P04", "55006", "55P03")
# A retry after two seconds would only do it again: a statement took too long, the disk is full.
_LONG_STATES = ("57014", "53100")
_UNAVAILABLE_ON_SQLITE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)


class OperationRefused(Exception):
    """
    The subject's state forbids the change (409).

    `code` is stable and for programs, `detail` says what to do next, `extra` goes into the answer as it is.
    """

    def __init__(self, code, detail, **extra):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = extra


class InvalidChange(Exception):
    """The values asked for break a rule (400). `errors` maps a field to (code, detail)."""

    def __init__(self, **errors):
        super().__init__("; ".join(f"{field}: {detail}" for field, (_, detail) in errors.items()))
        self.errors = errors


class StaleVersion(Exception):
    """The row has moved on since the caller read it (412). `current` is the row's version now."""

    def __init__(self, current):
        super().__init__(
            f"It is at version {current} now. Read it again, then repeat the change with its current ETag."
        )
        self.current = current


class OutOfReach(Exception):
    """The subject is gone, or not one this operation may touch (404)."""


class Unavailable(Exception):
    """A part that the request cannot do without is away (503)."""


def problem(status, *, request_id, code=None, title=None, detail=None, **extra):
    code = code or CODES.get(status, "error")
    if status == 400 and "errors" not in extra:
        error = {"field": "request", "code": code, "detail": detail or TITLES[400]}
        extra["errors"] = [error]
    return {
        "type": TYPE_PREFIX + code,
        "title": title or TITLES.get(status, "Error"),
        "status": status,
        "detail": detail or DETAILS.get(status) or TITLES.get(status, "Error"),
        "code": code,
        **extra,
        "request_id": request_id,
    }


def problem_response(status, request, *, headers=None, **members):
    """A problem outside DRF's views: middleware, unknown paths, Django's own errors."""
    body = problem(status, request_id=getattr(request, "request_id", None), **members)
    response = HttpResponse(json.dumps(body), status=status, content_type=CONTENT_TYPE, headers=headers)
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def flatten(detail, path=""):
    """DRF's nested error details as a list of {field, code, detail}."""
    if isinstance(detail, dict):
        return [
            row
            for key, value in detail.items()
            for row in flatten(value, f"{path}.{key}" if path and key != "non_field_errors" else path or key)
        ]
    if isinstance(detail, list):
        nested = [isinstance(item, dict | list) for item in detail]
        return [
            row
            for index, item in enumerate(detail)
            for row in flatten(item, f"{path}[{index}]" if nested[index] and item else path)
        ]
    return [{"field": path or "body", "code": getattr(detail, "code", "invalid"), "detail": str(detail)}]


def _translate(exc):
    """(status, members of the problem, headers) of an exception; None for one nobody foresaw."""
    if isinstance(exc, OperationRefused):
        return 409, {"code": exc.code, "detail": exc.detail, **exc.extra}, {}
    if isinstance(exc, InvalidChange):
        errors = [{"field": f, "code": code, "detail": text} for f, (code, text) in exc.errors.items()]
        return 400, _invalid(errors), {}
    if isinstance(exc, StaleVersion):
        return 412, {"detail": str(exc)}, {"ETag": f'"{exc.current}"'}
    if isinstance(exc, OutOfReach | Http404 | drf.NotFound):
        return 404, {}, {}
    if isinstance(exc, drf.ParseError):
        return 400, _invalid([{"field": "body", "code": "parse_error", "detail": str(exc.detail)}]), {}
    if isinstance(exc, drf.ValidationError):
        return 400, _invalid(flatten(exc.detail)), {}
    if isinstance(exc, drf.NotAuthenticated | drf.AuthenticationFailed):
        return 401, {"detail": getattr(exc, "shown", None)}, {"WWW-Authenticate": "Bearer"}
    if isinstance(exc, drf.PermissionDenied | PermissionDenied):
        return 403, {}, {}
    if isinstance(exc, drf.Throttled):
        wait = max(1, int(exc.wait or 1))
        members = {"detail": f"The limit is reached. Try again in {wait} seconds."}
        return 429, members, {"Retry-After": str(wait)}
    if isinstance(exc, RequestDataTooBig):
        return 413, {}, {}
    if isinstance(exc, SuspiciousOperation | BadRequest | UnreadablePostError):
        return 400, {"detail": "The request could not be read."}, {}
    if is_unavailable(exc):
        return 503, {}, {"Retry-After": str(retry_after(exc))}
    if isinstance(exc, IntegrityError):
        # Two changes that each were right met in the database, which let one of them through.
        diagnosis = getattr(exc.__cause__, "diag", None)
        logs.event("constraint_refused", level=logging.ERROR, constraint=getattr(diagnosis, "constraint_name", None))
        return 409, {"detail": "Another change came between. Read the resource again, then repeat."}, {}
    if isinstance(exc, drf.APIException):
        return exc.status_code, {"detail": str(exc.detail)}, {}
    return None


def is_unavailable(exc):
    """The database or the cache is away or cannot work now; what a retry can mend, unlike a wrong statement."""
    if isinstance(exc, Unavailable | RedisError):
        return True
    if not isinstance(exc, DatabaseError | InterfaceError):
        return False
    state, code = sqlstate(exc), getattr(exc.__cause__, "sqlite_errorcode", None)
    if state is not None:
        return state in _UNAVAILABLE_STATES or state[:2] in _UNAVAILABLE_CLASSES
    if code is not None:
        return code & 0xFF in _UNAVAILABLE_ON_SQLITE  # the rest of an extended code only details it
    # No code: the connection was refused, or is closed. (SQLite's own InterfaceError is a value it cannot bind.)
    return isinstance(exc, OperationalError | InterfaceError) and not isinstance(exc.__cause__, sqlite3.Error)


def sqlstate(exc):
    """PostgreSQL's code of an error; None for one that has none."""
    return getattr(exc.__cause__, "sqlstate", None)


def log_unavailable(exc):
    """By kind and code: a database's own words can quote values, or where it stands."""
    logs.event("unavailable", level=logging.ERROR, error=type(exc).__name__, sqlstate=sqlstate(exc))


def retry_after(exc):
    """Seconds after which it makes sense to try again what `exc` prevented."""
    return LONG_RETRY_AFTER_SECONDS if sqlstate(exc) in _LONG_STATES else RETRY_AFTER_SECONDS


def _invalid(errors):
    """Of thousands of errors in one request the first hundred, and of endless names the beginning."""
    errors = [{**error, "field": error["field"][:MAX_NAME]} for error in errors[:MAX_ERRORS]]
    names = ", ".join(dict.fromkeys(error["field"] for error in errors))
    code = errors[0]["code"] if len(errors) == 1 and errors[0]["code"] == "reason_required" else None
    return {"code": code, "detail": f"Not valid: {names}. `errors` says why.", "errors": errors}


def problem_handler(exc, context):
    """DRF's EXCEPTION_HANDLER. Answers every exception, so that no HTML page can stand in for JSON."""
    request = context["request"]
    translated = _translate(exc)
    if translated is None:
        logs.event("internal_error", level=logging.ERROR, exc_info=exc, route=logs.route_of(request), status=500)
        translated = 500, {}, {}
    elif translated[0] == 503:
        log_unavailable(exc)
    elif translated[0] == 403:
        logs.event("permission_denied", level=logging.WARNING, actor_id=request.user.pk, route=logs.route_of(request))
    status, members, headers = translated
    if isinstance(exc, drf.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
        members["detail"] = f"This resource takes {headers['Allow']}."
    body = problem(status, request_id=getattr(request, "request_id", None), **members)
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)
