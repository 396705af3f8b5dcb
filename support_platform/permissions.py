"""
Who may do what. Closed by default: a view action that names no right is refused for everyone.

A right is a Django permission, given to the three roles (groups) by migration 0003 from the one table here.
"""

from rest_framework.permissions import BasePermission

_VIEWER = (
    "accounts.view_user",
    "trading.view_strategy",
    "trading.view_deployment",
    "trading.view_trade",
    "trading.view_order",
    "trading.view_scanner",
)
_AGENT = (
    *_VIEWER,
    "accounts.reset_password",
    "accounts.change_contact",
    "accounts.change_status",
    "trading.control_deployment",
    "trading.publish_strategy",
    "trading.delete_scanner",
)
_SUPERVISOR = (
    *_AGENT,
    "accounts.override_email_verification",
    "trading.delete_strategy",
    "trading.change_deployment",
    "trading.correct_trade",
    "support_platform.view_auditevent",
    "support_platform.revert_change",
)
ROLES = {"Viewer": _VIEWER, "Agent": _AGENT, "Supervisor": _SUPERVISOR}

# For `rights` of a view: any signed-in staff member, whatever the role.
ANY_STAFF = object()


class HasRight(BasePermission):
    """
    Asks for the right that the view names for this action in `rights`.

    A right may be a tuple: one of them opens the door, and the view asks again for the exact one when it knows
    the body.
    """

    def has_permission(self, request, view):
        if not request.user.is_authenticated:
            return False
        if not request.user.is_staff:
            return False
        if request.method not in view.allowed_methods:
            return True  # no such method here: DRF answers 405
        method = "get" if request.method == "HEAD" else request.method.lower()
        right = view.rights.get(getattr(view, "action", None) or method)
        if right is None:
            return False
        if right is ANY_STAFF:
            return True
        return any(request.user.has_perm(name) for name in (right if isinstance(right, tuple) else (right,)))


def sync_roles(apps):
    """
    Make the groups and give them the rights of ROLES; called by migrations, safe to repeat.

    `apps` is the migration's registry. Rights are created here when Django's own post_migrate has not yet.
    """
    group_model = apps.get_model("auth", "Group")
    permission_model = apps.get_model("auth", "Permission")
    content_type_model = apps.get_model("contenttypes", "ContentType")
    for role, rights in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=role)
        found = []
        for right in rights:
            app_label, codename = right.split(".")
            model, name = _home_of(apps, app_label, codename)
            content_type, _ = content_type_model.objects.get_or_create(app_label=app_label, model=model)
            permission, _ = permission_model.objects.get_or_create(
                content_type=content_type, codename=codename, defaults={"name": name}
            )
            found.append(permission)
        group.permissions.set(found)


def _home_of(apps, app_label, codename):
    """The model that declares a right, and the right's name in words."""
    for model in apps.get_app_config(app_label).get_models():
        options = model._meta
        declared = dict(options.permissions)
        declared |= {
            f"{verb}_{options.model_name}": f"Can {verb} {options.verbose_name_raw}"
            for verb in options.default_permissions
        }
        if codename in declared:
            return options.model_name, declared[codename]
    raise LookupError(f"No model of {app_label} declares the right {codename}.")
