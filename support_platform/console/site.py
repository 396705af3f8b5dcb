"""The console as a whole: who gets in, what its index shows, and every fault as a page."""

import logging
from functools import wraps

from django.apps import apps
from django.conf import settings
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import DataError
from django.http import Http404
from django.template.response import TemplateResponse
from django.urls import path, reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import Throttled
from unfold.sites import UnfoldAdminSite

from support_platform import logs, throttling
from support_platform.exceptions import is_unavailable
from support_platform.models import AuditEvent
from support_platform.pages import fault_page, unavailable_page

from . import lists, panels, search
from .base import OperationAdmin, actor_of
from .look import navigation

SEARCH_PARAMETERS = {"s", "extended"}
# In the session of whoever has passed the second step of the login, or has set it up since.
SECOND_FACTOR_PASSED = "second_factor_passed"
BEFORE_ENROLMENT = {"second_factor", "logout"}
AUTOCOMPLETE_PARAMETERS = {"app_label", "model_name", "field_name", "term", "page"}


def faults_as_pages(view):
    """The view, with what it may raise answered as a page: input that is not valid 400, never 500."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        response = _answer(view, request, *args, **kwargs)
        for name, value in throttling.headers(request).items():
            response[name] = value
        return response

    return guarded


def _answer(view, request, *args, **kwargs):
    try:
        response = view(request, *args, **kwargs)
        if hasattr(response, "render") and not response.is_rendered:
            response.render()  # here, where a list's query can still fail as a page
        return response
    except (BadRequest, SuspiciousOperation) as error:
        return fault_page(request, 400, str(error))
    except DataError:
        return fault_page(request, 400, "The database cannot hold one of the values.")
    except PermissionDenied:
        facts = {"actor_id": request.user.pk, "route": logs.route_of(request)}
        logs.event("permission_denied", level=logging.WARNING, **facts)
        return fault_page(request, 403)
    except Http404:
        return fault_page(request, 404)
    except Throttled as refusal:
        return fault_page(request, 429, str(refusal.detail), wait=refusal.wait)
    except Exception as error:
        if not is_unavailable(error):
            raise
        return unavailable_page(request, error)


class ConsoleSite(UnfoldAdminSite):
    site_header = site_title = "Support platform"
    index_title = "Console"
    site_url = None
    empty_value_display = "–"
    # Accounts names these, for only accounts has the operations. The two steps of a login; the form in which staff
    # change their own password; and further pages of one's own account: name -> (route, view(request, context)).
    login_view = login_code_view = password_change_form = None
    own_pages = {}

    def register(self, model_or_iterable, admin_class=None, **options):
        """Only what changes through operations comes in. Django's own admin of groups, which would not, stays out."""
        if admin_class is not None and issubclass(admin_class, OperationAdmin):
            super().register(model_or_iterable, admin_class, **options)

    @property
    def pages_by_name(self):
        """{model's name, as the audit trail has it: its page}."""
        return {model._meta.model_name: page for model, page in self._registry.items()}

    def get_urls(self):
        own = [
            path(route, self.admin_view(self._own(view)), name=name) for name, (route, view) in self.own_pages.items()
        ]
        code = path("login/code/", self.login_code, name="login_code")
        return [code, *own, *(url for url in super().get_urls() if getattr(url, "name", None) != "view_on_site")]

    def admin_view(self, view, cacheable=False):
        return faults_as_pages(super().admin_view(self._after_enrolment(view), cacheable))

    def _after_enrolment(self, view):
        """The view, for whoever has passed a second factor where one is required; the others are sent to set it up."""

        @wraps(view)
        def guarded(request, *args, **kwargs):
            if is_enrolment_due(request) and request.resolver_match.url_name not in BEFORE_ENROLMENT:
                return redirect_to_login(request.get_full_path(), reverse("admin:second_factor"))
            return view(request, *args, **kwargs)

        return guarded

    def _own(self, view):
        def own(request):
            request.current_app = self.name
            return view(request, self.each_context(request))

        return own

    def each_context(self, request):
        # unfold would write them into a style element of every page; static/support_platform/colors.css has them.
        return {**super().each_context(request), "colors": None}

    def get_app_list(self, request, app_label=None):
        """By domain, as the apps stand on each other; the ground's audit trail last."""
        order = [config.label for config in apps.get_app_configs() if config.label != "support_platform"]
        found = self._build_app_dict(request, app_label).values()
        return sorted(found, key=lambda app: order.index(app["app_label"]) if app["app_label"] in order else len(order))

    def _build_app_dict(self, request, label=None):
        found = super()._build_app_dict(request, label)
        for app in found.values():
            for model in app["models"]:
                model["icon"] = self._registry[model["model"]].icon
        return found

    def search(self, request, extra_context=None):
        """What the search on every page finds (Ctrl-K)."""
        lists.check_parameters(request.GET, SEARCH_PARAMETERS)
        term = request.GET.get("s", "").strip()
        lists.check_search(term)
        return TemplateResponse(request, "admin/found.html", {"found": search.found(self, request, term)})

    def get_sidebar_list(self, request):
        return navigation(request, self.get_app_list(request))

    def index(self, request, extra_context=None):
        lists.check_parameters(
            request.GET, {name for panel in panels.panels_of(panels.HOME) for name in panel.parameters}
        )
        own = AuditEvent.objects.visible_to(request.user).filter(actor_id=request.user.pk).order_by("-at", "-id")[:10]
        shown = {"own_events": own, "panels": panels.rendered(panels.HOME, request)}
        return super().index(request, {**shown, **(extra_context or {})})

    def get_log_entries(self, request):
        return []  # Django's own log of actions is not kept; the audit trail is

    def autocomplete_view(self, request):
        lists.check_parameters(request.GET, AUTOCOMPLETE_PARAMETERS)
        return super().autocomplete_view(request)

    # --- who gets in ---------------------------------------------------------------------------------
    @method_decorator(never_cache)
    def login(self, request, extra_context=None):
        return faults_as_pages(self._door)(request, self.login_view, {"title": "Log in", **(extra_context or {})})

    @method_decorator(never_cache)
    def login_code(self, request):
        return faults_as_pages(self._door)(request, self.login_code_view, {"title": "Second step"})

    def _door(self, request, view, told):
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **told,
        }
        return view.as_view(extra_context=context)(request)

    def password_change(self, request, extra_context=None):
        request.current_app = self.name
        context = {**self.each_context(request), **(extra_context or {})}
        return OwnPasswordView.as_view(form_class=self.password_change_form, extra_context=context)(request)


def is_enrolment_due(request):
    """Whether this person must set up a second factor before the console shows anything else."""
    return settings.CONSOLE_SECOND_FACTOR == "required" and not request.session.get(SECOND_FACTOR_PASSED)


class OwnPasswordView(PasswordChangeView):
    """The old password is asked for, and guessing it here is limited as a login is."""

    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def post(self, request, *args, **kwargs):
        throttling.count_caller(request, "write")
        throttling.count(request, "login", "e-mail", request.user.email)
        return super().post(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "by": actor_of(self.request, reason="own password")}
