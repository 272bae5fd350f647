"""Records that jobs are no longer wanted: one mark for each, and nothing else is done to them."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import structlog

from api.engine.errors import AMBIGUOUS, ConflictError, EngineError
from api.engine.interface import Engine
from api.informer.mark_reader import MarkReader
from api.informer.store import JobStore
from api.server.http.errors import explain_outage
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.v1.condition import derive_condition
from api.v1.job import Job
from api.v1.mark import Mark, name_mark, name_purge
from api.v1.view import is_over

_log = structlog.get_logger(__name__)
_LANES: Final = 8  # creates at once: the queue goes on beside them
_SETTLE_PAUSES: Final = (0.0, 0.2, 0.5)  # before each look for what may have been created


class CancelOutcome(StrEnum):
    """What a cancel of one job came to."""

    RECORDED = "recorded"
    KNOWN = "known"  # it had been asked for before
    OVER = "over"  # the job had ended: it is left as it is
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CancelWish:
    """What a client asks for; see :class:`api.v1.mark.Mark`."""

    grace: int | None = None
    purge: bool = False
    why: str = ""


class Canceller:
    """Marks jobs on ``engine``; ``reader`` keeps the marks of ``store``.

    ``count`` is told of each outcome.
    """

    def __init__(
        self,
        engine: Engine,
        store: JobStore,
        reader: MarkReader,
        count: Callable[[CancelOutcome], None],
    ) -> None:
        self._engine = engine
        self._store = store
        self._reader = reader
        self._count = count

    async def cancel(self, job: Job, wish: CancelWish) -> tuple[Job, CancelOutcome]:
        """Have ``job`` ended, and with ``wish.purge`` removed; return it with its mark.

        What is recorded already stays: the first grace counts. Raises ``EngineError``, after which
        it may be recorded or not and can be asked for again, and ``Problem`` 409 ``NameTaken``.
        """
        outcome = CancelOutcome.FAILED
        try:
            outcome = await self._cancel(job, wish)
        finally:
            self._count(outcome)
        if outcome is CancelOutcome.RECORDED:
            _log.info("cancel recorded", job=job.id, id=job.uid, purge=wish.purge, why=wish.why)
        return replace(job, mark=self._get_mark(job.uid)), outcome

    async def cancel_all(self, jobs: Iterable[Job], wish: CancelWish) -> list[str]:
        """Cancel many, some at once; return the ids of those that it was recorded of.

        At the first failure no further one is begun, and it is raised: ``Problem``, 502 where the
        engine failed, with ``cancelled`` and ``ids`` in its details.
        """
        waiting, done, failures = iter(jobs), list[str](), list[Exception]()

        async def work() -> None:
            for job in waiting:
                if failures:
                    return
                try:
                    _, outcome = await self.cancel(job, wish)
                except (EngineError, Problem) as error:
                    failures.append(error)
                    return
                if outcome is CancelOutcome.RECORDED:
                    done.append(job.id)

        await asyncio.gather(*(work() for _ in range(_LANES)))
        if failures:
            raise _explain(failures[0], done)
        return done

    def _get_mark(self, uid: str) -> Mark | None:
        return self._store.marks.by_job.get(uid)

    async def _cancel(self, job: Job, wish: CancelWish) -> CancelOutcome:
        now = self._engine.now()
        if not wish.purge and is_over(job, derive_condition(job, now)) and job.mark is None:
            return CancelOutcome.OVER
        if self._get_mark(job.uid) is None and await self._mark(name_mark(job.uid), job, wish):
            return CancelOutcome.RECORDED
        known = self._get_mark(job.uid)
        lacks_purge = wish.purge and not (known is not None and known.purge)
        if lacks_purge and await self._mark(name_purge(job.uid), job, wish):
            return CancelOutcome.RECORDED
        return CancelOutcome.KNOWN

    async def _mark(self, name: str, job: Job, wish: CancelWish) -> bool:
        """Create a mark, or find the one of its name; tell whether it is new."""
        mark = Mark("", job.uid, self._engine.now(), wish.grace, wish.purge, wish.why)
        try:
            mark = replace(mark, uid=await self._engine.create_mark(name, mark))
        except ConflictError:
            known = await self._engine.find_mark(name)
            if known is None or known.job != job.uid:
                message = f"the name {name} is taken by a container that is no mark of this job"
                raise Problem(409, ProblemReason.NAME_TAKEN, message) from None
            self._reader.note(known)
            return False
        except AMBIGUOUS as error:
            mark = await self._settle(name, error)
        self._reader.note(mark)
        return True

    async def _settle(self, name: str, error: EngineError) -> Mark:
        """Find out what became of a create call without an answer; never make another one."""
        for pause in _SETTLE_PAUSES:
            await asyncio.sleep(pause)
            try:
                if (mark := await self._engine.find_mark(name)) is not None:
                    return mark
            except EngineError:
                break
        raise error


def _explain(failure: Exception, done: list[str]) -> Problem:
    """Return the answer to a cancel of many that got no further than ``done``."""
    problem = explain_outage(failure) if isinstance(failure, EngineError) else failure
    assert isinstance(problem, Problem)
    details = {**problem.details, "cancelled": len(done), "ids": done}
    return Problem(problem.code, problem.reason, problem.message, details, problem.headers)
