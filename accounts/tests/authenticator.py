"""The tests' phone: the codes of KEY, by a clock that stands still until it is moved."""

from django_otp.oath import TOTP

from accounts.tests.factories import KEY

NOON = 1_790_000_010  # the middle of a step, so that its code holds for 15 seconds


class Authenticator:
    def __init__(self):
        self.now = NOON

    def code(self, steps=0, key=KEY):
        """The code shown so many steps of 30 seconds from now."""
        totp = TOTP(key, drift=steps)
        totp.time = self.now
        return f"{totp.token():06d}"

    def wait(self, seconds=30):
        self.now += seconds

    @property
    def wrong(self):
        """Six digits that are not the code of now, nor of any step near it."""
        near = {self.code(steps) for steps in range(-40, 41)}
        return next(digits for digits in ("123456", "654321", "111111", "222222") if digits not in near)
