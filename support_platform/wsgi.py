"""The server's entry: gunicorn support_platform.wsgi."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_platform.settings")

application = get_wsgi_application()
