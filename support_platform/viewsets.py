"""
What the API's views share: strict parameters, scope, the write path with dry run, If-Match and Idempotency-Key,
limits' headers.

A resource's view declares; the machinery is here. A write is at most: load, call the operation once, answer.
"""

import re
from functools import cached_property
from inspect import unwrap
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from . import idempotency, rows, shapes, throttling
from .audit import Actor
from .dry_run import atomically
from .filters import check_parameters
from .ids import is_id
from .models import REASON_LENGTH
from .pagination import KeysetPagination, invalid
from .renderers import Finite
from .retries import retried
from .text import check_text


class PlatformView:
    """For every view of the API: known parameters only, the actor, the headers of the limits."""

    rights = {}
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    # action -> query parameters it takes, besides those that lists and writes always take
    parameters = {}

    @cached_property
    def schema(self):
        """How drf-spectacular describes it: loaded when the document is made, which DEFAULT_SCHEMA_CLASS is not."""
        from .openapi.schema import PlatformSchema

        schema = PlatformSchema()
        schema.view = self
        return schema

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        if request.method in self.allowed_methods:  # any other is answered 405
            check_parameters(request, self.allowed_parameters())

    def allowed_parameters(self):
        return set(self.parameters.get(getattr(self, "action", None), ()))

    def permission_denied(self, request, message=None, code=None):
        """DRF asks for rights before it counts; a call that is refused is counted all the same."""
        if request.successful_authenticator:
            self.check_throttles(request)
        super().permission_denied(request, message, code)

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in throttling.headers(request).items():
            response[name] = value
        return response

    @property
    def actor(self):
        """Who makes this change, with the reason given in the Audit-Reason header."""
        return Actor.of(
            self.request.user,
            reason=self.reason(),
            request_id=self.request.request_id,
            source="api",
            ip=throttling.client_address(self.request),
        )

    def reason(self):
        raw = self.request.META.get("HTTP_AUDIT_REASON")
        if raw is None:
            if settings.AUDIT_REASON_REQUIRED:
                detail = "Say why in the header Audit-Reason (percent-encoded UTF-8)."
                raise invalid("Audit-Reason", "reason_required", detail)
            return ""
        try:
            return check_text(unquote_to_bytes(raw.encode("ascii")).decode("utf-8"), REASON_LENGTH)
        except UnicodeError:
            detail = "Percent-encode the reason's UTF-8 bytes."
        except ValueError as error:
            detail = str(error)
        raise invalid("Audit-Reason", "invalid", detail)


