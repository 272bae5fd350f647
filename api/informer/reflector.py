"""Reads the engine into a store: everything, a part, or one job."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from api.engine.errors import NotFoundError
from api.engine.interface import Engine
from api.informer.store import JobStore
from api.v1.job import ACTIVE
from api.v1.mark import Mark

_MOST_IDS: Final = 100  # in one list: they are part of its address


class Reflector:
    """Folds what ``engine`` shows into ``store``.

    What reads a list returns the ids that must be inspected, because it does not tell enough of
    them, or may be older than what is known. Every reading raises ``EngineError``.
    """

    def __init__(self, engine: Engine, store: JobStore) -> None:
        self._engine = engine
        self._store = store
        self._versions: dict[object, int] = {}

    async def read_all(self) -> set[str]:
        """Read every job."""
        version, marks = self._store.version(), list[Mark]()
        rows = await self._engine.list(known=self._store.known, on_mark=marks.append)
        oldest = min(self._versions.values(), default=version)
        return self._store.fold_all(rows, version, oldest=oldest, marks=marks)

    async def read_active(self) -> set[str]:
        """Read the active ones: by id while they are few, for the engine then looks at no other.

        One that somebody else has started is not among these; its event tells, or a full list.
        """
        if len(self._store.active) <= _MOST_IDS:
            return await self.read_some(self._store.active)
        with self._begin() as version:
            rows = await self._engine.list(statuses=sorted(ACTIVE), known=self._store.known)
            return self._store.fold_active(rows, version)

    async def read_new(self) -> set[str]:
        """Read what is newer than the newest known; raises ``NotFoundError`` if that is gone."""
        newest = self._store.known.get(self._store.newest or "")
        # a full list may be faster, and show what is newer still
        previous = 0 if newest is None else newest.order
        with self._begin() as version:
            rows = await self._engine.list(
                since=self._store.newest, on_mark=partial(self._store.marks.fold, version=version)
            )
            return self._store.fold_new(rows, version, previous)

    async def read_some(self, uids: Collection[str]) -> set[str]:
        """Read those of ``uids`` that are there."""
        wanted, to_inspect = sorted(uids), set[str]()
        for first in range(0, len(wanted), _MOST_IDS):
            batch = wanted[first : first + _MOST_IDS]
            with self._begin() as version:
                rows = await self._engine.list(uids=batch, known=self._store.known)
                to_inspect |= self._store.fold_some(batch, rows, version)
        return to_inspect

    async def read_marks(self, uids: Collection[str]) -> None:
        """Read those of ``uids`` that are marks: events claim it, and only a list tells."""
        wanted = sorted(uids)
        for first in range(0, len(wanted), _MOST_IDS):
            batch = wanted[first : first + _MOST_IDS]
            with self._begin() as version:
                await self._engine.list(
                    uids=batch, on_mark=partial(self._store.marks.fold, version=version)
                )

    async def inspect(self, uid: str) -> bool:
        """Read one; false if it was touched meanwhile, so that the answer may be too old."""
        with self._begin() as version:
            try:
                seen = await self._engine.inspect(uid)
            except NotFoundError:
                seen = None
        if self._store.is_stale(uid, version):
            return False
        self._store.fold_inspect(uid, seen)
        return True

    @contextmanager
    def _begin(self) -> Iterator[int]:
        """Yield the version that a reading is asked for at; a full list may overtake it."""
        key = object()
        version = self._versions[key] = self._store.version()
        try:
            yield version
        finally:
            del self._versions[key]
