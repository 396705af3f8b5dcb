"""The API's table of contents, and everything else the server answers."""

from django.contrib import admin
from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from accounts import pages as account_pages
from accounts import views as accounts
from analytics import views as analytics
from trading import views as trading

from . import views
from .openapi import views as openapi

RESOURCES = {
    "users": accounts.UserViewSet,
    "strategies": trading.StrategyViewSet,
    "deployments": trading.DeploymentViewSet,
    "trades": trading.TradeViewSet,
    "scanners": trading.ScannerViewSet,
    "analytics/latency": analytics.LatencyViewSet,
    "analytics/slippage": analytics.SlippageViewSet,
    "analytics/performance": analytics.PerformanceViewSet,
    "audit": views.AuditViewSet,
    "limits": views.LimitsViewSet,
}


def calls_of(name, view):
    """The calls of one resource. Each has a router of its own, so that the others' calls are not looked through."""
    router = SimpleRouter()
    router.register("", view, name.rpartition("/")[2])
    return path(f"{name}/", include(router.urls))


# No action of the traders' own view: it tells of what stands on accounts.
timeline = re_path(
    r"^users/(?P<pk>[1-9][0-9]{0,18})/timeline/$",
    trading.TimelineViewSet.as_view({"get": "list"}, detail=True),
    name="timeline",
)

# Outside the API a fault is a page of ours; within, the middleware makes a problem of it.
handler400 = "support_platform.pages.bad_request"
handler403 = "support_platform.pages.permission_denied"
handler404 = "support_platform.pages.page_not_found"
handler500 = "support_platform.pages.server_error"

urlpatterns = [
    path("api/v1/", include([timeline, *(calls_of(name, view) for name, view in RESOURCES.items())])),
    path("api/v1/auth/token/", accounts.LogInView.as_view(), name="token"),
    path("api/v1/auth/token/refresh/", accounts.RefreshView.as_view(), name="token-refresh"),
    path("api/v1/auth/token/revoke/", accounts.RevokeView.as_view(), name="token-revoke"),
    path("api/schema/", openapi.SchemaView.as_view(), name="schema"),
    path("api/docs/", openapi.docs, name="docs"),
    re_path(r"^api(?:/|$)", views.not_found),
    path("admin/", admin.site.urls),
    path("account/password/<str:token>/", account_pages.follow_reset, name="password-reset"),
    path("account/password/", account_pages.set_password, name="password-set"),
    path("account/email/<str:token>/", account_pages.follow_email, name="email-confirmation"),
    path("account/email/", account_pages.confirm_email, name="email-confirm"),
    path("health/live/", views.live),
    path("health/ready/", views.ready),
]
