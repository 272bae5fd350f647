"""How long a client may take, and how many may ask at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what clients may hold; times are in seconds.

    ``receive`` is for a request's header and, once more, for its body; ``idle`` for a
    connection without a request, and for a client to take its answer. ``connections`` counts
    open ones, ``waiting`` the requests for jobs that are being worked on.
    """

    receive: float = 10.0
    idle: float = 75.0
    connections: int = 512
    waiting: int = 128
