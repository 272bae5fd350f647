"""Has streams that have much to tell do so one after another, by turns of their clients."""

import asyncio

from api.server.clients import CLIENT
from api.server.fair_queue import FairQueue


class Turns:
    """One turn in each round of the event loop: whatever else is to be done is done between.

    Without them each step of every other answer would wait for as many streams as there are.
    """

    def __init__(self) -> None:
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._is_passing = False

    async def take(self) -> None:
        """Wait for a turn; it lasts until the stream waits for something else."""
        client, place = CLIENT.get(), asyncio.get_running_loop().create_future()
        self._waiting.push(client, place)
        if not self._is_passing:
            self._pass()
        try:
            await place
        finally:
            self._waiting.discard(client, place)

    def _pass(self) -> None:
        place = self._waiting.pop(lambda _: True)
        self._is_passing = place is not None
        if place is not None:
            if not place.done():
                place.set_result(None)
            asyncio.get_running_loop().call_soon(self._pass)
