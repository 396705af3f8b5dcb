"""The ground's own endpoints: the audit trail, limits, health, and the answer for paths that do not exist."""

import logging

from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from . import throttling
from .exceptions import problem_response
from .filters import AuditEventFilter
from .models import AuditEvent
from .permissions import ANY_STAFF
from .serializers import AuditEventSerializer, LimitsSerializer
from .viewsets import PlatformView, ResourceViewSet

logger = logging.getLogger(__name__)


class AuditViewSet(ResourceViewSet):
    """The audit trail of the caller's broker; without the right to read it, only the caller's own events."""

    rights = {"list": ANY_STAFF, "retrieve": ANY_STAFF}
    orderings = ("-at", "at")
    filterset_class = AuditEventFilter
    serializer_class = AuditEventSerializer
    tag = "Audit"

    def get_queryset(self):
        return AuditEvent.objects.visible_to(self.request.user)

    def answer(self, row):
        return Response(self.represent(row))  # an event never changes: no version, no ETag


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
    """The database, the cache and the migrations: 200 when this process can serve, else 503 naming what is not."""
    state = {part: _state_of(part, probe) for part, probe in PROBES.items()}
    well = all(said == "ok" for said in state.values())
    return JsonResponse({"status": "ok" if well else "unavailable", **state}, status=200 if well else 503)


def _state_of(part, probe):
    try:
        return probe() or "ok"
    except Exception:
        # A probe may fail in any way its library knows; each means: not ready.
        logger.exception("not ready: %s", part)
        return "unavailable"


def _database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _cache():
    cache.set("health", "ok", 10)
    return None if cache.get("health") == "ok" else "unavailable"


def _migrations():
    executor = MigrationExecutor(connection)
    return "pending" if executor.migration_plan(executor.loader.graph.leaf_nodes()) else None


PROBES = {"database": _database, "cache": _cache, "migrations": _migrations}
