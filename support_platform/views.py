"""The ground's own endpoints: the audit trail, limits, health, and the answer for paths that do not exist."""

import logging
import threading
from contextvars import copy_context

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from . import audit_operations, logs, throttling
from .exceptions import problem_response
from .fields import NothingSerializer
from .filters import AuditEventFilter
from .models import AuditEvent
from .permissions import ANY_STAFF
from .renderers import Finite
from .serializers import AuditEventSerializer, LimitsSerializer
from .viewsets import PlatformView, ResourceViewSet

PATIENCE = 3  # seconds that readiness gives the database, connecting included


class AuditViewSet(ResourceViewSet):
    """The audit trail of the caller's broker; without the right to read it, only the caller's own events."""

    rights = {"list": ANY_STAFF, "retrieve": ANY_STAFF, "revert": "support_platform.revert_change"}
    orderings = ("-at", "at")
    filterset_class = AuditEventFilter
    serializer_class = AuditEventSerializer
    inputs = {"revert": NothingSerializer}
    operation_ids = {"revert": "revert_change"}
    tag = "Audit"

    def rows(self, staff):
        return AuditEvent.objects.visible_to(staff)

    def answer(self, row):
        return Response(Finite(row))  # an event never changes: no version, no ETag

    @action(detail=True, methods=["post"])
    def revert(self, request, pk):
        """
        Revert a change by the operation that is its inverse.

        It is made to the event's subject, needs the right to that operation too, and leaves its own event, which is
        the answer and names this one in `changes.reverts`. `If-Match` and `ETag` speak of the subject's version. 409
        `moved_on` if the subject has changed since, with its `current_version`; 409 `not_revertible`, saying why, for
        what has no inverse; and whatever the inverse itself refuses.
        """
        self.body()
        return self.change(audit_operations.revert_change, represent=self.with_subject, staff=request.user)

    def with_subject(self, result):
        subject, event = result
        return subject, self.represent(event)


class LimitsViewSet(PlatformView, ViewSet):
    """Every published limit, and what is left of it for the caller."""

    rights = {"list": ANY_STAFF}
    serializer_class = LimitsSerializer
    tag = "Access"
    pagination_class = None

    def list(self, request):
        own = {
            "staff user": request.user.pk,
            "address": throttling.address_key(request),
            "e-mail": request.user.email,
        }
        return Response({"limits": throttling.standings(request, own)})


# Exempt, here and below: else a POST would be told of a missing CSRF token, not of what is missing.
@csrf_exempt
def not_found(request, *args, **kwargs):
    """Every unknown path under /api/, whatever the method: no redirect that would turn a POST into a GET."""
    return problem_response(404, request)


@csrf_exempt
@require_safe
def live(request):
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def ready(request):
    """
    The database, the cache and the migrations: 200 when this process can serve, else 503 naming what is not.

    Says so within about three seconds even of a database that hangs. Asks by a connection of its own, so that it tells
    of a database that takes no more connections, and holds none that a request needs.
    """
    told = {"database": "unavailable", "cache": _state_of("cache", None), "migrations": "unknown"}
    # In a thread of its own, for a database that hangs with the question already asked answers no timeout either.
    asking = threading.Thread(target=copy_context().run, args=(_ask_database, told, _probing_connection()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if asking.is_alive():
        logs.event("not_ready", level=logging.ERROR, part="database", error="TimeoutError")
    state = dict(told)
    well = all(said == "ok" for said in state.values())
    return JsonResponse({"status": "ok" if well else "unavailable", **state}, status=200 if well else 503)


def _ask_database(told, probing):
    try:
        told["database"] = _state_of("database", probing)
        if told["database"] == "ok":
            told["migrations"] = _state_of("migrations", probing)
    finally:
        _close(probing)


def _state_of(part, probing):
    try:
        return PROBES[part](probing) or "ok"
    except Exception as error:
        # A probe may fail in any way its library knows; each means: not ready. Its words can name hosts and values.
        logs.event("not_ready", level=logging.ERROR, part=part, error=type(error).__name__)
        return "unavailable"


def _probing_connection():
    probing = connection.copy()
    probing.inc_thread_sharing()
    options = probing.settings_dict["OPTIONS"]
    if probing.vendor == "postgresql":
        options |= {"connect_timeout": 2, "options": "-c statement_timeout=1s -c lock_timeout=1s"}
    else:
        options["timeout"] = 1
    return probing


def _close(probing):
    try:
        probing.close()
    except DatabaseError:
        logs.event("not_ready", level=logging.WARNING, part="connection")


def _database(probing):
    is_postgresql = probing.vendor == "postgresql"
    # On SQLite something that reads the file, which SELECT 1 would not.
    question = "SHOW transaction_read_only" if is_postgresql else "SELECT name FROM sqlite_master LIMIT 1"
    with probing.cursor() as cursor:
        cursor.execute(question)
        (answer,) = cursor.fetchone() or (None,)
    return "read-only" if is_postgresql and answer == "on" else None


def _cache(probing):
    cache.set("health", "ok", 10)
    return None if cache.get("health") == "ok" else "unavailable"


def _migrations(probing):
    executor = MigrationExecutor(probing)
    return "pending" if executor.migration_plan(executor.loader.graph.leaf_nodes()) else None


PROBES = {"database": _database, "cache": _cache, "migrations": _migrations}
