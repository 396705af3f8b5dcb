"""What the console's templates need besides Django's own filters."""

from django import template

register = template.Library()


@register.filter
def shown(value):
    """As the console shows values: decimals plain, instants in UTC, "–" for what is unknown."""
    from support_platform.console import base  # django-unfold renders a template while it is imported

    return base.shown(value)


@register.filter
def words(name):
    """A name of the domain as people read it: trade_taken, "Trade taken"."""
    return name.replace("_", " ").capitalize()
