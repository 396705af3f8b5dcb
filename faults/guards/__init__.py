"""
The guards of the platform, each as the edit that takes it away, and the tests that must then fail.

Where guards are many of one kind they are found in the source; the others are named. A guard whose text is no longer
there raises, so that this list cannot fall behind the code.
"""

from .found import locks, rights, transactions
from .guard import ROOT, Guard
from .named import NAMED
from .second_factor import SECOND_FACTOR

__all__ = ["ROOT", "Guard", "all_guards"]


def all_guards():
    return [*rights(), *transactions(), *locks(), *NAMED, *SECOND_FACTOR]
