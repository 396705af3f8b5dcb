"""The list of guards keeps up with the code: each is where the list says, and its tests are there."""

import pytest

from faults.guards import ROOT, all_guards

GUARDS = all_guards()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name.replace(" ", "-"))
def test_a_guard_is_where_the_list_says(guard):
    source = (ROOT / guard.path).read_text()

    assert guard.removed_from(source) != source
    assert [path for path in guard.tests if not (ROOT / path).is_file()] == []


def test_guards_of_every_kind_are_found():
    kinds = [guard.name.partition(" of ")[0] for guard in GUARDS]

    assert len(GUARDS) == len({guard.name for guard in GUARDS})
    assert kinds.count("right") >= 24
    assert kinds.count("transaction") >= 24
