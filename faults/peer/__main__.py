"""What the stand asks of a project's manage.py: migrate, seed_demo, create_service_token."""

import argparse
import json
import os
from datetime import timedelta

import django
from django.core.management import call_command

from ..stand import PASSWORD, STAFF

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "faults.peer.settings")


def migrate(options):
    call_command("migrate", verbosity=0)


def seed_demo(options):
    """As many rows of each kind for a trader as the platform's demo data has."""
    from .models import Deployment, Strategy, User

    for email in STAFF.values():
        User.objects.create_user(email=email, password=PASSWORD, is_staff=True)
    for number in range(1, options.traders + 1):
        trader = User.objects.create(email=f"trader{number}@demo.example", is_staff=True)
        for name in ("Trend following", "Mean reversion", "Options income"):
            Deployment.objects.create(strategy=Strategy.objects.create(user=trader, name=name))


def create_service_token(options):
    from rest_framework_simplejwt.tokens import AccessToken

    from .models import User

    token = AccessToken.for_user(User.objects.get(email=options.email))
    token.set_exp(lifetime=timedelta(days=options.days))
    print(json.dumps({"token": str(token)}))


def main():
    commands = {command.__name__: command for command in (migrate, seed_demo, create_service_token)}
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=commands)
    parser.add_argument("email", nargs="?")
    parser.add_argument("--traders", type=int)
    parser.add_argument("--days", type=int)
    options, _ = parser.parse_known_args()
    django.setup()
    commands[options.command](options)


if __name__ == "__main__":
    main()
