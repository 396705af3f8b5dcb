"""
The trader's own pages: set a new password, confirm a new address. Plain HTML, no script, no token in sight.

The mailed link only moves its token into the browser's session and goes on to an address without it, so that it
stands in no history, log or referrer. (A scanner that follows links in mails changes nothing.) What then counts is
the form's POST, and the operation checks the link once more under the lock.
"""

from django import forms
from django.contrib.auth import password_validation
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.csrf import csrf_failure as django_csrf_failure
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from support_platform.audit import Actor
from support_platform.exceptions import OperationRefused, OutOfReach
from support_platform.throttling import client_address

from . import links, operations

RESET_TOKEN, EMAIL_TOKEN = "reset_token", "email_token"  # noqa: S105


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True}),
    )
    repeated = forms.CharField(
        label="The same password again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["password"].help_text = " ".join(password_validation.password_validators_help_texts())

    def clean_password(self):
        password = self.cleaned_data["password"]
        password_validation.validate_password(password, self.user)
        return password

    def clean(self):
        cleaned = super().clean()
        if "password" in cleaned and cleaned["password"] != cleaned.get("repeated"):
            self.add_error("repeated", "The two passwords differ. Type the same one twice.")
        return cleaned


@require_safe
@never_cache
def follow_reset(request, token):
    request.session[RESET_TOKEN] = token
    return redirect("password-set")


@require_safe
@never_cache
def follow_email(request, token):
    request.session[EMAIL_TOKEN] = token
    return redirect("email-confirm")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def set_password(request):
    token = request.session.get(RESET_TOKEN, "")
    user = links.user_of_reset(token, timezone.now())
    if user is None:
        return _dead_link(request)
    form = NewPasswordForm(request.POST if request.method == "POST" else None, user=user)
    if not form.is_valid():
        return render(request, "account/set_password.html", {"form": form, "user": user})
    try:
        operations.complete_password_reset(token, form.cleaned_data["password"], by=_visitor(request))
    except OutOfReach:
        return _dead_link(request)
    _forget_links(request)
    return render(request, "account/password_changed.html", {"user": user})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm_email(request):
    token = request.session.get(EMAIL_TOKEN, "")
    user = links.user_of_email_change(token, timezone.now())
    if user is None:
        return _dead_link(request)
    if request.method != "POST":
        return render(request, "account/confirm_email.html", {"user": user})
    try:
        operations.confirm_email(token, by=_visitor(request))
    except (OutOfReach, OperationRefused):
        return _dead_link(request)
    _forget_links(request)
    return render(request, "account/email_confirmed.html", {"email": user.pending_email})


def _dead_link(request):
    """One page for every reason a link does not work."""
    _forget_links(request)
    return render(request, "account/dead_link.html", status=400)


def _forget_links(request):
    for name in (RESET_TOKEN, EMAIL_TOKEN):
        request.session.pop(name, None)


def csrf_failure(request, reason=""):
    """A form posted without its page: here that is one more dead link, elsewhere Django's own answer."""
    return _dead_link(request) if request.path.startswith("/account/") else django_csrf_failure(request, reason)


def _visitor(request):
    return Actor(name="", request_id=request.request_id, source="console", ip=client_address(request))
