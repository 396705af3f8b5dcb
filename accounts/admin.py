"""Accounts in the console: traders for everyone, staff, brokers and sessions for the superuser."""

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.html import format_html

from support_platform.console import lists
from support_platform.console.actions import operation
from support_platform.console.base import OperationAdmin
from support_platform.exceptions import OperationRefused
from support_platform.permissions import ROLES

from . import console_login, mail, operations, own_pages, second_factor_operations, session_operations, staff_operations
from .forms import BrokerForm, ContactForm, DeactivateForm, NewPasswordForm, NewStaffForm, StaffForm, TreatmentForm
from .models import ApiSession, Broker, OutgoingMail, StaffAccount, User
from .search import BrokerSearch, MailSearch, StaffSearch, TraderSearch

IS_ACTIVE = {"active": Q(is_active=True), "inactive": Q(is_active=False)}


class AccountAdmin(OperationAdmin):
    @admin.display(description="name")
    def name(self, user):
        return user.get_full_name() or "–"


@admin.register(User)
class TraderAdmin(TraderSearch, AccountAdmin):
    """Traders. Staff and superusers do not exist here: the queryset holds none."""

    icon = "person"
    list_display = ("email", "name", "phone", "broker", "status", "created_at", "last_login")
    list_select_related = ("broker",)
    list_filter = (
        lists.choice_filter("status", IS_ACTIVE),
        lists.period_filter("created_at", "created"),
        lists.span_filter("created_at", "created"),
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
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

    @operation("Change e-mail or phone", right="accounts.change_contact", form=ContactForm, is_for_one=True)
    def change_contact(self, request, user, *, by, **values):
        before = _last_mail_to(user)
        user = operations.change_contact(user, by=by, **values)
        besides = _mails_since(before, user)
        if "email" in values and user.pending_email:
            besides["Until then"] = f"{user.email} stays valid until the owner of the new one follows the mailed link"
        return user, besides

    @operation(
        "Reset password",
        right="accounts.reset_password",
        bucket=("reset", "target trader"),
        suits=lambda user: user.is_active,
    )
    def reset_password(self, request, user, *, by):
        before = _last_mail_to(user)
        user = operations.reset_password(user, by=by)
        return user, _mails_since(before, user)

    @operation(
        "Deactivate",
        right="accounts.change_status",
        form=DeactivateForm,
        suits=lambda user: user.is_active,
        is_grave=True,
    )
    def deactivate(self, request, user, *, by, deployments):
        user, counts = operations.set_status(user, User.Status.INACTIVE, by=by, deployments=deployments)
        besides = _counted(counts)
        if deployments == "leave" and (left := self._active_deployments(request, user)):
            besides["Deployments left active"] = left
        return user, besides

    def _active_deployments(self, request, user):
        """How many, up to "more than 1000"; None for who may not see deployments."""
        page = self.admin_site.pages_by_name["deployment"]
        if not page.has_view_permission(request):
            return None
        rows = page.get_queryset(request).filter(user=user, status="active").order_by()
        count = rows.values("pk")[:1001].count()
        return count if count <= 1000 else "more than 1000"

    @operation(
        "Pause or stop deployments",
        right="accounts.change_status",
        form=TreatmentForm,
        suits=lambda user: not user.is_active,
    )
    def treat_deployments(self, request, user, *, by, deployments):
        """Of a trader who is inactive already; for one who is active, each deployment has its own page."""
        if user.is_active:
            text = "The account is active. Deactivate it, or pause and stop its deployments in their list."
            raise OperationRefused("active", text)
        user, counts = operations.set_status(user, User.Status.INACTIVE, by=by, deployments=deployments)
        return user, _counted(counts)

    @operation("Activate", right="accounts.change_status", suits=lambda user: not user.is_active)
    def activate(self, request, user, *, by):
        user, _ = operations.set_status(user, User.Status.ACTIVE, by=by)
        return user, {}

    @operation("Cancel e-mail change", right="accounts.change_contact", suits=lambda user: user.pending_email)
    def cancel_email_change(self, request, user, *, by):
        return operations.cancel_email_change(user, by=by), {}


def _counted(counts):
    return {name.replace("_", " ").capitalize(): count for name, count in counts.items() if count}


def _last_mail_to(user):
    return OutgoingMail.objects.filter(user=user).order_by("-id").values_list("id", flat=True).first() or 0


def _mails_since(last, user):
    """The mails that an operation has queued, to be told beside it: to whom, masked, and what of."""
    queued = OutgoingMail.objects.filter(user=user, pk__gt=last).order_by("id")
    told = [f"{mail.SUBJECTS[row.kind]}, to {mail.masked(row.to)}" for row in queued]
    return {"Mail" if len(told) == 1 else "Mails": "; ".join(told)} if told else {}


@admin.register(StaffAccount)
class StaffAccountAdmin(StaffSearch, AccountAdmin):
    icon = "support_agent"
    superuser_only = True
    list_display = (
        *("email", "name", "roles", "broker", "is_superuser", "has_second_factor", "status", "created_at"),
        "last_login",
    )
    list_select_related = ("broker", "second_factor")
    list_filter = (
        lists.choice_filter("status", IS_ACTIVE),
        lists.choice_filter("role", {role: Q(groups__name=role) for role in ROLES}),
        lists.choice_filter("superuser", {"yes": Q(is_superuser=True), "no": Q(is_superuser=False)}),
        lists.choice_filter(
            "second_factor", {"on": Q(second_factor__isnull=False), "off": Q(second_factor__isnull=True)}
        ),
    )
    sortable_by = ("created_at",)
    ordering = ("-created_at", "-id")
    fields = (
        "id",
        "email",
        "first_name",
        "last_name",
        "roles",
        "broker",
        "is_superuser",
        "is_active",
        "has_second_factor",
        "created_at",
        "last_login",
    )
    add_form = NewStaffForm

    def get_queryset(self, request):
        return super().get_queryset(request).staff().prefetch_related("groups")

    @admin.display(description="role")
    def roles(self, staff):
        return ", ".join(group.name for group in staff.groups.all()) or "–"

    @operation("Change account", form=StaffForm, is_for_one=True)
    def change(self, request, staff, *, by, **values):
        return staff_operations.change_staff(as_user(staff), by=by, **values), {}

    @operation("Set password", form=NewPasswordForm, is_for_one=True)
    def set_password(self, request, staff, *, by, password):
        return staff_operations.change_staff(as_user(staff), by=by, password=password), {}

    @admin.display(description="second factor", boolean=True)
    def has_second_factor(self, staff):
        return hasattr(staff, "second_factor")

    @operation("End all sessions", is_grave=True)
    def end_sessions(self, request, staff, *, by):
        staff, ended = session_operations.end_sessions(as_user(staff), by=by)
        return staff, {"API sessions and service tokens ended": str(ended), "Console": "ended in every browser"}

    @operation("Remove second factor", suits=lambda staff: hasattr(staff, "second_factor"), is_grave=True)
    def remove_second_factor(self, request, staff, *, by):
        changed = second_factor_operations.remove_second_factor(as_user(staff), by=by)
        besides = {"Sessions": "all ended", "Until a new one is set up": "the password alone opens the console"}
        return changed, besides if changed.version != staff.version else {}

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


@admin.register(Broker)
class BrokerAdmin(BrokerSearch, OperationAdmin):
    icon = "apartment"
    superuser_only = True
    list_display = ("name", "domain", "created_at")
    sortable_by = ("name", "created_at")
    ordering = ("name",)
    fields = ("id", "name", "domain", "created_at")
    add_form = BrokerForm

    @operation("Change broker", form=BrokerForm, is_for_one=True)
    def change(self, request, broker, *, by, **values):
        return staff_operations.change_broker(broker, by=by, **values), {}

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
        lists.span_filter("created_at", "created"),
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

    @operation("Revoke", suits=lambda session: session.revoked_at is None, is_grave=True)
    def revoke(self, request, session, *, by):
        return session_operations.revoke_session(session, by=by), {}


@admin.register(OutgoingMail)
class OutgoingMailAdmin(MailSearch, OperationAdmin):
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
        lists.span_filter("created_at", "created"),
        lists.row_filter("user"),
    )
    ordering = ("-id",)
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


admin.site.password_change_form = own_pages.OwnPasswordForm
admin.site.login_view = console_login.ConsoleLoginView
admin.site.login_code_view = console_login.LoginCodeView
admin.site.own_pages = own_pages.PAGES
