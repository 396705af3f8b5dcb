"""System checks of our own: what must not start, or not start like this."""

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register

from .throttling import parse_rate


@register(Tags.caches)
def counters_are_shared(app_configs, **kwargs):
    """Counters in one process's memory are exact for one process only."""
    if settings.WORKERS > 1 and not settings.REDIS_URL:
        return [
            Error(
                f"{settings.WORKERS} worker processes would each count the rate limits for themselves.",
                hint="Set REDIS_URL, or run one worker (WEB_CONCURRENCY=1) with several threads.",
                id="support_platform.E001",
            )
        ]
    return []


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
