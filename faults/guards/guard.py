"""What a guard is, and the tests that hold the platform to its guards."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

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
