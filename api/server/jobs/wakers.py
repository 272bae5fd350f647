"""Wakes whoever waits for a change of one job."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from api.v1.job import Job


class Wakers:
    """Who is woken for which job. Listens to the informer."""

    def __init__(self) -> None:
        self._by_key: dict[str, set[asyncio.Event]] = {}
        """By a job's id or uid."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def on_change(self, old: Job | None, new: Job | None) -> None:
        """Wake who waits for a job."""
        if not self._by_key:
            return
        job = new or old
        assert job is not None
        self.wake(job.uid)
        self.wake(job.id)

    def on_resync(self) -> None:
        """Do nothing: only changes count."""

    def wake(self, key: str) -> None:
        """Wake who waits for this id or uid."""
        for waker in self._by_key.get(key, ()):
            waker.set()

    def wake_all(self) -> None:
        """Wake everybody."""
        for key in self._by_key:
            self.wake(key)

    @contextmanager
    def subscribe(self, key: str, waker: asyncio.Event | None = None) -> Iterator[asyncio.Event]:
        """Yield what is set at each change of a job, by its id or uid: ``waker``, or a new one."""
        waker = waker or asyncio.Event()
        wakers = self._by_key.setdefault(key, set())
        wakers.add(waker)
        try:
            yield waker
        finally:
            wakers.discard(waker)
            # whoever asks for a job by its uid has subscribed to that twice
            if not wakers and self._by_key.get(key) is wakers:
                del self._by_key[key]
