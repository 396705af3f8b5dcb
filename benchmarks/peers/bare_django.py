"""Bare Django: one view, no database, nothing installed. What a process costs before the platform has said a word."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
)
urlpatterns = [path("health/live/", lambda request: JsonResponse({"status": "ok"}))]
application = get_wsgi_application()
