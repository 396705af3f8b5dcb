"""
The API's description: the OpenAPI document, and a page that shows it without a request to anywhere else.

What makes them is loaded by the first caller who asks, and not by every server: few ask, and it would be a tenth of
the start. So here, and in what this module imports, nothing of drf_spectacular is imported above.
"""

from functools import cache
from threading import Lock

from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from ..viewsets import PlatformView

# The library keeps what it is at in its modules, so it makes one document at a time.
_making = Lock()


def document():
    """It does not change while the server runs, and making it takes too long for every anonymous caller."""
    with _making:
        return _made()


@cache
def _made():
    from drf_spectacular.generators import SchemaGenerator

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


@csrf_exempt
def docs(request):
    from .docs import DocsView

    return DocsView.as_view()(request)
