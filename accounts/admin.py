"""Accounts in the console: traders for everyone, staff, brokers and sessions for the superuser."""

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.html import format_html
from rest_framework import serializers

from support_platform.console import lists
from support_platform.console.actions import ReasonForm, operation
from support_platform.console.base import OperationAdmin
from support_platform.console.forms import OperationForm, ReadableField
from support_platform.permissions import ROLES
from support_platform.retries import retried

from . import mail, operations, session_operations, staff_operations
from .models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from .serializers import EmailField, UpdateContactSerializer

IS_ACTIVE = {"active": Q(is_active=True), "inactive": Q(is_active=False)}


class ContactForm(OperationForm):
    input = UpdateContactSerializer

    email = forms.CharField(label="E-mail", max_length=254)
    phone = forms.CharField(required=False, empty_value=None, max_length=16, help_text="Such as +4915112345678.")
    verified = forms.BooleanField(
        required=False,
        label="The new e-mail is verified",
        help_text="It then takes effect at once, without the link that its owner would follow.",
    )


class DeactivateForm(ReasonForm):
    deployments = forms.ChoiceField(
        choices=[("leave", "leave as they are"), ("pause", "pause the active ones"), ("stop", "stop for good")],
        initial="leave",
    )


class AccountAdmin(OperationAdmin):
    @admin.display(description="name")
    def name(self, user):
        return user.get_full_name() or "–"


@admin.register(User)
class TraderAdmin(AccountAdmin):
    """Traders. Staff and superusers do not exist here: the queryset holds none."""

    icon = "person"
    is_found_first = True
    list_display = ("email", "name", "phone", "broker", "status", "created_at", "last_login")
    list_select_related = ("broker",)
    list_filter = (lists.choice_filter("status", IS_ACTIVE), lists.period_filter("created_at", "created"))
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
    search_fields = ("email", "first_name", "last_name", "phone")
    search_help_text = "A part of the e-mail, the name or the phone number."
    fields = (
        "id",
        "email",
        "pending_email",
        "phone",
        "first_name",
        "last_name",
        "broker",
        "status",
        "created_at",
        "last_login",
        "reset_expires_at",
    )
    export_fields = (
        "id",
        "email",
        "pending_email",
        "phone",
        "first_name",
        "last_name",
        "broker.name",
        "status",
        "created_at",
        "last_login",
    )
    form = ContactForm
    change_fields = {
        "email": "accounts.change_contact",
        "phone": "accounts.change_contact",
        "verified": "accounts.override_email_verification",
    }

    def change_row(self, row, values, *, by):
        user = operations.change_contact(row, by=by, **values)
        waits = "email" in values and user.pending_email
        return user, f"{user.pending_email} waits until its owner follows the mailed link." if waits else ""

    @operation("Reset password", right="accounts.reset_password", bucket=("reset", "target trader"))
    def reset_password(self, request, user, *, by):
        user = operations.reset_password(user, by=by)
        return user, f"A link was mailed to {mail.masked(user.email)}."

    @operation("Deactivate", right="accounts.change_status", form=DeactivateForm)
    def deactivate(self, request, user, *, by, deployments):
        user, counts = operations.set_status(user, User.Status.INACTIVE, by=by, deployments=deployments)
        told = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
        return user, f"Done: {', '.join(told)}." if told else ""

    @operation("Activate", right="accounts.change_status")
    def activate(self, request, user, *, by):
        user, _ = operations.set_status(user, User.Status.ACTIVE, by=by)
        return user, ""

    @operation("Cancel e-mail change", right="accounts.change_contact")
    def cancel_email_change(self, request, user, *, by):
        return operations.cancel_email_change(user, by=by), ""


class AddressField(forms.CharField):
    """An address by the API's own rule."""

    def __init__(self, **kwargs):
        super().__init__(label="E-mail", **kwargs)

    def clean(self, value):
        try:
            return EmailField().run_validation(super().clean(value))
        except serializers.ValidationError as error:
            raise ValidationError([str(detail) for detail in error.detail]) from None


class PasswordField(forms.CharField):
    def __init__(self, **kwargs):
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        super().__init__(strip=False, max_length=1000, widget=widget, **kwargs)

    def clean(self, value):
        value = super().clean(value)
        if value:
            password_validation.validate_password(value)
        return value


class StaffForm(OperationForm):
    email = AddressField()
    first_name = ReadableField(required=False, max_length=150)
    last_name = ReadableField(required=False, max_length=150)
    role = forms.ChoiceField(required=False, choices=[("", "none"), *((role, role) for role in ROLES)])
    broker = forms.ModelChoiceField(Broker.objects.order_by("name"), required=False, empty_label="all brokers")
    is_superuser = forms.BooleanField(required=False, label="Superuser")
    is_active = forms.BooleanField(required=False, label="Active", initial=True)
    password = PasswordField(required=False, label="New password", help_text="Empty: it stays as it is.")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial["role"] = self.instance.groups.values_list("name", flat=True).first() or ""
        self.initial.pop("password", None)  # the hash of the old one

    def clean_role(self):
        role = self.cleaned_data["role"]
        if not role and self.initial["role"]:
            raise ValidationError("A role can be changed, not taken away. Deactivate the account instead.")
        return role


class NewStaffForm(OperationForm):
    email = AddressField()
    role = forms.ChoiceField(required=False, choices=[("", "none"), *((role, role) for role in ROLES)])
    broker = forms.ModelChoiceField(Broker.objects.order_by("name"), required=False, empty_label="all brokers")
    is_superuser = forms.BooleanField(required=False, label="Superuser", help_text="May do everything; needs no role.")
    password = PasswordField(help_text=password_validation.password_validators_help_text_html)

    def clean(self):
        cleaned = super().clean()
        if not cleaned.get("role") and not cleaned.get("is_superuser") and "role" in cleaned:
            self.add_error("role", "Choose a role; without one only a superuser can do anything.")
        return cleaned


