"""Start a worker and have it compile a generation: it is ready, or at fault, or lost."""

import asyncio

from api.server.filters.workers import process, protocol
from api.server.filters.workers.process import WorkerProcess


class WorkerStartError(Exception):
    """A worker did not come up; nothing says that a filter is at fault."""


class CompileFailedError(Exception):
    """A worker refused the generation; ``faults`` says why."""

    def __init__(self, faults: list[protocol.CompileFault]) -> None:
        super().__init__("the filters do not compile")
        self.faults = faults


async def start_worker(load: bytes, seconds: float) -> WorkerProcess:
    """Return a worker that has compiled ``load``, a ``LOAD`` frame, within ``seconds``.

    Raises ``CompileFailedError`` or ``WorkerStartError``. A worker that is not returned is killed.
    """
    try:
        worker = await process.start()
    except OSError as error:
        raise WorkerStartError(f"a filter worker did not start: {error}") from error
    try:
        await _load(worker, load, seconds)
    except BaseException:
        worker.kill()
        await asyncio.shield(worker.ended)
        raise
    return worker


async def _load(worker: WorkerProcess, load: bytes, seconds: float) -> None:
    loaded: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    worker.receive = lambda _kind, payload: loaded.set_result(payload)
    worker.send(load)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((loaded, worker.ended), return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        raise WorkerStartError("a filter worker did not load its filters in time") from None
    if not loaded.done():
        raise WorkerStartError(f"a filter worker ended with status {worker.ended.result()}")
    if faults := protocol.unpack_faults(loaded.result()):
        raise CompileFailedError(faults)
