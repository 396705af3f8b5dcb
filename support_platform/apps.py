from django.apps import AppConfig
from django.contrib.admin import apps as admin


class SupportPlatformConfig(AppConfig):
    name = "support_platform"
    verbose_name = "Audit"  # what the console calls the one table that the ground has
    default = True

    def ready(self):
        from . import checks  # noqa: F401  registers them


class ConsoleConfig(admin.AdminConfig):
    """Django's admin with our own site; named in INSTALLED_APPS."""

    default_site = "support_platform.console.site.ConsoleSite"
    default = False
