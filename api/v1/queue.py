"""A queue as its config describes it: how many jobs of it may run, and what it yields to others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue called ``name``.

    ``max_concurrent`` is the most active jobs of it, ``max_pending`` the most that may wait; None
    for no limit. ``weight`` is its share of the slots while several queues wait. A ``paused`` one
    takes jobs and starts none.
    """

    name: str
    max_concurrent: int | None = None
    weight: int = 1
    max_pending: int | None = None
    paused: bool = False