class ResourceViewSet(PlatformView, GenericViewSet):
    """
    One resource: rows a staff member may see, addressed by id.

    A subclass names `rights` (action -> right), `orderings`, `filterset_class`, `serializer_class` (the answer),
    `inputs` (action -> serializer of the body) and `rows`, already scoped to the caller's broker.
    """

    lookup_value_regex = "[1-9][0-9]{0,18}"
    pagination_class = KeysetPagination
    orderings = ()
    inputs = {}
    is_counted = False

    # --- rights --------------------------------------------------------------------------------------
    def permission_denied(self, request, message=None, code=None):
        """What is out of the caller's reach is a 404 whatever its rights; 403 is for what is within."""
        try:
            super().permission_denied(request, message, code)
        except PermissionDenied:
            self._reach()
            raise

    def require(self, right):
        """For a right that only the body tells of."""
        self._reach()
        if not self.request.user.has_perm(right):
            raise PermissionDenied

    def _reach(self):
        if "pk" in self.kwargs:
            self.get_object()

    # --- reads ---------------------------------------------------------------------------------------
    def rows(self, staff):
        """The rows that a staff member may see; of the member it may ask what `shapes.Caller` has."""
        raise NotImplementedError

    def get_queryset(self):
        return self.rows(self.request.user)

    def list(self, request):
        filters = self.filters()
        return self.answer_list(shapes.Listing(self, request.user, filters), filters)

    def retrieve(self, request, pk):
        row = shapes.Listing(self, request.user).one(int(pk)) if is_id(pk) else None
        if row is None:
            raise Http404
        return self.answer(row)

    def filters(self):
        return self.filterset_class(self.request.query_params, request=self.request)

    def answer_list(self, listing, filters=None):
        """One page of a `shapes.Listing` or `shapes.Rows`."""
        page = self.paginate_queryset(listing)
        if not page and filters is not None:
            filters.check_empty()
        return self.get_paginated_response(page)

    def get_object(self):
        pk = self.kwargs["pk"]
        row = shapes.Listing(self, self.request.user).instance(int(pk)) if is_id(pk) else None
        if row is None:
            raise Http404
        return row

    def allowed_parameters(self):
        allowed = super().allowed_parameters()
        if self.action == "list":
            allowed |= {*KeysetPagination.parameters, *self.filterset_class.base_filters}
        if self.request.method not in ("GET", "HEAD"):
            allowed.add("dry_run")
        return allowed

    # --- writes --------------------------------------------------------------------------------------
    @property
    def dry_run(self):
        return self.flag("dry_run")

    def flag(self, name):
        given = self.request.query_params.get(name, "false")
        if given not in ("true", "false"):
            raise invalid(name, "invalid", "Give true or false.")
        return given == "true"

    def body(self):
        """The request's body, validated by the action's serializer."""
        serializer = self.inputs[self.action](data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def subject(self):
        """The addressed row, carrying the versions that If-Match accepts."""
        row = self.get_object()
        accepted = self.request.META.get("HTTP_IF_MATCH")
        if accepted is not None and accepted.strip() != "*":
            tags = (tag.strip() for tag in accepted.split(","))
            row.if_match = {int(tag[1:-1]) for tag in tags if _is_etag(tag)}
        return row

    def change(self, operation, *, represent=None, success=200, **arguments):
        """
        Run one operation on the addressed row and answer it; on a dry run answer the same and keep nothing; with an
        Idempotency-Key once only.

        `represent` turns what the operation returns into (row, body of the answer); without it the operation
        returns the row.
        """
        by, dry_run, key = self.actor, self.dry_run, idempotency.key_of(self.request)
        subject = self.subject()

        def execute():
            if not (dry_run or self.is_counted):
                self.count_subject(subject)
                self.is_counted = True  # a repeated transaction is still one request
            with atomically(is_dry_run=dry_run):
                # Without the transaction of its own that it brings for other callers: this one is as good.
                result = unwrap(operation)(subject, by=by, **arguments)
                row, data = represent(result) if represent else (result, self.represent(result))
            if dry_run:
                data = {**data, "dry_run": True}
            return Response(data, status=success, headers={} if dry_run else {"ETag": etag(row.version)})

        if key is None or dry_run:
            return retried(execute)
        return retried(idempotency.answered_once, self.request, key, execute, self.rendered)

    def count_subject(self, subject):
        """For a limit that is counted by what the change is made to."""

    def rendered(self, answer):
        """An answer, or the exception that stands for one, as (status, headers, body, content type)."""
        if isinstance(answer, Exception):
            answer = self.handle_exception(answer)
        renderer = self.request.accepted_renderer
        body = renderer.render(answer.data, renderer_context=self.get_renderer_context())
        headers = {"ETag": answer["ETag"]} if "ETag" in answer else {}
        return answer.status_code, headers, body, answer.content_type or renderer.media_type

    def represent(self, row):
        """An instance as the answer has it: what the serializer says (rows.Reader)."""
        return rows.reader_of(self.get_serializer_class()).of(row)

    def answer(self, row):
        """A row that was read as it is answered."""
        return Response(Finite(row), headers={"ETag": etag(row["version"])})


def etag(version):
    return f'"{version}"'


def _is_etag(tag):
    return re.fullmatch(r'"[1-9][0-9]{0,18}"', tag, re.ASCII) is not None
