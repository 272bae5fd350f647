"""How much of the machine, and of everyone's time, filters may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """The bounds of a pool; times in seconds."""

    size: int = 3
    most_slow: int = 4
    deadline: float = 2.0
    """From the call on, waiting for a worker included."""
    processor: float = 0.5
    """Of processor time: a run that has used it by its deadline is at fault, another one starved
    on a busy host. A quarter of the deadline, so that it can be had while others want it too."""
    slow_after: float = 0.1
    """Of processor time."""
    penalty: float = 0.5
    """How long at least whoever costs us a worker waits for the answer, so that workers are
    started faster than a client can have them killed."""
    start: float = 30.0
    retry: float = 1.0
    """Pause after a worker that would not start."""
