"""Who a request comes from, and a queue in which clients take turns."""

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address
from typing import Final, Generic, TypeVar

CLIENT: Final[ContextVar[str | None]] = ContextVar("client", default=None)
"""The client whose request is being worked on, set by the guard; None outside of requests."""
_NETWORK: Final = 64
_Item = TypeVar("_Item")


def name_address(remote: str | None) -> str:
    """Return the client that an address stands for: of IPv6 its network of 64 bits, a host's."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return remote or ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{int(address) >> _NETWORK:x}::"
    return str(getattr(address, "ipv4_mapped", None) or address)


def halve(whole: int) -> int:
    """Return the share of ``whole`` that one client may have at most: half of it, rounded up."""
    return (whole + 1) // 2


class FairQueue(Generic[_Item]):
    """Items of several clients: taken out by turns, and those of each client in their order."""

    def __init__(self) -> None:
        self._items: dict[str | None, deque[_Item]] = {}
        """By client, the one whose turn is next first."""

    def __len__(self) -> int:
        return sum(map(len, self._items.values()))

    def push(self, client: str | None, item: _Item) -> None:
        """Append an item."""
        self._items.setdefault(client, deque()).append(item)

    def pop(self, may: Callable[[str | None], bool]) -> _Item | None:
        """Take out the next item of the first client that ``may`` have it; None if none may."""
        client = next(filter(may, self._items), _NOBODY)
        if isinstance(client, _Nobody):
            return None
        items = self._items.pop(client)
        item = items.popleft()
        if items:
            self._items[client] = items
        return item

    def discard(self, client: str | None, item: _Item) -> None:
        """Take an item out, if it is there still."""
        items = self._items.get(client, deque())
        if item in items:
            items.remove(item)
        if not items:
            self._items.pop(client, None)


class _Nobody:
    """Stands for no client, as None is one."""


_NOBODY: Final = _Nobody()
