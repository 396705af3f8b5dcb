from django.utils import timezone
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from support_platform.pagination import invalid
from support_platform.renderers import Finite
from support_platform.viewsets import PlatformView

from . import queries, reports
from .filters import SCOPES, FiguresForm, figures_asked
from .metrics import MAX_INTERVALS, TooManyIntervals
from .serializers import LatencySerializer, PerformanceSerializer, SlippageSerializer


class FiguresViewSet(PlatformView, ViewSet):
    """One report on one scope. What is committed is in the next answer."""

    bucket = "analytics"
    parameters = {"list": FiguresForm.base_fields}
    pagination_class = None
    report = None

    def list(self, request):
        as_of, asked = timezone.now(), figures_asked(request.query_params)
        scope = queries.find_scope(request.user, **{name: asked[name] for name in SCOPES})
        since = as_of - asked["window"] if asked["window"] else asked["since"]
        try:
            figures = self.report(scope, queries.Span(since, asked["until"]), asked["interval"], asked["limit"])
        except TooManyIntervals:
            detail = f"That makes more than {MAX_INTERVALS} intervals: narrow the span or take a longer interval."
            raise invalid("interval", "too_many_buckets", detail) from None
        span = {"since": since, "until": asked["until"], "window": request.query_params.get("window")}
        return Response(Finite(queries.json_ready({"scope": scope, **span, "as_of": as_of, **figures})))


class LatencyViewSet(FiguresViewSet):
    """How long the orders took, stage by stage from the signal to the fill."""

    rights = {"list": "trading.view_order"}
    serializer_class = LatencySerializer
    report = staticmethod(reports.latency_report)


class SlippageViewSet(FiguresViewSet):
    """What the fills cost against the expected prices."""

    rights = {"list": "trading.view_order"}
    serializer_class = SlippageSerializer
    report = staticmethod(reports.slippage_report)


class PerformanceViewSet(FiguresViewSet):
    """What the closed trades earned and risked."""

    rights = {"list": "trading.view_trade"}
    serializer_class = PerformanceSerializer
    report = staticmethod(reports.performance_report)
