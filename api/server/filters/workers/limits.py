"""How much of the machine, and of everyone's time, filters may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """The bounds of a pool; times in seconds."""

    size: int = 3
    most_slow: int = 4
    deadline: float = 2.0
    """From the call on, waiting for a worker included."""
    slow_after: float = 0.1
    """Of processor time; a run that only waits for the processor is slow after five times this."""
    penalty: float = 0.5
    """How long at least whoever costs us a worker waits for the answer, so that workers are
    started faster than a client can have them killed."""
    tail: float = 0.1
    """How long a filter may go on after its first output."""
    start: float = 30.0
    retry: float = 1.0
    """Pause after a worker that would not start."""
