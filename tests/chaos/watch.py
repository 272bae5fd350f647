"""The engine's events of one test's jobs, read past the product: who ran, and how many at once."""

import threading
from contextlib import suppress
from typing import Self

from tests.chaos.raw import EventStream
from tests.support.waiting import wait_until


class Watch:
    """Takes in the events of containers whose names start with ``prefix``; ``with`` reads them."""

    def __init__(self, stream: EventStream, prefix: str) -> None:
        self._stream = stream
        self._prefix = prefix
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._events: list[tuple[int, str, str]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._stream.close()
        self._thread.join(15)

    @property
    def starts(self) -> list[str]:
        """The names of started containers, in their order, repetitions included."""
        return [name for _, action, name in sorted(self._events) if action == "start"]

    def wait_for_ends(self, number: int) -> None:
        """Wait until so many have ended."""
        wait_until(
            lambda: sum(action == "die" for _, action, _ in self._events) >= number,
            f"{number} ends",
        )

    def count_most_running(self) -> int:
        """Return the largest number that ran at once."""
        running = most = 0
        for _, action, _ in sorted(self._events):
            running += {"start": 1, "die": -1}.get(action, 0)
            most = max(most, running)
        return most

    def _read(self) -> None:
        for event in self._stream:
            name = str(event["Actor"]["Attributes"].get("name", ""))
            if name.startswith(self._prefix):
                self._events.append((event["timeNano"], event["Action"], name))
