"""The API's description: the OpenAPI document, and a page that shows it without a request to anywhere else."""

from functools import cache

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from ..viewsets import PlatformView


@cache
def document():
    """It does not change while the server runs, and making it takes too long for every anonymous caller."""
    return SchemaGenerator().get_schema(public=True)


class DocumentSerializer(serializers.Serializer):
    """An OpenAPI document."""

    openapi = serializers.CharField()
    info = serializers.DictField()
    servers = serializers.ListField(child=serializers.DictField())
    tags = serializers.ListField(child=serializers.DictField())
    paths = serializers.DictField()
    components = serializers.DictField()


class SchemaView(PlatformView, APIView):
    """This document. It holds no data, so it needs no token."""

    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = []
    serializer_class = DocumentSerializer
    operation_ids = {"get": "get_schema"}
    tag = "Access"

    def get(self, request):
        return Response(document())


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
