"""
The outermost layer: request ids, the limits of the transport, security headers, and the promise that every
error under ``/api/`` is problem+json, whoever raised it.
"""

import re
import secrets
import time
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware

from . import logs, throttling
from .exceptions import CONTENT_TYPE, problem_response
from .ids import is_id
from .logs import request_id_in_log

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Only what this server serves, and nothing inline, so that a stored <script> that slipped through escaping would still
# not run. The trader's own pages have no script at all.
_NOWHERE_ELSE = "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'self'; {_NOWHERE_ELSE}"
# Swagger UI writes style attributes.
DOCS_CONTENT_SECURITY_POLICY = (
    f"default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; {_NOWHERE_ELSE}"
)
# The console's library evaluates the expressions in its templates' attributes, and writes style attributes, but no
# style element of a page: docs/decisions/0022-second-factor.md tells what was tried.
CONSOLE_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    f"font-src 'self'; connect-src 'self'; {_NOWHERE_ELSE}"
)
API_CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"


# On every answer, besides what Django's SecurityMiddleware sets. There are no CORS headers, on purpose: the API is for
# programs that hold a token, and no page of another origin has business here.
HEADERS = {
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class RequestMiddleware:
    """
    The outermost layer. Below ``/api/`` it is the only one: what the others do is for pages (sessions, forms, files),
    or done here as well.
    """

    def __init__(self, get_response):
        self.get_response, self.get_api_response = get_response, innermost(get_response)
        self.security = SecurityMiddleware(get_response)

    def __call__(self, request):
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        request.is_api = f"{request.path_info}/".startswith("/api/")
        token = request_id_in_log.set(request.request_id)
        started = time.monotonic()
        try:
            answer = self.get_api_response if request.is_api else self.get_response
            response = self._refused(request) or answer(request)
            if request.is_api:
                response = self._as_problem(request, response)
            self._finish(request, response)
            logs.event(
                "request",
                method=request.method,
                route=logs.route_of(request),
                subject=_subject(request),
                status=response.status_code,
                duration_ms=round((time.monotonic() - started) * 1000),
                actor_id=_actor_id(request),
                ip=throttling.client_address(request),
            )
            return response
        finally:
            request_id_in_log.reset(token)

    def _refused(self, request):
        """What is turned away before anything is parsed, or None."""
        try:
            request.get_host()
        except DisallowedHost:
            if request.is_api:
                error = {"field": "Host", "code": "host_not_allowed", "detail": "This host is not served here."}
                return problem_response(400, request, code=error["code"], detail="Not valid: Host.", errors=[error])
            return HttpResponse("Host is not allowed.\n", status=400, content_type="text/plain")
        if request.is_api and self.security.redirect and not request.is_secure():
            detail = "Use https://. What was just sent has travelled in the clear: take a new token."
            return problem_response(403, request, code="https_required", detail=detail)
        # WSGI hands the query's bytes over as latin-1.
        query = unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1"))
        path = request.path_info
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        if not request.is_api:
            if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                return HttpResponse("The form is too large.\n", status=413, content_type="text/plain")
            if not _is_clean(query) or "\x00" in path:
                return HttpResponse(
                    "The address holds characters that cannot be text.\n",
                    status=400,
                    content_type="text/plain",
                )
            return None
        if not _is_clean(query):
            error = {"field": "query", "code": "invalid_text", "detail": "Not UTF-8 text, or holds a NUL."}
            return problem_response(400, request, detail="Not valid: query.", errors=[error])
        if "%2f" in request.META.get("RAW_URI", "").partition("?")[0].lower():
            return problem_response(404, request)  # an escaped slash would give a resource a second address
        if request.META.get("HTTP_CONTENT_ENCODING"):
            return problem_response(415, request, detail="Send the body without a Content-Encoding.")
        if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
            return problem_response(411, request)
        if length > settings.MAX_BODY_BYTES:
            detail = f"A body may have {settings.MAX_BODY_BYTES} bytes; this one announces {length}."
            return problem_response(413, request, detail=detail)
        return None

    @staticmethod
    def _as_problem(request, response):
        """Django's own error pages (a bad request, a crash outside a view) become problems."""
        if response.status_code < 400 or response.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        headers = {"Retry-After": response["Retry-After"]} if "Retry-After" in response else None
        return problem_response(response.status_code, request, headers=headers)

    def _finish(self, request, response):
        response["X-Request-ID"] = request.request_id
        if request.path_info.startswith("/api/docs/"):
            policy = DOCS_CONTENT_SECURITY_POLICY
        elif request.is_api or request.path_info.startswith(("/health/", "/static/")):
            policy = API_CONTENT_SECURITY_POLICY
        elif request.path_info.startswith("/admin/"):
            policy = CONSOLE_CONTENT_SECURITY_POLICY
        else:
            policy = CONTENT_SECURITY_POLICY
        response["Content-Security-Policy"] = policy
        if request.is_api:
            response["Cache-Control"] = "no-store"
            if not response.streaming:
                response["Content-Length"] = len(response.content)
        response.setdefault("Cache-Control", "no-store")  # the static files have their own
        for name, value in HEADERS.items():
            response.setdefault(name, value)
        # Django's own has set these, but not on what was refused here.
        self.security.process_response(request, response)


def innermost(get_response):
    """What a chain of middleware ends in: the handler, which finds the view and calls it."""
    while hasattr(layer := get_response.__wrapped__, "get_response"):
        get_response = layer.get_response
    return get_response


def _subject(request):
    """The id in the address, if it is one: anything else there is only text a caller gave, or a mailed link."""
    named = request.resolver_match.kwargs if request.resolver_match else {}
    given = named.get("pk") or named.get("object_id") or ""
    return int(given) if is_id(given) else None


def _actor_id(request):
    """Who was found to be calling. It is only looked at, not looked up: the database may be what failed."""
    user = vars(request).get("user")
    return getattr(getattr(user, "_wrapped", user), "pk", None)


def _is_clean(query):
    if b"\x00" in query:
        return False
    try:
        query.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