@admin.register(StaffAccount)
class StaffAccountAdmin(AccountAdmin):
    icon = "support_agent"
    superuser_only = True
    list_display = ("email", "name", "roles", "broker", "is_superuser", "status", "created_at", "last_login")
    list_select_related = ("broker",)
    list_filter = (
        lists.choice_filter("status", IS_ACTIVE),
        lists.choice_filter("role", {role: Q(groups__name=role) for role in ROLES}),
        lists.choice_filter("superuser", {"yes": Q(is_superuser=True), "no": Q(is_superuser=False)}),
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
    search_fields = ("email", "first_name", "last_name")
    fields = (
        "id",
        "email",
        "first_name",
        "last_name",
        "broker",
        "is_superuser",
        "is_active",
        "created_at",
        "last_login",
    )
    form = StaffForm
    add_form = NewStaffForm
    change_fields = dict.fromkeys(
        ("email", "first_name", "last_name", "role", "broker", "is_superuser", "is_active", "password")
    )

    def get_queryset(self, request):
        return super().get_queryset(request).staff().prefetch_related("groups")

    @admin.display(description="role")
    def roles(self, staff):
        return ", ".join(group.name for group in staff.groups.all()) or "–"

    def change_row(self, row, values, *, by):
        return staff_operations.change_staff(as_user(row), by=by, **values), ""

    def create_row(self, values, *, by):
        return staff_operations.create_staff(
            values["email"],
            values["password"],
            values.get("role"),
            by=by,
            broker=values.get("broker"),
            is_superuser=values.get("is_superuser", False),
        )

    def related_lists(self, request, obj):
        return []  # a staff account has no strategies or trades


def as_user(staff):
    """The account under its own model, whose name the audit trail uses for it."""
    user = User.objects.get(pk=staff.pk)
    user.if_match = staff.if_match
    return user


class BrokerForm(OperationForm):
    name = ReadableField(max_length=100)
    domain = ReadableField(required=False, max_length=253)


@admin.register(Broker)
class BrokerAdmin(OperationAdmin):
    icon = "apartment"
    superuser_only = True
    list_display = ("name", "domain", "created_at")
    sortable_by = ("name", "created_at")
    ordering = ("name",)
    search_fields = ("name", "domain")
    fields = ("id", "name", "domain", "created_at")
    form = add_form = BrokerForm
    change_fields = {"name": None, "domain": None}

    def change_row(self, row, values, *, by):
        return staff_operations.change_broker(row, by=by, **values), ""

    def create_row(self, values, *, by):
        return staff_operations.create_broker(values["name"], by=by, domain=values.get("domain", ""))

    def related_lists(self, request, obj):
        return []


class IsLiveFilter(lists.ConsoleFilter):
    parameter_name = title = "state"

    def lookups(self, request, model_admin):
        return [("open", "Open"), ("ended", "Ended")]

    def condition(self, value):
        is_open = Q(revoked_at__isnull=True, expires_at__gt=timezone.now())
        return is_open if value == "open" else ~is_open


@admin.register(ApiSession)
class ApiSessionAdmin(OperationAdmin):
    icon = "vpn_key"
    superuser_only = True
    list_display = ("created_at", "staff", "kind", "expires_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (
        IsLiveFilter,
        lists.value_filter("kind", ApiSession.Kind.values),
        lists.period_filter("created_at", "created"),
    )
    ordering = ("-created_at", "-id")
    search_fields = ("user__email",)
    search_help_text = "A part of the e-mail."
    fields = ("id", "staff", "kind", "created_at", "expires_at", "revoked_at")

    @admin.display(description="staff account")
    def staff(self, session):
        page = self.admin_site.get_model_admin(StaffAccount)
        return format_html('<a href="{}">{}</a>', page.url("change", session.user_id), session.user)

    def audit_trail_of(self, request, object_id):
        """A session's events tell of its staff account."""
        session = self.get_object(request, object_id) if self.has_view_permission(request) else None
        return ("user", session.user_id) if session else super().audit_trail_of(request, object_id)

    @operation("Revoke")
    def revoke(self, request, session, *, by):
        was_open = session.revoked_at is None
        session = session_operations.revoke_session(session, by=by)
        return session, "" if was_open else "It had ended already."


@admin.register(OutgoingMail)
class OutgoingMailAdmin(OperationAdmin):
    """Whether a trader's mail left, for whoever sees the trader."""

    icon = "mail"
    list_display = ("created_at", "user", "kind", "sent_to", "state", "attempts", "sent_at", "last_error")
    list_select_related = ("user",)
    list_filter = (
        lists.choice_filter(
            "state",
            {
                "waiting": Q(sent_at__isnull=True, dropped_at__isnull=True),
                "sent": Q(sent_at__isnull=False),
                "dropped": Q(dropped_at__isnull=False),
            },
        ),
        lists.value_filter("kind", OutgoingMail.Kind.values),
        lists.period_filter("created_at", "created"),
        lists.row_filter("user"),
    )
    ordering = ("-id",)
    search_fields = ("user__email",)
    search_help_text = "A part of the trader's e-mail."
    fields = (
        "id",
        "user",
        "kind",
        "sent_to",
        "state",
        "created_at",
        "attempts",
        "next_attempt_at",
        "sent_at",
        "refused_at",
        "dropped_at",
        "last_error",
    )

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm("accounts.view_user")

    @admin.display(description="to")
    def sent_to(self, row):
        return mail.masked(row.to)

    def state(self, row):
        return "sent" if row.sent_at else "dropped" if row.dropped_at else "waiting"


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


admin.site.password_change_form = OwnPasswordForm
