"""The pages of one's own account in the console: the second factor, the sessions that are open, and the password."""

from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import update_session_auth_hash
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters

from support_platform import throttling
from support_platform.console.attempts import refused_text
from support_platform.console.base import actor_of
from support_platform.console.look import dress
from support_platform.console.site import SECOND_FACTOR_PASSED, is_enrolment_due
from support_platform.exceptions import InvalidChange, OperationRefused
from support_platform.models import AuditEvent
from support_platform.retries import retried

from . import second_factor, second_factor_operations, session_operations, staff_operations
from .console_login import CodeForm
from .models import ApiSession, SecondFactor, User

KEY_BEING_ENROLLED = "second_factor_key"
MAX_LOGINS = 50


class OwnPasswordForm(AdminPasswordChangeForm):
    """A staff member's own password, changed by the operation that ends every other session as well."""

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.by = by

    def save(self, commit=True):
        password = self.cleaned_data["new_password1"]
        staff = User.objects.get(pk=self.user.pk)  # the request's own user is a lazy stand-in
        self.user = retried(staff_operations.change_staff, staff, by=self.by, password=password)
        return self.user


class PasswordForm(forms.Form):
    """Whoever finds a console left open can do nothing here: each change asks the password again."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Type your password."},
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        dress(self.fields)

    def clean_password(self):
        if not self.user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError("This is not your password. Nothing was changed.")
        return self.cleaned_data["password"]


class EnrolForm(PasswordForm):
    code = CodeForm.base_fields["code"]

    field_order = ("code", "password")


def _enrol(request, staff, form):
    sealed = request.session.get(KEY_BEING_ENROLLED, "")
    code, by = form.cleaned_data["code"], actor_of(request)
    staff, codes = retried(second_factor_operations.enrol_second_factor, staff, sealed, code, by=by)
    request.session.pop(KEY_BEING_ENROLLED, None)
    request.session[SECOND_FACTOR_PASSED] = True
    update_session_auth_hash(request, staff)
    return codes


def _replace_codes(request, staff, form):
    return retried(second_factor_operations.replace_recovery_codes, staff, by=actor_of(request))


def _turn_off(request, staff, form):
    staff = retried(second_factor_operations.remove_second_factor, staff, by=actor_of(request))
    request.session.pop(SECOND_FACTOR_PASSED, None)
    update_session_auth_hash(request, staff)
    messages.success(request, "The second factor is off. All your other sessions and tokens are ended.")


# What the page's forms ask for: (form, what is done, which gives the codes to show or None)
ASKED = {
    "enrol": (EnrolForm, _enrol),
    "codes": (PasswordForm, _replace_codes),
    "off": (PasswordForm, _turn_off),
}


@sensitive_post_parameters("password", "code")
def second_factor_page(request, context):
    staff = User.objects.get(pk=request.user.pk)  # the request's own user is a lazy stand-in
    asked, refused = request.POST.get("asked"), {}
    if request.method == "POST" and asked in ASKED:
        throttling.count_caller(request, "write")
        throttling.count(request, "login", "e-mail", staff.email)  # guessing the password here is limited as a login
        kind, act = ASKED[asked]
        form = kind(request.POST, user=staff, prefix=asked)
        if form.is_valid():
            try:
                codes = act(request, staff, form)
                return _codes_page(request, context, codes) if codes else redirect("admin:second_factor")
            except InvalidChange as refusal:
                form.add_error("code", refusal.errors["code"][1])
            except OperationRefused as refusal:
                form.add_error(None, refused_text(refusal))
        refused = {asked: form}
    return _page(request, staff, context, refused)


def _page(request, staff, context, refused):
    factor = SecondFactor.objects.filter(user=staff).first()
    context |= {
        "title": "Second factor",
        "factor": factor,
        "is_required": settings.CONSOLE_SECOND_FACTOR == "required",
        "is_due": is_enrolment_due(request),
        "forms": {name: refused.get(name) or form(user=staff, prefix=name) for name, (form, _) in ASKED.items()},
        "here": request.get_full_path(),
    }
    if factor is None or "new" in request.GET or "enrol" in refused:
        key = _key_being_enrolled(request, staff)
        address = second_factor.address_of(key, staff.email)
        # Made here of our own text; an SVG has nowhere to put it but in the page.
        picture = mark_safe(second_factor.picture_of(address))  # noqa: S308
        context |= {"picture": picture, "key": second_factor.as_text(key), "address": address}
    else:
        context["codes_left"] = factor.recovery_codes.count()
    return TemplateResponse(request, "admin/second_factor.html", context)


def _key_being_enrolled(request, staff):
    """The key that the page shows until a code of it confirms it; it waits in the session, sealed as in its table."""
    sealed = request.session.get(KEY_BEING_ENROLLED)
    key, _ = second_factor.unseal(sealed, staff.pk) if sealed else (None, False)
    if key is None:
        key = second_factor.new_key()
        request.session[KEY_BEING_ENROLLED] = second_factor.seal(key, staff.pk)
    return key


def _codes_page(request, context, codes):
    onward = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(onward, {request.get_host()}, require_https=request.is_secure()):
        onward = reverse("admin:second_factor")
    context |= {"title": "Recovery codes", "codes": codes, "onward": onward}
    return TemplateResponse(request, "admin/recovery_codes.html", context)


def sessions_page(request, context):
    staff = User.objects.get(pk=request.user.pk)
    if request.method == "POST":
        throttling.count_caller(request, "write")
        staff, ended = retried(session_operations.end_sessions, staff, by=actor_of(request))
        update_session_auth_hash(request, staff)
        tokens = "1 API session or service token was" if ended == 1 else f"{ended} API sessions and service tokens were"
        messages.success(request, f"All other sessions are ended: {tokens} open, and the console's in other browsers.")
        return redirect("admin:own_sessions")
    now = timezone.now()
    logins = AuditEvent.objects.filter(
        subject_type="user",
        subject_id=staff.pk,
        action="user.logged_in",
        source=AuditEvent.Source.CONSOLE,
        at__gt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE),
    )
    context |= {
        "title": "Sessions",
        "api_sessions": ApiSession.objects.live(now).filter(user=staff).order_by("-created_at")[:MAX_LOGINS],
        "logins": logins.order_by("-at", "-id")[:MAX_LOGINS],
        "hours": settings.SESSION_COOKIE_AGE // 3600,
    }
    return TemplateResponse(request, "admin/own_sessions.html", context)


PAGES = {
    "second_factor": ("second_factor/", second_factor_page),
    "own_sessions": ("sessions/", sessions_page),
}
