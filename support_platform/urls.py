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

router = SimpleRouter()
router.register("users", accounts.UserViewSet, "users")
router.register("strategies", trading.StrategyViewSet, "strategies")
router.register("deployments", trading.DeploymentViewSet, "deployments")
router.register("trades", trading.TradeViewSet, "trades")
router.register("scanners", trading.ScannerViewSet, "scanners")
router.register("analytics/latency", analytics.LatencyViewSet, "latency")
router.register("analytics/slippage", analytics.SlippageViewSet, "slippage")
router.register("analytics/performance", analytics.PerformanceViewSet, "performance")
router.register("audit", views.AuditViewSet, "audit")
router.register("limits", views.LimitsViewSet, "limits")
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
    path("api/v1/", include([*router.urls, timeline])),
    path("api/v1/auth/token/", accounts.LogInView.as_view(), name="token"),
    path("api/v1/auth/token/refresh/", accounts.RefreshView.as_view(), name="token-refresh"),
    path("api/v1/auth/token/revoke/", accounts.RevokeView.as_view(), name="token-revoke"),
    path("api/schema/", openapi.SchemaView.as_view(), name="schema"),
    path("api/docs/", openapi.DocsView.as_view(), name="docs"),
    re_path(r"^api(?:/|$)", views.not_found),
    path("admin/", admin.site.urls),
    path("account/password/<str:token>/", account_pages.follow_reset, name="password-reset"),
    path("account/password/", account_pages.set_password, name="password-set"),
    path("account/email/<str:token>/", account_pages.follow_email, name="email-confirmation"),
    path("account/email/", account_pages.confirm_email, name="email-confirm"),
    path("health/live/", views.live),
    path("health/ready/", views.ready),
]
