"""The parts of the OpenAPI document that every operation shares: problems, parameters, headers, security."""

from datetime import timedelta

from django.conf import settings

from .. import throttling
from ..exceptions import CODES, CONTENT_TYPE, DETAILS, TITLES, TYPE_PREFIX, problem
from ..idempotency import LIFETIME, MAX_KEY, KeyReused
from ..middleware import REQUEST_ID
from ..models import REASON_LENGTH
from .fields import BOOLEAN

REQUEST_ID_EXAMPLE = "5f2c8d1e9b7a4c60"
BEARER = "bearerAuth"

# status -> (name of the component, when it is the answer, example's own members)
PROBLEMS = {
    400: (
        "Invalid",
        "A body, parameter or header is unknown, repeated or not valid; `errors` names each.",
        {
            "detail": "Not valid: page_size. `errors` says why.",
            "errors": [
                {"field": "page_size", "code": "invalid", "detail": "Give a whole number from 1 to 1000."},
            ],
        },
    ),
    401: ("NotAuthenticated", "There is no access token, or it is not good (any more).", {}),
    403: ("NotAllowed", "The caller's role does not include the right.", {}),
    404: ("NotFound", "It does not exist, or not within the caller's reach.", {}),
    409: (
        "Conflict",
        "The current state forbids the change; `code` says which rule, and further members what stands in the way.",
        {
            "code": "inactive",
            "detail": "The account is inactive. Activate it, then change the address.",
        },
    ),
    412: (
        "Stale",
        "If-Match names an old version. Nothing changed; the header ETag has the current one.",
        {"detail": "It is at version 4 now. Read it again, then repeat the change with its current ETag."},
    ),
    413: (
        "BodyTooLarge",
        f"The body has more than {settings.MAX_BODY_BYTES} bytes.",
        {"detail": f"A body may have {settings.MAX_BODY_BYTES} bytes; this one announces 300000."},
    ),
    415: (
        "UnsupportedMediaType",
        "The body is not application/json in UTF-8, or has a Content-Encoding.",
        {"detail": 'Unsupported media type "text/plain" in request.'},
    ),
    422: (
        "KeyReused",
        "The Idempotency-Key came with another body or other parameters before. Nothing was changed.",
        {"detail": KeyReused.default_detail},
    ),
    429: (
        "TooManyRequests",
        "A limit is reached. Waiting for Retry-After is enough.",
        {"detail": "The limit is reached. Try again in 42 seconds."},
    ),
    503: ("Unavailable", "A part this request needs is not available. Nothing was changed.", {}),
}

COUNTED_HEADERS = ("RateLimit", "RateLimit-Policy")
# Besides X-Request-ID and, where the call was counted, what is left of the limit.
PROBLEM_HEADERS = {
    401: ("WWW-Authenticate",),
    409: ("Idempotent-Replayed",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def components():
    """Everything an operation refers to, apart from what its serializers make."""
    return {
        "schemas": {"Problem": _problem_schema(), "FieldError": _field_error_schema()},
        "parameters": _parameters(),
        "headers": _headers(),
        "responses": {name: _response(status) for status, (name, *_) in PROBLEMS.items()}
        | {"Error": _any_other_response()},
        "securitySchemes": {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The access token of POST /api/v1/auth/token/, or a service token.",
            }
        },
    }


def ref(kind, name):
    return {"$ref": f"#/components/{kind}/{name}"}


def header_refs(*names):
    return {name: ref("headers", name) for name in ("X-Request-ID", *names)}


def limits_of(buckets):
    """The published figures of these buckets: [{"bucket", "key", "limit", "window_seconds"}]."""
    return [
        {"bucket": bucket, "key": key, "limit": limit, "window_seconds": window}
        for bucket in buckets
        for key, rates in settings.RATE_LIMITS[bucket].items()
        for limit, window in map(throttling.parse_rate, rates)
    ]


def _problem_schema():
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "RFC 9457. A conflict (409) may carry further members, which its description names.",
        "properties": {
            "type": {"type": "string", "format": "uri", "description": f"`{TYPE_PREFIX}` and the code."},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What was wrong and what to do next."},
            "code": {"type": "string", "description": "For programs: stable, in lower_snake."},
            "request_id": {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"},
            "errors": {
                "type": "array",
                "items": ref("schemas", "FieldError"),
                "description": "With 400: what was wrong with what.",
            },
        },
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "additionalProperties": True,
    }


def _field_error_schema():
    return {
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "The member, parameter or header; `body` for the whole body."},
            "code": {"type": "string"},
            "detail": {"type": "string"},
        },
        "required": ["field", "code", "detail"],
    }


def _parameters():
    # No `examples` here: the docs page would fill them in and send them.
    return {
        "RequestId": {
            "name": "X-Request-ID",
            "in": "header",
            "description": f"Names this request in every log line and audit event: `{REQUEST_ID.pattern}`. Anything "
            "else is replaced by a name of ours; the answer tells it.",
            "schema": {"type": "string"},
        },
        "DryRun": {
            "name": "dry_run",
            "in": "query",
            "description": 'Do everything and answer it with `"dry_run": true`, but keep nothing and send nothing.',
            "schema": {**BOOLEAN, "default": False},
        },
        "AuditReason": {
            "name": "Audit-Reason",
            "in": "header",
            "description": f"Why, kept with the audit event: percent-encoded UTF-8 such as `by%20phone`, at most "
            f"{REASON_LENGTH} characters.",
            "required": settings.AUDIT_REASON_REQUIRED,
            "schema": {"type": "string"},
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "description": 'Change only what has been seen: the ETag of the last answer, such as `"3"`. Stale is 412.',
            "schema": {"type": "string"},
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Send the request again with the same key when its answer was lost: what it did is not done "
            f"twice, and the first answer comes again, for {LIFETIME // timedelta(hours=1)} hours. Not on a dry run.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
        },
    }


def _headers():
    text = {"type": "string"}
    return {
        "X-Request-ID": {
            "description": "The name of this request.",
            "schema": {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"},
        },
        "ETag": {"description": "The row's version; for If-Match. Not on a dry run.", "schema": text},
        "Idempotent-Replayed": {
            "description": "`true`: the answer to an earlier request with this Idempotency-Key. Nothing was done now.",
            "schema": {"type": "string", "const": "true"},
        },
        "RateLimit": {
            "description": 'What is left of the tightest limit and for how many seconds: `"write";r=119;t=42`.',
            "schema": text,
        },
        "RateLimit-Policy": {
            "description": 'The tightest limit and its window in seconds: `"write";q=120;w=60`.',
            "schema": text,
        },
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
        "WWW-Authenticate": {"description": "`Bearer`", "schema": text},
    }


def _response(status):
    name, description, members = PROBLEMS[status]
    example = problem(status, request_id=REQUEST_ID_EXAMPLE, **members)
    return {
        "description": description,
        "headers": header_refs(*COUNTED_HEADERS, *PROBLEM_HEADERS.get(status, ())),
        "content": {CONTENT_TYPE: {"schema": ref("schemas", "Problem"), "examples": {name: {"value": example}}}},
    }


def _any_other_response():
    example = problem(500, request_id=REQUEST_ID_EXAMPLE)
    return {
        "description": f"Any other error: {TITLES[405].lower()} (405), {TITLES[411].lower()} (411), "
        f"or a fault of the server ({CODES[500]}, 500). {DETAILS[500]}",
        "headers": header_refs(*COUNTED_HEADERS),
        "content": {CONTENT_TYPE: {"schema": ref("schemas", "Problem"), "examples": {"Fault": {"value": example}}}},
    }
