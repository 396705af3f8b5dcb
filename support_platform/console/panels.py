"""
What a page of the console is made of besides a row's own fields: panels, each one question answered.

`settings.CONSOLE_PANELS` names those of each page, in their order; the apps above write them.
"""

from functools import cache

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.utils.safestring import mark_safe


class Panel:
    """
    One part of a page. A subclass names its `title` and `template`, and reads what that shows in `show`.

    Who lacks `right` is not shown the panel. `is_wide`: it takes the whole width, as charts of time and tables do.
    """

    title = ""
    template = ""
    right = None
    is_wide = False

    def show(self, request, row):
        """What the template needs, read for this row within the reach of `request.user`; None: leave the panel out."""
        raise NotImplementedError

    @property
    def name(self):
        """What the panel is called in the page's address (#deployments) and in its style."""
        return self.title.lower().replace(" ", "-").replace("/", "-")


HOME = "home"


@cache
def panels_of(page):
    """The panels of a page: of `HOME`, or of a model's rows ("accounts.user")."""
    return tuple(import_string(path)() for path in settings.CONSOLE_PANELS.get(page, ()))


def rendered(page, request, row=None):
    """[(panel, its HTML)] of those that this person may see and that have something to show."""
    found = []
    for panel in panels_of(page):
        if panel.right is None or request.user.has_perm(panel.right):
            context = panel.show(request, row)
            if context is not None:
                context = {"panel": panel, "row": row, **context}
                found.append((panel, mark_safe(render_to_string(panel.template, context, request))))  # noqa: S308
    return found
