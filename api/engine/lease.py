"""A record on the engine for which controllers compete, changed by compare and swap."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claim:
    """That ``holder`` has the lease, "" that nobody has; each change gives another ``version``."""

    version: int
    holder: str


class LeaseStore(Protocol):
    """The one record of a namespace. Every call has a deadline and raises ``EngineError``."""

    async def read(self) -> Claim | None:
        """Return what the record says; ``None`` if there is none yet."""
        ...

    async def swap(self, claim: Claim | None, holder: str) -> Claim | None:
        """Put ``holder`` in the place of ``claim``, and return what the record says then.

        ``None``: the record says something else by now, and is left as it is.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
