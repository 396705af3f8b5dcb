"""An import as usually written: the CSV's rows to model instances, bulk_create in batches, one transaction."""

import csv
import os
import sys
from datetime import datetime
from decimal import Decimal
from itertools import islice

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.stock_drf.settings")
django.setup()

from django.db import transaction  # noqa: E402

from benchmarks.peers.stock_drf.models import Deployment, Trade  # noqa: E402

BATCH = 1000  # as in Django's own example


def trades(path, deployments):
    with open(path, newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            deployment = deployments[row["strategy"]]
            yield Trade(
                user_id=deployment.user_id,
                strategy_id=deployment.strategy_id,
                deployment=deployment,
                symbol=row["symbol"],
                side=row["side"],
                quantity=Decimal(row["quantity"]),
                entry_price=Decimal(row["entry_price"]),
                exit_price=Decimal(row["exit_price"]),
                strike=Decimal(row["strike"]) if row["strike"] else None,
                fees=Decimal(row["fees"]),
                result=Decimal(row["result"]),
                taken_at=datetime.fromisoformat(row["taken_at"]),
                closed_at=datetime.fromisoformat(row["closed_at"]),
                external_id=f"{os.path.basename(path)}:{number}",
            )


def main(path, email):
    found = Deployment.objects.filter(user__email=email).select_related("strategy")
    deployments = {deployment.strategy.name: deployment for deployment in found}
    with transaction.atomic():
        made = trades(path, deployments)
        while batch := list(islice(made, BATCH)):
            Trade.objects.bulk_create(batch, BATCH)


main(*sys.argv[1:])
