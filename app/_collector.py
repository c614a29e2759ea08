"""Python's garbage collector, for a program that keeps calls in memory."""

from __future__ import annotations

import gc
from functools import cache


@cache
def collect_seldom() -> None:
    """Look for cycles less often, and not at all among what is there now.

    Calls wait in memory by the ten thousand, none of them in a cycle: looking through them is a tenth of the time. Done
    once in a process, however often it is asked for.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
