"""The page that shows the OpenAPI document."""

from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from this server's own files. Its errors are problem+json like all errors under /api/."""

    http_method_names = ["get", "head"]
    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = []
    template_name_js = "docs/swagger_ui.js"  # the library's own asks for a session cookie, for calls we do not have

    def handle_exception(self, exc):
        self.request.accepted_renderer = JSONRenderer()
        return super().handle_exception(exc)
