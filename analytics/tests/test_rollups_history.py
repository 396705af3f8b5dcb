"""A random history from one seed, by few steps; the long run is `python -m analytics.tests.history`."""

import pytest

from analytics.models import Answer, LatencyBlock, Rollup, SlippageBlock
from support_platform.tests.commands import run

from .history import History
from .long_history import compare, people, scopes_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_blocks")]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_history_leaves_no_difference(seed):
    deployments = people()
    scopes, history = scopes_of(deployments), History(deployments, seed)
    for _ in range(30):
        history.insert_trades()
        history.insert_orders()
    for change in (*history.operations, *history.statements):
        change()

    for number in range(70):
        history.step()
        compare(history, scopes, f"after step {number}")

    assert {kind for (kind,) in Rollup.objects.values_list("kind")} == {*Rollup.Kind}
    assert LatencyBlock.objects.filter(level=1).exists() and SlippageBlock.objects.filter(level=1).exists()
    assert Answer.objects.exists()
    outcome = run("rebuild_rollups", "--verify")
    assert outcome["differences"] == []
    assert outcome["compared"] > 10
