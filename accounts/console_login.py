"""
The console's door: the password, and for whoever has set one up, the second factor.

Between the two nobody is logged in. The session then only holds whose password was right, for five minutes and only as
long as neither it nor the account's sessions change.
"""

import logging
import time

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.db import transaction
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from rest_framework.exceptions import Throttled

from support_platform import audit, logs, throttling
from support_platform.console.base import actor_of
from support_platform.console.look import dress
from support_platform.console.site import SECOND_FACTOR_PASSED
from support_platform.retries import retried

from . import second_factor_operations
from .models import SecondFactor, User

BETWEEN_STEPS = "between_login_steps"
SECONDS_BETWEEN = 300


class Step(RedirectURLMixin):
    """
    What both steps share: too many attempts are answered by the form itself, before anything typed is looked at, and
    where one wanted to be stays in the form's address, whatever the answer (only a page of ours; any other is dropped).
    """

    next_page = reverse_lazy("admin:index")

    def limited(self, seconds):
        seconds = max(1, int(seconds))
        response = self.render_to_response(self.get_context_data(form=self.empty_form(), wait=seconds), status=429)
        response["Retry-After"] = str(seconds)
        return response

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"app_path": self.with_next(self.request.path)}

    def with_next(self, address, **query):
        if self.get_redirect_url():
            query[self.redirect_field_name] = self.get_redirect_url()
        return f"{address}?{urlencode(query)}" if query else address


class ConsoleLoginForm(AdminAuthenticationForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        dress(self.fields)


class ConsoleLoginView(Step, LoginView):
    """Staff only, and limited as the API's login is, before any password is looked at."""

    authentication_form = ConsoleLoginForm
    template_name = "admin/login.html"

    def get(self, request, *args, **kwargs):
        if request.user.is_active and request.user.is_staff:
            return redirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def post(self, request, *args, **kwargs):
        try:
            throttling.count_login(request, request.POST.get("username", ""))
        except Throttled as refusal:
            return self.limited(refusal.wait)
        return super().post(request, *args, **kwargs)

    def empty_form(self):
        return self.get_form_class()(self.request)

    def form_invalid(self, form):
        ip = throttling.client_address(self.request)
        logs.event("login_failed", level=logging.WARNING, source="console", ip=ip)
        return super().form_invalid(form)

    def form_valid(self, form):
        user = form.get_user()
        if SecondFactor.objects.filter(user=user).exists():
            self.request.session.flush()
            self.request.session[BETWEEN_STEPS] = {
                "user": user.pk,
                "backend": user.backend,
                "hash": user.get_session_auth_hash(),
                "at": int(time.time()),
            }
            return redirect(self.with_next(reverse("admin:login_code")))
        retried(transaction.atomic(enter), self.request, user)
        return redirect(self.get_success_url())


class OnceInput(forms.PasswordInput):
    """What is typed can be read, but does not come back with the page: a code that was looked at is of no more use."""

    input_type = "text"


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        label="Code",
        help_text="The six digits that your app shows now.",
        error_messages={"required": "Type the code."},
        widget=OnceInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        dress(self.fields)


class RecoveryCodeForm(CodeForm):
    """The same with the keys and words for the other kind; either form takes either."""

    code = forms.CharField(
        max_length=40,
        label="Recovery code",
        help_text="One of the ten that you kept, such as abcd-efgh-ijkl-mnop. Each works once.",
        error_messages={"required": "Type one of your recovery codes."},
        widget=OnceInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )


@method_decorator(sensitive_post_parameters("code"), name="dispatch")
class LoginCodeView(Step, FormView):
    """The second step: counted by the account whose password was right, before any code is looked at."""

    template_name = "admin/login_code.html"

    def dispatch(self, request, *args, **kwargs):
        self.staff = user_between_steps(request)
        if self.staff is None:
            return redirect(self.with_next(reverse("admin:login")))
        return super().dispatch(request, *args, **kwargs)

    def post(self, request, *args, **kwargs):
        try:
            throttling.count(request, "second_factor", "staff user", self.staff.pk)
        except Throttled as refusal:
            return self.limited(refusal.wait)
        return super().post(request, *args, **kwargs)

    def get_form_class(self):
        return RecoveryCodeForm if self.is_recovery else CodeForm

    def get_form(self, form_class=None):
        form = super().get_form(form_class)
        form.fields["code"].widget.attrs["autofocus"] = True
        return form

    def empty_form(self):
        return self.get_form_class()()

    @property
    def is_recovery(self):
        return "recovery" in self.request.GET

    def get_context_data(self, **kwargs):
        here, other = self.with_next(self.request.path), self.with_next(self.request.path, recovery="1")
        here, other = (other, here) if self.is_recovery else (here, other)
        ways = {"app_path": here, "other_way": other, "is_recovery": self.is_recovery}
        return super().get_context_data(**kwargs) | ways | {"start": self.with_next(reverse("admin:login"))}

    def form_valid(self, form):
        passed, wait = retried(self._check_and_enter, form.cleaned_data["code"])
        if passed:
            return redirect(self.get_success_url())
        if wait:
            return self.limited(wait)
        form.add_error("code", "This code does not work, or it was used before. Type the next one.")
        return self.form_invalid(form)

    @transaction.atomic
    def _check_and_enter(self, code):
        by = actor_of(self.request, user=self.staff)
        passed, wait = second_factor_operations.check_code(self.staff, code, by=by)
        if passed:
            enter(self.request, self.staff, passed)
        return passed, wait


def user_between_steps(request):
    """Whose password was right a moment ago in this browser; None if nobody's."""
    between = request.session.get(BETWEEN_STEPS)
    if not between or not 0 <= time.time() - between["at"] <= SECONDS_BETWEEN:
        return None
    user = User.objects.filter(pk=between["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(between["hash"], user.get_session_auth_hash()):
        return None
    user.backend = between["backend"]
    return user


def enter(request, user, passed=None):
    """Open a session, in the transaction that its event is in. `passed` is what the second step was passed with."""
    # When this is repeated, the session that the first try made went with its transaction: begin as it came.
    request.session = type(request.session)(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    request.session.pop(BETWEEN_STEPS, None)
    login(request, user)
    changes = {"session": (None, "console")}  # it is not named: its key is a secret
    if passed:
        request.session[SECOND_FACTOR_PASSED] = True
        changes["second_factor"] = (None, passed)
    audit.record("user.logged_in", user, by=actor_of(request, user=user), changes=changes, broker_id=user.broker_id)
