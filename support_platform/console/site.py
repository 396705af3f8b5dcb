"""The console as a whole: who gets in, what its index shows, and every fault as a page."""

import logging
from functools import wraps

from django.apps import apps
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import DataError, transaction
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import Throttled
from unfold.sites import UnfoldAdminSite

from support_platform import audit, logs, throttling
from support_platform.exceptions import is_unavailable
from support_platform.models import AuditEvent
from support_platform.pages import fault_page, unavailable_page
from support_platform.retries import retried

from . import lists, panels, search
from .base import OperationAdmin, actor_of
from .look import navigation

SEARCH_PARAMETERS = {"s", "extended"}
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
    # The form in which staff change their own password; accounts names it, for only accounts has the operation.
    password_change_form = None

    def register(self, model_or_iterable, admin_class=None, **options):
        """Only what changes through operations comes in. Django's own admin of groups, which would not, stays out."""
        if admin_class is not None and issubclass(admin_class, OperationAdmin):
            super().register(model_or_iterable, admin_class, **options)

    @property
    def pages_by_name(self):
        """{model's name, as the audit trail has it: its page}."""
        return {model._meta.model_name: page for model, page in self._registry.items()}

    def get_urls(self):
        return [url for url in super().get_urls() if getattr(url, "name", None) != "view_on_site"]

    def admin_view(self, view, cacheable=False):
        return faults_as_pages(super().admin_view(view, cacheable))

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
        return faults_as_pages(self._login)(request, extra_context)

    def _login(self, request, extra_context):
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return ConsoleLoginView.as_view(extra_context=context)(request)

    def password_change(self, request, extra_context=None):
        request.current_app = self.name
        context = {**self.each_context(request), **(extra_context or {})}
        return OwnPasswordView.as_view(form_class=self.password_change_form, extra_context=context)(request)


class ConsoleLoginView(LoginView):
    """Staff only, and limited as the API's login is, before any password is looked at."""

    authentication_form = AdminAuthenticationForm
    template_name = "admin/login.html"
    next_page = reverse_lazy("admin:index")

    def post(self, request, *args, **kwargs):
        try:
            throttling.count_login(request, request.POST.get("username", ""))
        except Throttled as refusal:
            return self._limited(max(1, int(refusal.wait)))
        return super().post(request, *args, **kwargs)

    def _limited(self, seconds):
        context = self.get_context_data(form=self.get_form_class()(self.request), wait=seconds)
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = str(seconds)
        return response

    def form_invalid(self, form):
        ip = throttling.client_address(self.request)
        logs.event("login_failed", level=logging.WARNING, source="console", ip=ip)
        return super().form_invalid(form)

    def form_valid(self, form):
        return retried(self._log_in, form)

    @transaction.atomic
    def _log_in(self, form):
        user = form.get_user()
        # When this is repeated, the session that the first try made went with its transaction: begin as it came.
        self.request.session = type(self.request.session)(self.request.COOKIES.get(settings.SESSION_COOKIE_NAME))
        response = super().form_valid(form)
        # The session is not named: its key is a secret.
        changes = {"session": (None, "console")}
        by = actor_of(self.request, user=user)
        audit.record("user.logged_in", user, by=by, changes=changes, broker_id=user.broker_id)
        return response


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
