"""The guards of the console's second step."""

from .guard import OPERATIONS, Guard

TESTS = (
    "support_platform/tests/test_console_second_factor.py",
    "accounts/tests/test_second_factor.py",
)

SECOND_FACTOR = [
    Guard(
        "the second step of the console's login",
        "accounts/console_login.py",
        "        if SecondFactor.objects.filter(user=user).exists():\n",
        "        if False:\n",
        TESTS,
    ),
    Guard(
        "no code twice",
        "accounts/second_factor_operations.py",
        "drift=factor.drift, after=factor.last_step)",
        "drift=factor.drift)",
        TESTS,
    ),
    Guard(
        "no recovery code twice",
        "accounts/second_factor_operations.py",
        "        used, _ = factor.recovery_codes.filter(digest=second_factor.digest_of(code)).delete()\n",
        "        used = factor.recovery_codes.filter(digest=second_factor.digest_of(code)).exists()\n",
        TESTS,
    ),
    Guard(
        "one code at a time",
        "accounts/second_factor_operations.py",
        "SecondFactor.objects.select_for_update().filter(user_id=staff.pk)",
        "SecondFactor.objects.filter(user_id=staff.pk)",
        (*TESTS, *OPERATIONS),
    ),
    Guard(
        "the wait after a wrong code",
        "accounts/second_factor_operations.py",
        "    if factor.waits_until:\n",
        "    if False:\n",
        TESTS,
    ),
    Guard(
        "limit of codes",
        "accounts/console_login.py",
        '            throttling.count(request, "second_factor", "staff user", self.staff.pk)\n',
        "            pass\n",
        TESTS,
    ),
    Guard(
        "what ends sessions ends the way between the steps",
        "accounts/console_login.py",
        'if user is None or not constant_time_compare(between["hash"], user.get_session_auth_hash()):',
        "if user is None:",
        TESTS,
    ),
    Guard(
        "a required second factor comes before every page",
        "support_platform/console/site.py",
        "            if is_enrolment_due(request) and",
        "            if False and",
        TESTS,
    ),
    Guard(
        "the password for each change of the second factor",
        "accounts/own_pages.py",
        '        if not self.user.check_password(self.cleaned_data["password"]):\n',
        "        if False:\n",
        TESTS,
    ),
]
