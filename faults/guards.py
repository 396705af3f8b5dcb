"""
The guards of the platform, each as the edit that takes it away, and the tests that must then fail.

Where guards are many of one kind (rights, locks, transactions) they are found in the source; the others are named.
A guard whose text is no longer there raises, so that this list cannot fall behind the code.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PERMISSIONS = ("support_platform/tests/test_permissions.py",)
OPERATIONS = ("support_platform/tests/test_operations.py",)
LOCKS = ("support_platform/tests/test_operations.py", "support_platform/tests/test_writes.py")
TRADER_TESTS = (
    "accounts/tests/test_reset_password.py",
    "accounts/tests/test_reset_links.py",
    "accounts/tests/test_confirm_email.py",
    "accounts/tests/test_update_contact.py",
    "accounts/tests/test_update_status.py",
)
TOKEN_TESTS = ("accounts/tests/test_tokens.py", "accounts/tests/test_ended_tokens.py")
CONSOLE_TESTS = tuple(
    f"support_platform/tests/test_console_{part}.py"
    for part in ("login", "staff", "traders", "trading", "audit", "export", "hostile")
)


@dataclass(frozen=True)
class Guard:
    """In the file at `path` the text `old`, which stands there once, is the guard; `new` is the code without it."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple

    def removed_from(self, source):
        """
        :raises ValueError: if the guard is not there, or not once
        """
        if source.count(self.old) != 1:
            raise ValueError(
                f"guard {self.name!r}: {self.path} holds its text {source.count(self.old)} times, not once."
            )
        return source.replace(self.old, self.new)


def all_guards():
    return [*rights(), *transactions(), *locks(), *NAMED]


def rights():
    """Each right that a view asks for: without it any staff member may call."""
    for path in ("accounts/views.py", "trading/views.py", "analytics/views.py"):
        source = (ROOT / path).read_text()
        for view, table in re.findall(r"class (\w+)\(.*?\n    rights = \{(.*?)\}", source, re.DOTALL):
            for action, right in re.findall(r'"(\w+)": (\(.*?\)|"[\w.]+")', table):
                whole = re.search(rf"class {view}\(.*?rights = \{{.*?\}}", source, re.DOTALL)[0]
                line = f'"{action}": {right}'
                opened = whole.replace(
                    line, f'"{action}": __import__("support_platform.permissions").permissions.ANY_STAFF'
                )
                yield Guard(f"right of {view}.{action}", path, whole, opened, PERMISSIONS)


def transactions():
    """Each operation's transaction."""
    for path, source in _operations():
        for name in re.findall(r"^@transaction\.atomic\ndef ([a-z]\w*)\(", source, re.MULTILINE):
            yield Guard(f"transaction of {name}", path, f"@transaction.atomic\ndef {name}(", f"def {name}(", OPERATIONS)


def locks():
    """Each lock that an operation takes: without it the row is only read."""
    for path, source in _operations():
        for function in re.split(r"(?m)^(?=(?:@|def ))", source):
            name = re.search(r"^def (\w+)", function, re.MULTILINE)
            for locked in re.findall(r"\block\(([\w.]+)\)", function) if name else ():
                read = function.replace(f"lock({locked})", f"type({locked})._base_manager.get(pk={locked}.pk)", 1)
                yield Guard(f"lock of {locked} in {name[1]}", path, function, read, LOCKS)


