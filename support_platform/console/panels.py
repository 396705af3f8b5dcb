"""
What a page of the console is made of besides a row's own fields: panels, each one question answered.

`settings.CONSOLE_PANELS` names those of each page, in their order; the apps above write them.
"""

from functools import cache
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.module_loading import import_string
from django.utils.safestring import mark_safe

from . import lists


class Panel:
    """
    One part of a page. A subclass names its `title` and `template`, and reads what that shows in `show`.

    Who lacks `right` is not shown the panel. `is_wide`: it takes the whole width, as charts of time and tables do.
    """

    title = ""
    template = ""
    right = None
    is_wide = False
    parameters = frozenset()  # what the address of its own page takes, if it has one

    def show(self, request, row):
        """What the template needs, read for this row within the reach of `request.user`; None: leave the panel out."""
        raise NotImplementedError

    def check(self, query):
        """
        Whether the panel can be shown for these parameters, told with the page even if the panel comes later.

        :raises BadRequest: for a value that is not valid
        """

    def is_for(self, user):
        return self.right is None or user.has_perm(self.right)

    @property
    def name(self):
        """What the panel is called in the page's address (#deployments) and in its style."""
        return self.title.lower().replace(" ", "-").replace("/", "-")


class PagePanel(Panel):
    """A panel that shows the beginning of what stands whole on a page of its own: <row's address>/<name>/."""

    page_template = ""

    def show_page(self, request, row):
        """
        What `page_template` needs, as `show` does for the panel.

        :raises BadRequest: for a parameter that is not valid
        """
        raise NotImplementedError


HOME = "home"


@cache
def panels_of(page):
    """The panels of a page: of `HOME`, or of a model's rows ("accounts.user")."""
    return tuple(import_string(path)() for path in settings.CONSOLE_PANELS.get(page, ()))


def list_url(model, **query):
    """The address of a model's list, narrowed."""
    return f"{admin.site.get_model_admin(model).url('changelist')}?{urlencode(query)}"


def rendered(page, request, row=None):
    """[(panel, its HTML)] of those that this person may see and that have something to show."""
    found = []
    for panel in panels_of(page):
        if panel.is_for(request.user):
            if comes_later(page, panel):
                panel.check(request.GET)
                found.append((panel, _html("admin/later_panel.html", {"url": _own_url(page, panel, request, row)})))
                continue
            content = content_of(panel, request, row)
            if content is not None:
                found.append((panel, content))
    return found


def content_of(panel, request, row):
    """The HTML of one panel, or None if it has nothing to show."""
    context = panel.show(request, row)
    return None if context is None else _html(panel.template, {"panel": panel, "row": row, **context}, request)


def comes_later(page, panel):
    """Whether the page leaves room for the panel, which then comes by a request of its own, as from its own page."""
    return f"{type(panel).__module__}.{type(panel).__name__}" in settings.CONSOLE_LATER_PANELS.get(page, ())


def _own_url(page, panel, request, row):
    given = {name: request.GET[name] for name in sorted(panel.parameters) if name in request.GET}
    url = reverse(f"admin:{page.replace('.', '_')}_{panel.name}", args=[row.pk])
    return f"{url}?{urlencode(given)}" if given else url


def _html(template, context, request=None):
    return mark_safe(render_to_string(template, context, request))  # noqa: S308


class PanelPagesMixin:
    """The part of OperationAdmin that serves the pages of single panels of a row."""

    def get_urls(self):
        urls = []
        for panel in panels_of(self.opts.label_lower):
            if isinstance(panel, PagePanel) or comes_later(self.opts.label_lower, panel):
                name = f"{self.opts.app_label}_{self.opts.model_name}_{panel.name}"
                view = self.admin_site.admin_view(self.panel_view)
                urls.append(path(f"<path:object_id>/{panel.name}/", view, {"panel": panel}, name=name))
        return [*urls, *super().get_urls()]

    def panel_view(self, request, object_id, panel):
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request) or not panel.is_for(request.user):
            raise PermissionDenied
        lists.check_parameters(request.GET, panel.parameters)
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": panel.title,
            "subtitle": None,
            "panel": panel,
            "row": row,
            "row_url": self.url("change", row.pk),
        }
        if isinstance(panel, PagePanel):
            context |= panel.show_page(request, row)
        else:
            context["content"] = content_of(panel, request, row)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, getattr(panel, "page_template", "admin/panel_page.html"), context)
