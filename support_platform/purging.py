"""How rows that have no more use leave: in short transactions, so that nobody waits for them."""

from django.db import transaction

BATCH = 1000


def delete_in_batches(rows):
    """
    Delete the rows of a queryset. Stopped between two steps, what is gone is gone and the rest is there; rows that
    another purge has in hand are left to it.

    :returns: how many are gone, batch by batch while it happens
    """
    while True:
        with transaction.atomic():
            batch = rows.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH]
            chosen = list(batch)
            rows.model._base_manager.filter(pk__in=chosen).delete()
        if not chosen:
            return
        yield len(chosen)
