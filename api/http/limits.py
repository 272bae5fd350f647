"""How long a client may take, and how many may be served at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Bounds on what clients may occupy; times are in seconds.

    ``receive`` is the deadline of a request's header, and again of its body. ``idle`` is that of
    a connection without a request, and of reading an answer. ``connections`` is the most that are
    open, ``waiting`` the most requests in work whose route counts (``Route.counts``); a client has
    half of those beside others.
    """

    receive: float = 10.0
    idle: float = 75.0
    connections: int = 512
    waiting: int = 128
