"""The queue of jobs to inspect: each uid once at a time, unresponsive ones in a lane apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_LANE: Final = 16
_LANE_APART: Final = 4
_DELAY_APART: Final = 1.0


class InspectQueue:
    """Runs ``read(uid)`` for every requested uid.

    ``read`` returns False when the engine did not answer for that job. The job is unresponsive
    then: it is read again, in a lane of its own so that it holds up no other, until the engine
    answers. A request that comes while a uid is being read leads to one more reading, not to two
    at once.
    """

    def __init__(self, read: Callable[[str], Awaitable[bool]]) -> None:
        self._read = read
        self._waiting: dict[str, None] = {}
        self._waiting_apart: dict[str, None] = {}
        self._unresponsive: set[str] = set()
        self._reading: set[str] = set()
        self._again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes = {False: 0, True: 0}
        self._is_closed = False

    @property
    def unresponsive(self) -> frozenset[str] | set[str]:
        """Uids whose state is unknown because the engine does not answer for them."""
        return self._unresponsive

    def request(self, uid: str) -> None:
        """Have ``uid`` inspected soon."""
        if uid in self._reading:
            self._again.add(uid)
        elif uid not in self._unresponsive:
            self._waiting[uid] = None
            self._pump()

    def suspect(self, uid: str) -> None:
        """Treat ``uid`` as unresponsive until an inspect of it is answered."""
        self._unresponsive.add(uid)
        self._waiting.pop(uid, None)
        if uid in self._reading:
            self._again.add(uid)
        else:
            self._waiting_apart[uid] = None
            self._pump()

    def forget_unresponsive(self) -> None:
        """Read all of them again as usual: it was the whole engine that did not answer."""
        unresponsive, self._unresponsive = self._unresponsive, set()
        self._waiting_apart.clear()
        for uid in unresponsive:
            self.request(uid)

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
            (True, self._waiting_apart, _LANE_APART),
        ):
            while waiting and self._lanes[lane] < width and not self._is_closed:
                uid = next(iter(waiting))
                del waiting[uid]
                if uid in self._reading:
                    self._again.add(uid)
                    continue
                self._reading.add(uid)
                self._lanes[lane] += 1
                task = asyncio.create_task(self._run(uid, lane=lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, uid: str, *, lane: bool) -> None:
        answered = True
        try:
            answered = await self._read(uid)
        finally:
            self._reading.discard(uid)
            self._lanes[lane] -= 1
            again = uid in self._again
            self._again.discard(uid)
            if answered:
                self._unresponsive.discard(uid)
                if again:
                    self._waiting[uid] = None
            else:
                self._unresponsive.add(uid)
                asyncio.get_running_loop().call_later(_DELAY_APART, self._retry, uid)
            self._pump()

    def _retry(self, uid: str) -> None:
        if uid in self._unresponsive:
            self._waiting_apart[uid] = None
            self._pump()
