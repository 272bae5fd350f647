"""Follows the marks that events tell of; one that only a list can prove is listed at once."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from api.engine.errors import EngineError
from api.engine.interface import Event, EventKind
from api.informer.batch import Batcher
from api.informer.reflector import Reflector
from api.informer.store import JobStore
from api.v1.mark import Mark

_GATHER: Final = 0.05  # seconds at least between two lists: a burst of cancels is one


class MarkReader:
    """Keeps the marks of ``store``; ``request`` has jobs inspected."""

    def __init__(
        self, reflector: Reflector, store: JobStore, request: Callable[[Iterable[str]], None]
    ) -> None:
        self._reflector = reflector
        self._store = store
        self._request = request
        self._doubtful = Batcher(self._read, pauses=(_GATHER, 2 * _GATHER))

    async def run(self) -> None:
        """Read what is doubtful until cancelled."""
        await self._doubtful.run()

    def hear(self, event: Event) -> bool:
        """Fold in an event; tell whether it is of a mark, and no job's."""
        if not event.is_mark and event.uid not in self._store.marks.known:
            return False
        if event.mark is not None:
            self.note(event.mark)
        elif event.kind is EventKind.CREATED:
            self._doubtful.add(event.uid)
        elif event.kind is EventKind.REMOVED:
            self._store.marks.note_gone(event.uid)
        return True

    def note(self, mark: Mark) -> None:
        """Fold in a mark that this process has created or read."""
        self._store.marks.note(mark)
        self.request_unclear()

    def request_unclear(self) -> None:
        """Have the jobs inspected whose exact end tells what their marks mean."""
        self._request(self._store.unclear)
        self._store.unclear.clear()

    async def _read(self, uids: set[str]) -> None:
        # a tick reads what this one could not
        with contextlib.suppress(EngineError):
            await self._reflector.read_marks(uids)
            self.request_unclear()