def _operations():
    for app in ("accounts", "trading"):
        for path in sorted((ROOT / app).glob("*operations.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


NAMED = [
    # --- rights that only the body tells of, and the door that is closed by default
    Guard(
        "right to override e-mail verification",
        "accounts/views.py",
        'self.require("accounts.override_email_verification")',
        "pass",
        PERMISSIONS,
    ),
    Guard(
        "right to control a deployment",
        "trading/views.py",
        'self.require("trading.control_deployment")',
        "pass",
        (*PERMISSIONS, "trading/tests/test_update_deployment.py"),
    ),
    Guard(
        "right to change a deployment's parameters",
        "trading/views.py",
        'self.require("trading.change_deployment")',
        "pass",
        PERMISSIONS,
    ),
    Guard(
        "a view without rights is closed",
        "support_platform/permissions.py",
        "        if right is None:\n            return False\n",
        "        if right is None:\n            return True\n",
        PERMISSIONS,
    ),
    Guard(
        "staff only",
        "support_platform/permissions.py",
        "        if not request.user.is_staff:\n            return False\n",
        "",
        (*PERMISSIONS, *TOKEN_TESTS),
    ),
    # --- scope
    *[
        Guard(
            f"scope of {model}",
            path,
            f"{model}.objects.visible_to(self.request.user)",
            f"{model}.objects.{everything}",
            (*PERMISSIONS, *tests),
        )
        for model, path, everything, tests in [
            ("User", "accounts/views.py", "traders()", ()),
            ("Strategy", "trading/views.py", "all()", ()),
            ("Deployment", "trading/views.py", "all()", ()),
            ("Trade", "trading/views.py", "all()", ()),
            ("Scanner", "trading/views.py", "all()", ()),
            ("AuditEvent", "support_platform/views.py", "all()", ("support_platform/tests/test_audit.py",)),
        ]
    ],
    Guard(
        "scope of the analytics' strategy and deployment",
        "analytics/queries.py",
        "model.objects.visible_to(staff)",
        "model.objects.all()",
        ("analytics/tests/test_parameters.py", *PERMISSIONS),
    ),
    Guard(
        "scope of user and user_email",
        "accounts/queries.py",
        "User.objects.visible_to(staff)",
        "User.objects.traders()",
        ("analytics/tests/test_parameters.py", "trading/tests/test_list_trades.py", *PERMISSIONS),
    ),
    Guard(
        "scope of the trail's user_email",
        "support_platform/filters.py",
        "get_user_model().objects.visible_to(self.request.user)",
        "get_user_model().objects.traders()",
        ("support_platform/tests/test_audit.py",),
    ),
    Guard(
        "scope of the console",
        "support_platform/console/base.py",
        "return rows if self.superuser_only else rows.visible_to(request.user)",
        "return rows",
        CONSOLE_TESTS,
    ),
    Guard(
        "scope of the commands' --by",
        "accounts/commands.py",
        "User.objects.visible_to(self.staff) if self.staff else User.objects.traders()",
        "User.objects.traders()",
        ("accounts/tests/test_command_reset_password.py", "accounts/tests/test_command_set_status.py"),
    ),
    Guard(
        "staff are no traders",
        "accounts/models.py",
        "return self.filter(is_staff=False, is_superuser=False)",
        "return self.all()",
        PERMISSIONS,
    ),
    Guard(
        "operations on traders never touch staff",
        "accounts/operations.py",
        "    if user.is_staff or user.is_superuser:\n        raise OutOfReach\n",
        "",
        TRADER_TESTS,
    ),
    Guard(
        "only a superuser changes staff",
        "accounts/staff_operations.py",
        "    if others or by.id != staff.pk:\n        _require_superuser(by)\n",
        "",
        ("accounts/tests/test_staff_operations.py",),
    ),
    Guard(
        "nobody deactivates themselves",
        "accounts/staff_operations.py",
        "if by.id == staff.pk and (is_active is False or is_superuser is False):",
        "if False:",
        ("accounts/tests/test_staff_operations.py",),
    ),
    # --- tokens and sessions
    Guard(
        "session_version of the account, on each request",
        "accounts/models.py",
        '            user__session_version=F("session_version"),\n',
        "",
        TOKEN_TESTS,
    ),
    Guard(
        "an inactive account's tokens",
        "accounts/models.py",
        "            user__is_active=True,\n",
        "",
        TOKEN_TESTS,
    ),
    Guard(
        "revoked sessions",
        "accounts/models.py",
        "            revoked_at__isnull=True,\n            expires_at__gt=now,\n            user__is_active",
        "            expires_at__gt=now,\n            user__is_active",
        TOKEN_TESTS,
    ),
    Guard(
        "session_version goes up when sessions end",
        "accounts/models.py",
        "        self.session_version += 1\n",
        "",
        (*TOKEN_TESTS, *TRADER_TESTS),
    ),
    Guard(
        "session_version in console sessions",
        "accounts/models.py",
        '"accounts.session", f"{self.password}:{self.session_version}"',
        '"accounts.session", self.password',
        (*TOKEN_TESTS, *TRADER_TESTS, "accounts/tests/test_staff_operations.py", *CONSOLE_TESTS),
    ),
    Guard(
        "deactivation ends sessions",
        "accounts/operations.py",
        "            revoked = user.end_sessions(timezone.now())\n",
        "            revoked = 0\n",
        (*TRADER_TESTS, *TOKEN_TESTS),
    ),
    Guard(
        "a completed reset ends sessions",
        "accounts/operations.py",
        "    _clear_reset(user)\n    user.end_sessions(timezone.now())\n",
        "    _clear_reset(user)\n",
        TRADER_TESTS,
    ),
    Guard(
        "a change of a staff account ends its sessions",
        "accounts/staff_operations.py",
        "        staff.end_sessions(timezone.now())\n",
        "        pass\n",
        (*TOKEN_TESTS, "accounts/tests/test_staff_operations.py"),
    ),
    Guard(
        "reuse of a refresh token ends the family",
        "accounts/session_operations.py",
        '            _revoke(session, "session.reuse_detected", by=actor)\n',
        "",
        ("accounts/tests/test_refresh_race.py", "accounts/tests/test_tokens.py"),
    ),
    Guard(
        "a refresh token works once",
        "accounts/session_operations.py",
        "        if session.refresh_id != token_id:\n",
        "        if False:\n",
        ("accounts/tests/test_refresh_race.py", "accounts/tests/test_tokens.py"),
    ),
    Guard(
        "the lock of a session that is refreshed",
        "accounts/session_operations.py",
        '            .select_for_update(of=("self",))\n',
        "",
        (*OPERATIONS, "accounts/tests/test_refresh_race.py"),
    ),
    # --- links
    Guard(
        "a used reset link is dead",
        "accounts/operations.py",
        "    _clear_reset(user)\n    user.end_sessions",
        "    user.end_sessions",
        TRADER_TESTS,
    ),
    Guard(
        "an older link is dead",
        "accounts/links.py",
        "reset_is_open(user, now) and constant_time_compare(nonce, user.reset_nonce) else",
        "reset_is_open(user, now) else",
        TRADER_TESTS,
    ),
    Guard(
        "an expired link is dead",
        "accounts/links.py",
        "return bool(user.reset_nonce) and user.is_active and not user.is_staff and now < user.reset_expires_at",
        "return bool(user.reset_nonce) and user.is_active and not user.is_staff",
        TRADER_TESTS,
    ),
    Guard(
        "an older confirmation link is dead",
        "accounts/links.py",
        "email_change_is_open(user, now) and constant_time_compare(nonce, user.email_nonce) else",
        "email_change_is_open(user, now) else",
        TRADER_TESTS,
    ),
    # --- limits
    Guard(
        "limit of a caller",
        "support_platform/throttling.py",
        '            count_caller(request, getattr(view, "bucket", None) or default)\n',
        "            pass\n",
        ("support_platform/tests/test_throttling.py",),
    ),
    Guard(
        "limit of logins by address",
        "support_platform/throttling.py",
        '    count(request, "login", "address", address_key(request), then=by_email)\n',
        "",
        ("accounts/tests/test_login_limits.py",),
    ),
    Guard(
        "limit of logins by e-mail",
        "support_platform/throttling.py",
        "    for counter in by_email:\n        count(request, *counter)\n",
        "",
        ("accounts/tests/test_login_limits.py",),
    ),
    Guard(
        "limit of resets",
        "accounts/views.py",
        'throttling.count(self.request, "reset", "target trader", user.pk)',
        "pass",
        ("accounts/tests/test_reset_password.py", "support_platform/tests/test_throttling.py"),
    ),
    Guard(
        "limit of the console's login",
        "support_platform/console/site.py",
        '            throttling.count_login(request, request.POST.get("username", ""))\n',
        "            pass\n",
        CONSOLE_TESTS,
    ),
    # --- writes
    Guard(
        "If-Match",
        "support_platform/locking.py",
        "if accepted is not None and fresh.version not in accepted:",
        "if False:",
        ("support_platform/tests/test_writes.py",),
    ),
    Guard(
        "the version goes up",
        "support_platform/locking.py",
        "    row.version += 1\n",
        "",
        ("support_platform/tests/test_writes.py",),
    ),
    Guard(
        "a dry run keeps nothing",
        "support_platform/viewsets.py",
        "                    transaction.set_rollback(True)\n",
        "",
        ("support_platform/tests/test_writes.py",),
    ),
    Guard(
        "an Idempotency-Key's record",
        "support_platform/idempotency.py",
        "            record.save(force_insert=True)",
        "            pass",
        ("support_platform/tests/test_idempotency.py",),
    ),
    Guard(
        "an Idempotency-Key's transaction",
        "support_platform/idempotency.py",
        "    with transaction.atomic():\n        record, is_first",
        "    if True:\n        record, is_first",
        ("support_platform/tests/test_idempotency.py",),
    ),
    Guard(
        "an Idempotency-Key's body",
        "support_platform/idempotency.py",
        "        elif not _is_same(record.fingerprint, mark):\n            raise KeyReused\n",
        "",
        ("support_platform/tests/test_idempotency.py",),
    ),
    Guard(
        "an Idempotency-Key's owner",
        "support_platform/idempotency.py",
        "parts = [str(request.user.pk), request.method, request.path_info, key]",
        "parts = [request.method, request.path_info, key]",
        ("support_platform/tests/test_idempotency.py",),
    ),
    Guard(
        "an event outside a transaction",
        "support_platform/audit.py",
        "    if not transaction.get_connection().in_atomic_block:\n",
        "    if False:\n",
        ("support_platform/tests/test_audit.py",),
    ),
    Guard(
        "stopped is final",
        "trading/operations.py",
        "    if deployment.status == Deployment.Status.STOPPED:\n",
        "    if False:\n",
        ("trading/tests/test_update_deployment.py",),
    ),
    Guard(
        "active deployments keep a strategy",
        "trading/operations.py",
        "    if active and not stop_deployments:\n",
        "    if False:\n",
        ("trading/tests/test_delete_strategy.py",),
    ),
    # --- the door
    Guard(
        "nesting",
        "support_platform/parsers.py",
        "            if depth > MAX_DEPTH:\n",
        "            if False:\n",
        ("support_platform/tests/test_values.py", "support_platform/tests/test_transport.py"),
    ),
    Guard(
        "duplicate keys",
        "support_platform/parsers.py",
        "    if len(data) != len(pairs):\n",
        "    if False:\n",
        ("support_platform/tests/test_values.py", "support_platform/tests/test_transport.py"),
    ),
    Guard(
        "size of a body",
        "support_platform/middleware.py",
        "        if length > settings.MAX_BODY_BYTES:\n",
        "        if False:\n",
        ("support_platform/tests/test_transport.py",),
    ),
    Guard(
        "unknown parameters",
        "support_platform/filters.py",
        "        if name not in allowed:\n",
        "        if False:\n",
        ("support_platform/tests/test_parameters.py",),
    ),
    Guard(
        "a cursor's owner",
        "support_platform/pagination.py",
        "request.user.pk",
        "0",
        ("support_platform/tests/test_pagination.py",),
    ),
    Guard(
        "trusted proxies only",
        "support_platform/throttling.py",
        "    if settings.TRUSTED_PROXY_HOPS:\n        hops",
        "    if True:\n        hops",
        ("accounts/tests/test_login_limits.py", "support_platform/tests/test_throttling.py"),
    ),
    Guard(
        "formulas in an export",
        "support_platform/exports.py",
        '    is_formula = text.lstrip("\'").startswith(_FORMULA_STARTS) and',
        "    is_formula = False and",
        ("support_platform/tests/test_exports.py",),
    ),
]
