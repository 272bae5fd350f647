"""An event loop whose clock jumps to whatever is due next: hours pass in a moment."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST_TURNS = 20_000  # of the loop at one moment


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything can run and jumps when all wait. No real I/O in it."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def now_ns(self) -> int:
        """Return a virtual wall clock in nanoseconds, for an engine's clock."""
        return 1_700_000_000_000_000_000 + round(self._now * 1e9)

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.run_until_complete(work)


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return a test that runs ``test`` on a ``VirtualLoop`` of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        loop = VirtualLoop()
        try:
            return loop.run(test(*args, **kwargs))
        finally:
            loop.close()

    return run


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is due: this would hang for ever")
        self._turns = 0 if timeout > 0 else self._turns + 1
        if self._turns > _MOST_TURNS:
            raise RuntimeError("something runs on and on, and time stands still")
        if timeout > 0:
            self._loop.jump(timeout)
        return super().select(0)
