"""Who a request comes from, who else is there, and how much of something one of them may have."""

import asyncio
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

RECENT: Final = 5.0
"""Seconds for which a client that has asked for a job is there."""
_NETWORK: Final = 64


class Company:
    """The clients that have posted or looked for a job lately; times are a loop's."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        """When each asked last, the longest ago first."""

    def note(self, name: str) -> None:
        """Record that the client called ``name`` asks now."""
        self._forget()
        self._seen.pop(name, None)
        self._seen[name] = asyncio.get_running_loop().time()

    def is_alone(self, name: str) -> bool:
        """Tell whether no client but that called ``name`` is there."""
        self._forget()
        return not self._seen or (len(self._seen) == 1 and name in self._seen)

    def _forget(self) -> None:
        oldest = asyncio.get_running_loop().time() - RECENT
        while self._seen and self._seen[name := next(iter(self._seen))] <= oldest:
            del self._seen[name]


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever holds a token, wherever they ask from; without a token, an address."""

    name: str
    company: Company = field(compare=False, repr=False, default_factory=Company)
    owner: str = field(compare=False, default="")
    """What tells its jobs from others': a digest of the token, empty without one."""
    is_sole: bool = field(compare=False, default=True)
    """Whether no other token may post."""

    @property
    def is_alone(self) -> bool:
        """Whether nobody else is there: then it may have all."""
        return self.company.is_alone(self.name)


CLIENT: Final[ContextVar[Client | None]] = ContextVar("client", default=None)
"""The client whose request is being worked on, set by the guard; None outside of requests."""


@lru_cache(maxsize=1024)
def name_address(remote: str | None) -> str:
    """Return the client that an address stands for: of IPv6 its network of 64 bits, a host's."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return remote or ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{int(address) >> _NETWORK:x}::"
    return str(getattr(address, "ipv4_mapped", None) or address)


def has_room(client: Client | None, held: Counter[Client | None], limit: int) -> bool:
    """Tell whether ``client`` may have one more of ``limit`` things, of which all ``held`` some.

    Alone it may have all, beside others half. What one has taken alone is no reason to refuse
    another: up to an equal share that one may exceed the limit.
    """
    if not held:
        return limit > 0
    total = held.total()
    if client is None or client.is_alone:
        return total < limit
    mine = held[client]
    equal = limit // (len(held) + (client not in held))
    return mine < max(1, limit // 2) and (total < limit or mine < equal)
