"""
The outermost layer: request ids, the limits of the transport, security headers, and the promise that every
error under ``/api/`` is problem+json, whoever raised it.
"""

import logging
import re
import time
import uuid
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse

from .exceptions import CONTENT_TYPE, problem_response
from .logs import request_id_in_log

logger = logging.getLogger("support_platform.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The console and the trader's pages load only what this server serves, and run no inline script, so a stored
# <script> that slipped through escaping would still not run.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes.
DOCS_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
API_CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.is_api = f"{request.path_info}/".startswith("/api/")
        token = request_id_in_log.set(request.request_id)
        started = time.monotonic()
        try:
            response = self._refused(request) or self.get_response(request)
            if request.is_api:
                response = self._as_problem(request, response)
            self._finish(request, response)
            logger.info(
                "%s %s %s %d ms",
                request.method,
                _loggable_path(request),
                response.status_code,
                (time.monotonic() - started) * 1000,
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
        # WSGI hands the query's bytes over as latin-1.
        query = unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1"))
        path = request.path_info
        if not request.is_api:
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
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
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

    @staticmethod
    def _finish(request, response):
        response["X-Request-ID"] = request.request_id
        if request.path_info.startswith("/api/docs/"):
            policy = DOCS_CONTENT_SECURITY_POLICY
        elif request.is_api:
            policy = API_CONTENT_SECURITY_POLICY
            response["Cache-Control"] = "no-store"
        else:
            policy = CONTENT_SECURITY_POLICY
        response["Content-Security-Policy"] = policy
        # Django's own middleware sets these two, but not on what was refused here.
        response.setdefault("X-Content-Type-Options", "nosniff")
        response.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)


def _loggable_path(request):
    """Never the query string, which can hold an address; of the trader's pages the route, not the link's token."""
    match = request.resolver_match
    path = request.path_info if request.is_api or match is None else f"/{match.route}"
    return "/account/" if path == request.path_info and path.startswith("/account/") else ascii(path)[1:-1]


def _is_clean(query):
    if b"\x00" in query:
        return False
    try:
        query.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
