"""Lists jobs: all services of ours, or some, each read anew only where it is not what it was.

A manager can neither leave anything out of a service nor list those that are newer than another, so
a list costs as much as there is. Of a service that waits, or whose end is noted, its version tells
whether it has changed: most of a long list is known by that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from api.engine.docker.error_mapping import translate_errors
from api.engine.errors import NotFoundError
from api.engine.swarm.reader import Reader, Seen
from api.engine.swarm.services import is_unchanged
from api.v1.job import ACTIVE, Job, Status
from api.v1.mark import Mark
from api.v1.record import record


@record
class Row:
    """A job in a list, and its marks, as they are at a version of the service."""

    version: int
    job: Job
    marks: Mapping[str, Mark]


class Lists:
    """Lists what ``reader`` reads; ``on_seen`` is called with what was read anew."""

    def __init__(self, reader: Reader, on_seen: Callable[[Seen], None]) -> None:
        self._reader = reader
        self._on_seen = on_seen
        self._rows: dict[str, Row] = {}

    async def list(
        self,
        *,
        job_id: str | None = None,
        statuses: Iterable[Status] = (),
        uids: Iterable[str] = (),
        since: str | None = None,
        known: Mapping[str, Job] | None = None,
        on_mark: Callable[[Mark], None] = lambda _: None,
    ) -> list[Job]:
        """List services; see the Engine interface. What they show of a job is all of it."""
        wanted, ids = {*statuses}, {*uids}
        rows = await self._read(job_id, wanted, ids)
        for row in rows:
            for own, mark in row.marks.items():
                if not ids or own in ids:
                    on_mark(mark)
        jobs = [row.job for row in rows if not ids or row.job.uid in ids]
        newer = jobs if since is None else _cut(jobs, since)
        shown = [job for job in newer if not wanted or job.status in wanted]
        shown.sort(key=lambda job: (job.created, job.uid), reverse=True)
        return [_keep_known(job, known or {}) for job in shown]

    async def _read(
        self, job_id: str | None, statuses: set[Status], uids: set[str]
    ) -> Sequence[Row]:
        if uids:
            return self._note(await self._reader.read({uid.partition(".")[0] for uid in uids}))
        if statuses and statuses <= ACTIVE:
            return self._note(await self._reader.read(await self._reader.read_running()))
        data = await self._reader.get_all(job_id)
        same, changed = dict[str, Row](), list[Mapping[str, Any]]()
        with translate_errors():
            for item in data:
                row = self._rows.get(item["ID"])
                if row is not None and row.version == item["Version"]["Index"]:
                    same[row.job.uid] = row
                else:
                    changed.append(item)
        seen = await self._reader.complete_all(changed)
        rows = self._note(seen)
        if job_id is None:
            settled = {one.job.uid for one in seen if not one.service.wants_tasks}
            self._rows = same | {row.job.uid: row for row in rows if row.job.uid in settled}
        return [*same.values(), *rows]

    def _note(self, seen: Iterable[Seen]) -> Sequence[Row]:
        rows = []
        for one in seen:
            self._on_seen(one)
            rows.append(Row(one.service.version, one.job, one.service.marks))
        return rows


def _cut(jobs: Sequence[Job], since: str) -> Sequence[Job]:
    """Return the jobs that are newer than the job ``since``."""
    oldest = next((job.created for job in jobs if job.uid == since), None)
    if oldest is None:
        raise NotFoundError(404, f"No such service: {since}")
    return [job for job in jobs if job.created > oldest]


def _keep_known(job: Job, known: Mapping[str, Job]) -> Job:
    """Return a job as it is known where nothing new is seen of it: to compare it costs nothing."""
    before = known.get(job.uid)
    return before if before is not None and is_unchanged(before, job) else job
