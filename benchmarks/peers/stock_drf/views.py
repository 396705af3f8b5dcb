"""The calls: one ModelViewSet with a ModelSerializer."""

from django.http import HttpResponse
from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from .models import Trade


class TradeSerializer(ModelSerializer):
    class Meta:
        model = Trade
        fields = [
            "id",
            "user",
            "strategy",
            "deployment",
            "symbol",
            "side",
            "quantity",
            "entry_price",
            "exit_price",
            "strike",
            "stop_loss",
            "target",
            "fees",
            "result",
            "outcome",
            "status",
            "taken_at",
            "closed_at",
            "is_corrected",
            "external_id",
            "version",
        ]


class TradeViewSet(ModelViewSet):
    queryset = Trade.objects.order_by("-taken_at", "-id")
    serializer_class = TradeSerializer
    filterset_fields = ["user", "strategy", "deployment", "symbol", "side", "is_corrected"]


router = DefaultRouter()
router.register("trades", TradeViewSet)

urlpatterns = [
    path("", include(router.urls)),
    path("health/live/", lambda request: HttpResponse("ok")),
]
