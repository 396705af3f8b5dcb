"""The call: a filter schema, a model schema, the library's own pages, bearer check and throttle."""

import os

import jwt
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from ninja import FilterSchema, ModelSchema, NinjaAPI, Query
from ninja.pagination import PageNumberPagination, paginate
from ninja.security import HttpBearer
from ninja.throttling import AuthRateThrottle

from benchmarks.peers.stock_drf.models import Trade, User


class Bearer(HttpBearer):
    def authenticate(self, request, token):
        try:
            claims = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return None
        return User.objects.filter(pk=claims["user_id"], is_active=True, is_staff=True).first()


class CallerThrottle(AuthRateThrottle):
    """The library's own takes the user's text for the key; any is as good."""


class TradeFilter(FilterSchema):
    user: int | None = None
    strategy: int | None = None
    deployment: int | None = None
    symbol: str | None = None
    side: str | None = None
    is_corrected: bool | None = None


class TradeOut(ModelSchema):
    outcome: str | None
    status: str

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
            "taken_at",
            "closed_at",
            "is_corrected",
            "external_id",
            "version",
        ]


api = NinjaAPI(auth=Bearer(), throttle=[CallerThrottle(os.environ["RATE_LIMIT_READ"])])


@api.get("trades/", response=list[TradeOut])
@paginate(PageNumberPagination, page_size=100)
def list_trades(request, filters: Query[TradeFilter]):
    return filters.filter(Trade.objects.order_by("-taken_at", "-id"))


urlpatterns = [path("", api.urls), path("health/live/", lambda request: HttpResponse("ok"))]
