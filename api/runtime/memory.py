"""Tunes the garbage collector for many small, long-lived objects."""

import gc
from typing import Final

_YOUNG: Final = 100_000


def relax_collector() -> None:
    """Collect cycles less often: reading a long list allocates much and leaves no cycles.

    With Python's threshold of 700, each reading of 100,000 jobs runs the collector over all of
    them several times. With this one, a full reading takes a sixth less time. What is there now,
    code above all, is never looked at again: that takes 30 ms, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
