"""An engine in memory and an informer that watches it, on a clock that jumps."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from api.informer import informer as informer_module
from api.informer import watch as watch_module
from api.informer.informer import Informer
from api.informer.listener import Listener
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.listeners import Nobody
from tests.support.virtual_time import VirtualLoop

T = TypeVar("T")
OURS = {NAMESPACE: "ns"}
"""The labels of a job of the original's, which any name will do for."""


@contextmanager
def virtual_monotonic(loop: VirtualLoop) -> Iterator[None]:
    """Have the informer measure by the loop's clock."""
    clock = SimpleNamespace(monotonic=loop.time)
    with ExitStack() as stack:
        for module in (informer_module, watch_module):
            stack.enter_context(patch.object(module, "time", clock))
        yield


@contextmanager
def open_stage(
    make_engine: Callable[..., MemoryEngine] = MemoryEngine,
) -> Iterator["Stage"]:
    """Yield a stage; its clock stands at 5 s, so that nothing is too new."""
    loop = VirtualLoop()
    loop.jump(5.0)
    try:
        with virtual_monotonic(loop):
            yield Stage(loop, make_engine(clock=loop.now_ns, timeout=2.0))
    finally:
        loop.close()


class Stage:
    """An engine on a virtual clock, and short ways to play on it."""

    def __init__(self, loop: VirtualLoop, engine: MemoryEngine) -> None:
        self.loop = loop
        self.engine = engine

    def add(self, name: str, **members: object) -> str:
        """Create a container that is a job, and return its uid."""
        return self.engine.add(name, {"Image": IMAGE, "Cmd": ["x"], "Labels": OURS, **members})

    def play(
        self,
        story: Callable[[Informer], Coroutine[Any, Any, T]],
        listener: Listener | None = None,
        **options: Any,
    ) -> T:
        """Run a story beside an informer that has read everything once; return what it returns."""
        options = {"interval": 3600.0} | options

        async def run() -> T:
            informer = Informer(self.engine, listener or Nobody(), **options)
            task = asyncio.create_task(informer.run())
            await asyncio.sleep(0.01)
            try:
                return await story(informer)
            finally:
                assert not task.done(), "the informer ended"
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        return self.loop.run(run())
