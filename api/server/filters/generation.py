"""One generation of filters at work: a catalog and the workers that have it compiled."""

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from api.server.admission.settings import AdmissionSettings
from api.server.filters.catalog import FilterCatalog
from api.server.filters.config import ConflictPolicy, PullPolicy
from api.server.filters.hooks import FilterHooks
from api.server.filters.workers import protocol
from api.server.filters.workers.limits import FilterLimits
from api.server.filters.workers.pool import (
    Cause,
    DeadlineError,
    Pool,
    PoolStatus,
    StarvedError,
    TooManySlowError,
)
from api.server.filters.workers.process import WorkerLostError
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

_log = structlog.get_logger(__name__)
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_SMALL: Final = 1 << 16
"""Bytes of a manifest that is read within a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a filter made of a document.

    ``filter`` is the config's name, ``manifest`` the filter's output as a JSON value; ``pull`` is
    None where the config leaves it to the process.
    """

    filter: str
    manifest: object
    admission: AdmissionSettings
    pull: PullPolicy | None
    on_conflict: ConflictPolicy = ConflictPolicy.EXISTING


class Generation:
    """A catalog in service; a request that has begun in one ends in it."""

    def __init__(
        self,
        number: int,
        catalog: FilterCatalog,
        environment: Mapping[str, str],
        limits: FilterLimits,
        hooks: FilterHooks,
    ) -> None:
        self.number = number
        self._catalog = catalog
        self._limits = limits
        self._hooks = hooks
        load = protocol.pack_specs(catalog.specify(environment))
        self._pool = Pool(load, limits, self._on_replaced)

    @property
    def status(self) -> PoolStatus:
        """What the workers are doing now."""
        return self._pool.status

    async def start(self) -> None:
        """Start the workers; raises ``FlawsError`` or ``pool.StartError``."""
        await self._pool.start()

    async def close(self) -> None:
        """Let requests in flight end, then end the workers."""
        await self._pool.close()

    async def render(self, path: str, document: object) -> Rendered:
        """Return what the filter for ``path`` makes of ``document``, or raise ``Problem``."""
        index = self._catalog.route(path)
        if index is None:
            raise Problem(404, ProblemReason.NO_FILTER, f"no filter serves {path}")
        config = self._catalog.entries[index].config
        text = _encode(document)
        call = protocol.FilterCall(index, path, text.encode(errors="replace"))
        began = time.perf_counter()
        outcome = "Rendered"
        try:
            manifest = await self._evaluate(call)
        except Problem as problem:
            outcome = problem.reason
            raise
        except asyncio.CancelledError:
            outcome = "Cancelled"
            raise
        finally:
            taken = time.perf_counter() - began
            self._hooks.on_render(config.metadata.name, outcome, taken)
        spec = config.spec
        return Rendered(config.metadata.name, manifest, spec.admission, spec.pull, spec.on_conflict)

    async def _evaluate(self, call: protocol.FilterCall) -> object:
        try:
            kind, payload = await self._pool.run(call)
        except DeadlineError:
            raise Problem(
                400,
                ProblemReason.FILTER_TIMEOUT,
                f"the filter did not end within {self._limits.deadline:g} s, and used more than"
                f" {self._limits.processor:g} s of processor time",
            ) from None
        except StarvedError:
            raise Problem(
                503,
                ProblemReason.FILTER_BUSY,
                f"the host is too busy to run the filter within {self._limits.deadline:g} s; try"
                " again later",
                headers={"Retry-After": "2"},
            ) from None
        except WorkerLostError as error:
            raise Problem(400, ProblemReason.FILTER_FAILED, _describe_loss(error.status)) from None
        except TooManySlowError:
            raise Problem(
                429,
                ProblemReason.TOO_MANY_SLOW_FILTERS,
                "too many filters are running for too long; try again later",
                headers={"Retry-After": "2"},
            ) from None
        if kind is protocol.FrameKind.REFUSED:
            refusal = protocol.unpack_refusal(payload)
            problem = Problem(refusal.code, refusal.reason, refusal.message, refusal.details)
            problem.hidden = refusal.hidden
            raise problem
        try:
            manifest: object = json.loads(payload.decode())
        except (ValueError, RecursionError):
            raise Problem(
                400, ProblemReason.FILTER_FAILED, "the filter's output cannot be read as JSON"
            ) from None
        if len(payload) > _SMALL:
            # one of a megabyte takes long to read, and again to judge: others in between
            await asyncio.sleep(0)
        return manifest

    def _on_replaced(self, cause: Cause) -> None:
        """Tell the hooks and the log that a worker was given up."""
        self._hooks.on_replaced(cause)
        if cause != "nice":
            _log.warning("filter worker replaced", cause=cause, generation=self.number)


def _describe_loss(status: int) -> str:
    if status == -signal.SIGABRT:
        return "the filter needed more memory than it may have"
    if status == -signal.SIGSEGV:
        return "the filter's values nest too deeply"
    return "the filter ended its worker"
