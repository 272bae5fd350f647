"""The queue of containers to inspect: each id once at a time, the silent ones in a lane apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_LANE: Final = 16
_SUSPECT_LANE: Final = 4
_SUSPECT_DELAY: Final = 1.0


class InspectQueue:
    """Runs ``read(id)`` for every requested id.

    ``read`` returns False when the engine did not answer for that container: it is a suspect
    then, read again in its own lane until it answers, so that it holds up nobody. A request that
    comes while an id is being read leads to one more reading, not to two at once.
    """

    def __init__(self, read: Callable[[str], Awaitable[bool]]) -> None:
        self._read = read
        self._waiting: dict[str, None] = {}
        self._waiting_suspects: dict[str, None] = {}
        self._suspects: set[str] = set()
        self._reading: set[str] = set()
        self._again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes = {False: 0, True: 0}
        self._is_closed = False

    @property
    def unresponsive(self) -> frozenset[str] | set[str]:
        """Ids whose state is unknown because the engine does not answer for them."""
        return self._suspects

    def request(self, container_id: str) -> None:
        """Have ``container_id`` inspected soon."""
        if container_id in self._reading:
            self._again.add(container_id)
        elif container_id not in self._suspects:
            self._waiting[container_id] = None
            self._pump()

    def suspect(self, container_id: str) -> None:
        """Take ``container_id`` for silent until an inspect of it answers."""
        self._suspects.add(container_id)
        self._waiting.pop(container_id, None)
        if container_id in self._reading:
            self._again.add(container_id)
        else:
            self._waiting_suspects[container_id] = None
            self._pump()

    def forget_unresponsive(self) -> None:
        """Suspect nobody and read them all again: it was the whole engine that was silent."""
        unresponsive, self._suspects = self._suspects, set()
        self._waiting_suspects.clear()
        for container_id in unresponsive:
            self.request(container_id)

    async def close(self) -> None:
        """End the readings that are under way."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pump(self) -> None:
        for lane, waiting, width in (
            (False, self._waiting, _LANE),
            (True, self._waiting_suspects, _SUSPECT_LANE),
        ):
            while waiting and self._lanes[lane] < width and not self._is_closed:
                container_id = next(iter(waiting))
                del waiting[container_id]
                if container_id in self._reading:
                    self._again.add(container_id)
                    continue
                self._reading.add(container_id)
                self._lanes[lane] += 1
                task = asyncio.create_task(self._run(container_id, lane=lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, container_id: str, *, lane: bool) -> None:
        answered = True
        try:
            answered = await self._read(container_id)
        finally:
            self._reading.discard(container_id)
            self._lanes[lane] -= 1
            again = container_id in self._again
            self._again.discard(container_id)
            if answered:
                self._suspects.discard(container_id)
                if again:
                    self._waiting[container_id] = None
            else:
                self._suspects.add(container_id)
                asyncio.get_running_loop().call_later(_SUSPECT_DELAY, self._retry, container_id)
            self._pump()

    def _retry(self, container_id: str) -> None:
        if container_id in self._suspects:
            self._waiting_suspects[container_id] = None
            self._pump()
