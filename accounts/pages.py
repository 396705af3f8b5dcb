"""
The trader's own pages: set a new password, confirm a new address. Plain HTML, no script, no token in sight.

The mailed link only moves its token into a cookie of these pages and goes on to an address without it, so that it
stands in no history, log or referrer, nor in our database. (A scanner that follows links in mails changes nothing.)
What then counts is the form's POST, and the operation checks the link once more under the lock.
"""

from django import forms
from django.conf import settings
from django.contrib.auth import password_validation
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from support_platform.audit import Actor
from support_platform.exceptions import OperationRefused, OutOfReach
from support_platform.pages import permission_denied
from support_platform.retries import retried
from support_platform.throttling import client_address

from . import links, operations

RESET_COOKIE, EMAIL_COOKIE = "reset_link", "email_link"


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Type a new password."},
    )
    repeated = forms.CharField(
        label="The same password again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Type the same password a second time."},
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["password"].help_text = password_validation.password_validators_help_text_html()

    def clean_password(self):
        password = self.cleaned_data["password"]
        if not password.strip():
            raise forms.ValidationError("Type more than spaces.")
        password_validation.validate_password(password, self.user)
        return password

    def clean(self):
        cleaned = super().clean()
        if "password" in cleaned and "repeated" in cleaned and cleaned["password"] != cleaned["repeated"]:
            self.add_error("repeated", "The two passwords differ. Type the same one twice.")
        return cleaned


# Exempt from the CSRF check, which would log a refused POST with its path, and the path is the link.
@csrf_exempt
@require_safe
@never_cache
def follow_reset(request, token):
    return _follow(request, token, links.RESET, RESET_COOKIE, "password-set", settings.PASSWORD_RESET_LIFETIME)


@csrf_exempt
@require_safe
@never_cache
def follow_email(request, token):
    return _follow(request, token, links.EMAIL, EMAIL_COOKIE, "email-confirm", settings.EMAIL_CONFIRMATION_LIFETIME)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def set_password(request):
    token = request.COOKIES.get(RESET_COOKIE, "")
    user = links.user_of_reset(token, timezone.now())
    if user is None or _is_another_links_form(request, token):
        return _dead_link(request)
    form = NewPasswordForm(request.POST if request.method == "POST" else None, user=user)
    if not form.is_valid():
        return render(request, "account/set_password.html", {"form": form, "trader": user, "link_mark": _mark(token)})
    try:
        password = form.cleaned_data["password"]
        user = retried(operations.complete_password_reset, token, password, by=_visitor(request))
    except OutOfReach:
        return _dead_link(request)
    return _done(render(request, "account/password_changed.html", {"trader": user}), RESET_COOKIE, "password-set")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm_email(request):
    token = request.COOKIES.get(EMAIL_COOKIE, "")
    user = links.user_of_email_change(token, timezone.now())
    if user is None or _is_another_links_form(request, token):
        return _dead_link(request)
    if request.method != "POST":
        return render(request, "account/confirm_email.html", {"trader": user, "link_mark": _mark(token)})
    try:
        user = retried(operations.confirm_email, token, by=_visitor(request))
    except (OutOfReach, OperationRefused):
        return _dead_link(request)
    return _done(render(request, "account/email_confirmed.html", {"trader": user}), EMAIL_COOKIE, "email-confirm")


@never_cache
def csrf_failure(request, reason=""):
    """A form posted without its page: here that is one more dead link."""
    return _dead_link(request) if request.path.startswith("/account/") else permission_denied(request, None)


def _follow(request, token, purpose, cookie, page, lifetime):
    """Asks no database: an error there would be logged with the path, and the path is the link."""
    if not links.is_genuine(token, purpose):
        return _dead_link(request)
    response = redirect(page)
    response.set_cookie(
        cookie,
        token,
        max_age=lifetime,
        path=reverse(page),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",  # Strict would lose it on the way from a webmail's page
    )
    return response


def _mark(token, secret=None):
    """What a form carries of the link it was shown for: enough to tell two links apart, nothing to make one of."""
    return salted_hmac("accounts.pages.link", token, secret=secret, algorithm="sha256").hexdigest()


def _is_another_links_form(request, token):
    """A second link opened in the same browser replaces the cookie under a form that is still open for the first."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    shown = request.POST.get("link", "")
    return request.method == "POST" and not any(constant_time_compare(shown, _mark(token, key)) for key in keys)


def _done(response, cookie, page):
    response.delete_cookie(cookie, path=reverse(page), samesite="Lax")
    return response


def _dead_link(request):
    """One page for every reason a link does not work."""
    return render(request, "account/dead_link.html", status=400)


def _visitor(request):
    return Actor(name="", request_id=request.request_id, source="console", ip=client_address(request))
