"""``python -m api`` with a watch on its event loop: how long one callback held it at most.

At its end the process logs ``loop watched`` with ``seconds`` and ``callback``, those of the
longest one since the last SIGUSR1. Time that the kernel kept a ready thread waiting for a
processor is not counted: the requests' sender, the engine and the filters want the same few.
"""

import os
import signal
import threading
import time
from asyncio import events
from typing import Any, Final

import structlog

from api.__main__ import main
from api.server.jobs.waiting import Waiting

_run: Final = events.Handle._run
_schedstat: Final = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
_longest: tuple[float, str] = (0.0, "")


def _watch(handle: events.Handle) -> None:
    global _longest  # noqa: PLW0603 - one loop in this process
    waited = _read_waited()
    began = time.perf_counter()
    try:
        _run(handle)
    finally:
        held = time.perf_counter() - began
        # this look is cheap and settles nearly all
        if held > _longest[0]:
            held -= _read_waited() - waited
            who = getattr(vars(type(handle))["_callback"].__get__(handle), "__self__", handle)
            _longest = max(_longest, (held, repr(who)))


def _read_waited() -> float:
    """Return the seconds that this thread has been ready without a processor to run on."""
    return int(os.pread(_schedstat, 64, 0).split()[1]) / 1e9


def _forget(*_: Any) -> None:
    global _longest  # noqa: PLW0603 - one loop in this process
    _longest = (0.0, "")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _forget)
    # nothing runs here: who waits for 300 s would do so
    wait = Waiting.wait
    Waiting.wait = lambda self, ref, seconds, **options: wait(  # type: ignore[method-assign]
        self, ref, min(seconds, 0.1), **options
    )
    events.Handle._run = _watch  # type: ignore[assignment,method-assign] # the one place all callbacks pass
    try:
        main()
    finally:
        structlog.get_logger().info("loop watched", seconds=_longest[0], callback=_longest[1])
