"""The ordinary project's calls: a ModelViewSet and a ModelSerializer for each resource, and simplejwt's own views."""

from django.http import HttpResponse
from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from .models import Deployment, Strategy, User


class UserSerializer(ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "email", "phone"]


class UserViewSet(ModelViewSet):
    queryset = User.objects.order_by("-id")
    serializer_class = UserSerializer


class StrategySerializer(ModelSerializer):
    class Meta:
        model = Strategy
        fields = ["id", "user", "name", "is_published"]


class StrategyViewSet(ModelViewSet):
    queryset = Strategy.objects.order_by("-id")
    serializer_class = StrategySerializer


class DeploymentSerializer(ModelSerializer):
    class Meta:
        model = Deployment
        fields = ["id", "strategy", "status", "stop_loss_pct", "take_profit_pct", "max_open_trades"]


class DeploymentViewSet(ModelViewSet):
    queryset = Deployment.objects.order_by("-id")
    serializer_class = DeploymentSerializer


router = DefaultRouter()
router.register("users", UserViewSet)
router.register("strategies", StrategyViewSet)
router.register("deployments", DeploymentViewSet)

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/v1/auth/token/", TokenObtainPairView.as_view()),
    path("api/v1/auth/token/refresh/", TokenRefreshView.as_view()),
    path("health/live/", lambda request: HttpResponse("ok")),
]
