#!/usr/bin/env python
"""Django's command line for the support platform."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_platform.settings")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python. Run script/setup, then use .venv/bin/python manage.py.")
    try:
        settings.DATABASES  # noqa: B018  reads the environment
    except ImproperlyConfigured as error:
        sys.exit("\n".join(f"error: {line}" for line in str(error).splitlines()))
    execute_from_command_line(sys.argv)
