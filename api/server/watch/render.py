"""Makes the JSON of jobs for streams, and keeps it for a moment: many streams show the same."""

import asyncio
import json
from itertools import islice
from typing import Final

from api.server.jobs.collected import Collected
from api.server.jobs.index import Change, JobIndex
from api.server.jobs.query import JobFilter, Key
from api.v1.job import Job

_KEPT: Final = 5000
_FRESH: Final = 1.0
"""Seconds: what is shown of a job says how long it has run."""
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class Renderer:
    """The jobs of ``index`` in JSON, and those of ``collected`` that are gone."""

    def __init__(self, index: JobIndex, collected: Collected) -> None:
        self._index = index
        self._collected = collected
        self._made: dict[str, tuple[Job, bool, float, bytes]] = {}

    def render(self, change: Change) -> bytes:
        """Return the job that a change is about, as it is now or was last known."""
        job = change.new
        if job is None:
            gone = self._collected.find(change.uid)
            job = change.seen if gone is None else gone.job
        assert job is not None
        return self._make(job)

    def show(self, uid: str, wanted: JobFilter) -> bytes | None:
        """Return a job if it is there and matches."""
        source = self._index.source
        job, is_silent = source.store.known.get(uid), self._index.is_silent(uid)
        at = self._index.judged_at(uid)
        if job is None or not wanted.matches(job, at, is_silent=is_silent):
            return None
        now = asyncio.get_running_loop().time()
        is_up = source.engine_status.is_up and not is_silent
        made = self._made.get(uid)
        if made and made[0] is job and made[1] is is_up and now - made[2] < _FRESH:
            return made[3]
        if len(self._made) >= _KEPT:
            del self._made[next(iter(self._made))]
        body = self._make(job)
        self._made.pop(uid, None)
        self._made[uid] = job, is_up, now, body
        return body

    def take_after(self, wanted: JobFilter, after: Key | None, most: int) -> list[Key]:
        """Return the next places behind ``after``, the oldest first."""
        return [*islice(self._index.walk(wanted, after=after), most)]

    def _make(self, job: Job) -> bytes:
        return _encode(self._index.view(job)).encode()
