"""System checks of our own: what must not start, or not start like this."""

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.http.request import validate_host

from .environment import parse_rate


@register(Tags.security, deploy=True)
def public_url_is_served(app_configs, **kwargs):
    """A mailed link whose host is not served here is dead."""
    if validate_host(settings.PUBLIC_HOST, settings.ALLOWED_HOSTS):
        return []
    return [
        Warning(
            f"PUBLIC_URL's host, {settings.PUBLIC_HOST}, is not in ALLOWED_HOSTS: mailed links are refused here.",
            hint="Add it, unless another server answers them.",
            id="support_platform.W002",
        )
    ]


@register(Tags.security, deploy=True)
def mails_reach_people(app_configs, **kwargs):
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return []
    return [
        Warning(
            "EMAIL_URL is no mail server: mails are kept as files, and no trader gets one.",
            hint="Set EMAIL_URL=smtp+tls://user:password@host:587.",
            id="support_platform.W003",
        )
    ]


@register(Tags.security, deploy=True)
def the_audit_trail_has_a_key_of_its_own(app_configs, **kwargs):
    """Sealed by SECRET_KEY, the trail could be forged by whoever learns that key, and outlives no change of it."""
    if settings.AUDIT_KEY == settings.SECRET_KEY:
        return [
            Warning(
                "The audit trail is sealed by SECRET_KEY.",
                hint="Set AUDIT_KEY to a random text of its own; name SECRET_KEY in AUDIT_KEY_FALLBACKS if it sealed "
                "events already.",
                id="support_platform.W001",
            )
        ]
    return []


@register()
def rates_are_rates(app_configs, **kwargs):
    errors = []
    for bucket, keys in settings.RATE_LIMITS.items():
        for key, rates in keys.items():
            if not rates:
                errors.append(Error(f"RATE_LIMITS {bucket}/{key}: name at least one rate.", id="support_platform.E003"))
            for rate in rates:
                try:
                    parse_rate(rate)
                except ValueError as error:
                    errors.append(Error(f"RATE_LIMITS {bucket}/{key}: {error}", id="support_platform.E002"))
    return errors
