from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models


class UserManager(BaseUserManager):
    def create_user(self, password, **fields):
        user = self.model(**fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractUser):
    username = None
    email = models.EmailField(unique=True)
    phone = models.CharField(max_length=16, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = UserManager()


class Strategy(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    is_published = models.BooleanField(default=False)

    def __str__(self):
        return self.name


class Deployment(models.Model):
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE)
    status = models.CharField(max_length=7, default="active")
    stop_loss_pct = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    take_profit_pct = models.DecimalField(max_digits=9, decimal_places=6, null=True)
    max_open_trades = models.PositiveSmallIntegerField(default=1)

    def __str__(self):
        return f"{self.strategy} {self.pk}"
