"""Clients that wait for the end of jobs, and ask again whenever a dying API cuts them off."""

import asyncio
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, Final, Self

import aiohttp

from tests.chaos.history import Recorder
from tests.chaos.observer import Observer
from tests.chaos.waits import Kind, Wait, WaitedJob, read_seconds

NO_ANSWER: Final = 0
"""The status of a try that was cut off, or found nobody listening."""
HANGS: Final = -1
"""The status of a try that its client gave up long after its time."""

_FINAL: Final = {HANGS, 200, 201, 404}
_PAUSES: Final = (0.25, 0.5, 1.0, 2.0)
"""Before another try, the last for all that follow."""
_GIVEN_UP: Final = 20.0
_LONGEST_QUEUE: Final = 10
_MOST_OPEN: Final = 160
"""Waits that are not answered yet: with more no job is posted, for the machine is busy enough."""
_MOST_AT_ONCE: Final = 240
"""A few below the API's default ``--max-watchers``."""
_POSTS: Final = {Kind.POST, Kind.REPEAT}
_LOOK: Final = 0.02
_PATIENCE: Final = 30.0
_LAG: Final = 0.2


class Waiters:
    """Posts ``jobs`` at ``rate`` a second and waits for each as it says; ``with`` runs it.

    Records each job (``order``), each answer to a POST (``reply``), each wait when it begins
    (``asked``) and each try of it once that is answered or cut off (``wait``), and when this
    process itself stood still (``lag``), by which an answer may have been noticed late.
    """

    def __init__(
        self,
        url: str,
        *,
        jobs: Iterable[WaitedJob],
        rate: float,
        observer: Observer,
        recorder: Recorder,
    ) -> None:
        self._url = url
        self._jobs = list(jobs)
        self._rate = rate
        self._observer = observer
        self._recorder = recorder
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._open = 0
        self._to_begin = sum(len(job.waits) for job in self._jobs)
        self._begun: dict[str, float] = {}
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)

    def await_begun(self, patience: float) -> None:
        """Wait until every wait has begun, at most ``patience`` seconds."""
        end = time.monotonic() + patience
        while self._to_begin and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(_LOOK)

    def finish(self, patience: float) -> None:
        """Wait until every wait is answered; raise what went wrong with the clients themselves."""
        self._thread.join(patience)
        self._stopped.set()
        self._thread.join(60)
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by finish
            self._errors.append(error)

    async def _work(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as tasks,
        ):
            clock = tasks.create_task(self._notice_lag())
            async with asyncio.TaskGroup() as group:
                await self._post_all(session, group)
            clock.cancel()

    async def _post_all(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        for job in self._jobs:
            while not self._stopped.is_set():
                pause, waiting = due - time.monotonic(), self._count_waiting()
                if pause <= 0 and waiting < _LONGEST_QUEUE and self._open < _MOST_OPEN:
                    break
                await asyncio.sleep(max(_LOOK, min(pause, 0.5)))
            self._begun[job.name] = time.monotonic()
            # what was late is not made up for: the machine has no more to give
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            group.create_task(_Client(self, session, job).live())

    def _count_waiting(self) -> int:
        """Return how many of the jobs of late wait to be started; others never are."""
        oldest = time.monotonic() - _PATIENCE
        return sum(
            state == "created" and self._begun.get(name, 0) > oldest
            for _, name, state in self._observer.rows
        )

    async def _notice_lag(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_LOOK)
            lag = time.monotonic() - began - _LOOK
            if lag > _LAG:
                self._recorder.record("lag", seconds=lag)

    async def send(
        self, session: aiohttp.ClientSession, wait: Wait, job: WaitedJob, ref: str
    ) -> Any:
        """Try once; record and return what came of it, with the status."""
        seconds = read_seconds(wait.seconds)
        async with self._places:
            sent = time.time_ns()
            status, body = await self._exchange(session, wait, job, ref, seconds)
            told = describe(body)
            facts = {"name": job.name, "ref": ref, "sent": sent, "status": status, **told}
            self._recorder.record(
                "wait", number=wait.number, asked=wait.kind, seconds=seconds, **facts
            )
        if wait.kind in _POSTS:
            self._record_reply(job, sent, status, body)
        return status, body

    async def post(self, session: aiohttp.ClientSession, job: WaitedJob) -> int:
        """Post without waiting; return the status."""
        sent = time.time_ns()
        request = session.post(f"{self._url}/job", json=job.document, timeout=_limit(0))
        status, body = await _read(request)
        self._record_reply(job, sent, status, body)
        return status

    async def _exchange(
        self, session: aiohttp.ClientSession, wait: Wait, job: WaitedJob, ref: str, seconds: float
    ) -> tuple[int, dict[str, Any]]:
        query, limit = {"wait": wait.seconds}, _limit(seconds)
        if wait.kind in _POSTS:
            url = f"{self._url}/job"
            return await _read(session.post(url, json=job.document, params=query, timeout=limit))
        return await _read(session.get(f"{self._url}/job/{ref}", params=query, timeout=limit))

    def _record_reply(self, job: WaitedJob, sent: int, status: int, body: dict[str, Any]) -> None:
        facts: dict[str, Any] = {"name": job.name, "sent": sent, "status": max(status, 0)}
        if "error" in body:
            facts["error"] = body["error"]
        self._recorder.record("reply", uid=body.get("uid"), **facts)

    def record_order(self, job: WaitedJob) -> None:
        """Record what is wanted of a job."""
        self._recorder.record(
            "order",
            name=job.name,
            task=job.task,
            code=job.code,
            retries=job.retries,
            starts="must" if job.must_start else "never",
        )

    def record_begin(self, wait: Wait, job: WaitedJob) -> None:
        """Record that somebody begins to wait."""
        self._open += 1
        self._to_begin -= 1
        self._recorder.record("asked", number=wait.number, asked=wait.kind, name=job.name)

    def note_answer(self) -> None:
        """Note that a wait has ended."""
        self._open -= 1

    def find_uid(self, name: str) -> str | None:
        """Return the id of the newest container of this name, as the engine has told of it."""
        return self._observer.ids.get(name)

    @property
    def is_stopped(self) -> bool:
        """Tell whether nobody asks any more."""
        return self._stopped.is_set()


class _Client:
    """All who wait for one job."""

    def __init__(self, owner: Waiters, session: aiohttp.ClientSession, job: WaitedJob) -> None:
        self._owner = owner
        self._session = session
        self._job = job
        self._is_over = asyncio.Event()

    async def live(self) -> None:
        """Post the job, and return once all its waits are over."""
        self._owner.record_order(self._job)
        first, *others = self._job.waits
        async with asyncio.TaskGroup() as group:
            early = [wait for wait in others if wait.kind is Kind.EARLY]
            for wait in early:
                group.create_task(self._wait_early(wait))
            if first.kind is Kind.POST:
                group.create_task(self._ask(first))
            else:
                group.create_task(self._post())
            await self._see_created()
            for wait in [first] * (first.kind is not Kind.POST) + others:
                if wait not in early:
                    group.create_task(self._wait(wait))

    async def _post(self) -> None:
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            status = await self._owner.post(self._session, self._job)
            if status in {200, 201} or self._owner.is_stopped:
                return
            await asyncio.sleep(pause)

    async def _see_created(self) -> None:
        while self._owner.find_uid(self._job.name) is None and not self._owner.is_stopped:
            await asyncio.sleep(_LOOK)

    async def _wait_early(self, wait: Wait) -> None:
        await asyncio.sleep(wait.after)
        await self._ask(wait)

    async def _wait(self, wait: Wait) -> None:
        if wait.kind is Kind.LATE:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), _PATIENCE)
        await asyncio.sleep(wait.after)
        await self._ask(wait)

    async def _ask(self, wait: Wait) -> None:
        """Ask, and again after every answer that is none."""
        self._owner.record_begin(wait, self._job)
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            if self._owner.is_stopped:
                return
            status, body = await self._owner.send(
                self._session, wait, self._job, self._choose_ref(wait)
            )
            if body.get("finished"):
                self._is_over.set()
            if status in _FINAL:
                self._owner.note_answer()
                return
            await asyncio.sleep(pause)

    def _choose_ref(self, wait: Wait) -> str:
        if wait.kind is Kind.UNKNOWN:
            return f"nobody-{wait.number}" if wait.number % 2 else f"{wait.number:064x}"
        by_uid = wait.kind is Kind.BY_UID or (wait.kind is Kind.LATE and wait.number % 2)
        found = self._owner.find_uid(self._job.name) if by_uid else None
        return found or self._job.name


def describe(body: dict[str, Any]) -> dict[str, Any]:
    """Return what the history keeps of an answer: the job that it shows, or the error's reason."""
    error = body.get("error") or {}
    job = error.get("job") or (body if "phase" in body else {})
    told = {key: job.get(key) for key in ("uid", "phase", "reason", "finished")}
    return {**told, "code": job.get("exitCode"), "error": error.get("reason")}


def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds + _GIVEN_UP)


async def _read(request: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of an answer."""
    try:
        async with request as response:
            body = await response.json()
            return response.status, body if isinstance(body, dict) else {}
    except TimeoutError:
        return HANGS, {}
    except (aiohttp.ClientError, OSError, ValueError):
        return NO_ANSWER, {}
