"""Reads the engine into a store: everything, a part, or one container."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from api.engine.docker.image_labels import Images
from api.engine.errors import NotFoundError
from api.engine.interface import Engine
from api.informer.store import JobStore
from api.v1.job import ACTIVE, Container

_MOST_IDS: Final = 100  # in one list: they are part of its address


class Reflector:
    """Folds containers with ``label`` into ``store``.

    What reads a list returns the ids that must be inspected, because it does not tell enough of
    them, or may be older than what is known. Every reading raises ``EngineError``.
    """

    def __init__(self, engine: Engine, label: str, store: JobStore) -> None:
        self._engine = engine
        self._label = label
        self._store = store
        self._images = Images(engine)
        self._marks: dict[object, int] = {}

    async def read_all(self) -> set[str]:
        """Read every container of the namespace."""
        mark = self._store.version()
        rows = await self._engine.list(labels=[self._label])
        await self._images.learn(rows)
        return self._store.fold_all(
            rows, mark, self._images.strangers, oldest=min(self._marks.values(), default=mark)
        )

    async def read_active(self) -> set[str]:
        """Read the active ones: by id while they are few, for the engine then looks at no other.

        One that somebody else has started is not among these; its event tells, or a full list.
        """
        if len(self._store.active) <= _MOST_IDS:
            return await self.read_some(self._store.active)
        with self._begin() as mark:
            rows = await self._engine.list(labels=[self._label], statuses=sorted(ACTIVE))
            await self._images.learn(rows)
            return self._store.fold_active(rows, mark, self._images.strangers)

    async def read_new(self) -> set[str]:
        """Read what is newer than the newest known; raises ``NotFoundError`` if that is gone."""
        with self._begin() as mark:
            rows = await self._engine.list(labels=[self._label], since=self._store.newest)
            await self._images.learn(rows)
            return self._store.fold_new(rows, mark, self._images.strangers)

    async def read_some(self, container_ids: Collection[str]) -> set[str]:
        """Read those of ``container_ids`` that are there."""
        wanted, to_inspect = sorted(container_ids), set[str]()
        for first in range(0, len(wanted), _MOST_IDS):
            batch = wanted[first : first + _MOST_IDS]
            with self._begin() as mark:
                rows = await self._engine.list(labels=[self._label], ids=batch)
                await self._images.learn(rows)
                to_inspect |= self._store.fold_some(batch, rows, mark, self._images.strangers)
        return to_inspect

    async def inspect(self, container_id: str) -> bool:
        """Read one; false if it was touched meanwhile, so that the answer may be too old."""
        container: Container | None
        with self._begin() as mark:
            try:
                container = await self._engine.inspect(container_id)
                await self._images.learn([container])
            except NotFoundError:
                container = None
        if self._store.is_stale(container_id, mark):
            return False
        self._store.fold_container(container_id, container, self._images.strangers)
        return True

    def take(self, container_id: str, container: Container | None) -> None:
        """Fold in what an act of ours has read; ``None``: it is gone."""
        self._store.invalidate(container_id)
        self._store.fold_container(container_id, container, self._images.strangers)

    @contextmanager
    def _begin(self) -> Iterator[int]:
        """Yield the mark of a reading, whose answer a full list may overtake."""
        key = object()
        mark = self._marks[key] = self._store.version()
        try:
            yield mark
        finally:
            del self._marks[key]
