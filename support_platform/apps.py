from django.apps import AppConfig


class SupportPlatformConfig(AppConfig):
    name = "support_platform"
    verbose_name = "Support platform"

    def ready(self):
        from . import checks  # noqa: F401  registers them
