"""A queue in which clients take turns."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from api.server.clients import Client

_Item = TypeVar("_Item")


class FairQueue(Generic[_Item]):
    """Items of several clients: taken out by turns, and those of each client in their order."""

    def __init__(self) -> None:
        self._items: dict[Client | None, deque[_Item]] = {}
        """By client, the one whose turn is next first."""

    def __bool__(self) -> bool:
        return bool(self._items)

    def push(self, client: Client | None, item: _Item) -> None:
        """Append an item."""
        self._items.setdefault(client, deque()).append(item)

    def pop(self, may: Callable[[Client | None], bool]) -> _Item | None:
        """Take out the next item of the first client that ``may`` have it; None if none may."""
        for client in self._items:
            if may(client):
                # to the end of the line
                items = self._items.pop(client)
                item = items.popleft()
                if items:
                    self._items[client] = items
                return item
        return None

    def discard(self, client: Client | None, item: _Item) -> None:
        """Take an item out, if it is there still."""
        items = self._items.get(client)
        if items is None or item not in items:
            return
        items.remove(item)
        if not items:
            del self._items[client]
