"""The platform's own tables, as a project without its conveniences would declare them."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class User(AbstractBaseUser):
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "email"
    objects = BaseUserManager()

    class Meta:
        managed = False
        db_table = "accounts_user"


class Strategy(models.Model):
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    name = models.CharField(max_length=200)

    class Meta:
        managed = False
        db_table = "trading_strategy"

    def __str__(self):
        return self.name


class Deployment(models.Model):
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT)

    class Meta:
        managed = False
        db_table = "trading_deployment"

    def __str__(self):
        return f"deployment {self.pk}"


class Trade(models.Model):
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT)
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=5)
    quantity = models.DecimalField(max_digits=30, decimal_places=12)
    entry_price = models.DecimalField(max_digits=30, decimal_places=12)
    exit_price = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    strike = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    stop_loss = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    target = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    fees = models.DecimalField(max_digits=30, decimal_places=12)
    result = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    taken_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    is_corrected = models.BooleanField(default=False)
    external_id = models.CharField(max_length=200, null=True)  # noqa: DJ001
    version = models.PositiveIntegerField(default=1)

    class Meta:
        managed = False
        db_table = "trading_trade"

    def __str__(self):
        return f"{self.symbol} {self.side}"

    @property
    def status(self):
        return "open" if self.closed_at is None else "closed"

    @property
    def outcome(self):
        if self.result is None:
            return None
        return "win" if self.result > 0 else "loss" if self.result < 0 else "breakeven"
