"""Follows one job to its end: where it stands while it waits, then its log, then its exit code."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from api.client.context import Context, Streams
from api.client.errors import ClientError, RefusedError, UnreadableError
from api.client.live import StatusLine
from api.client.log_stream import PASSING, LogReader
from api.client.status import INTERRUPTED, Job, choose_status, succeeded
from api.client.words import say_state

_LOOK: Final = 1.0
"""Seconds between two looks at where a job stands that waits."""
_RARELY: Final = 5.0
_OFTEN: Final = 10
_MISSING: Final = 404
_GONE: Final = frozenset({"JobCollected", "JobLost", "JobNotFound", "NoLog"})
"""Reasons for which there is no log to follow, and an end to tell of all the same."""


class Following:
    """One job, called by its uid: another may have taken its id meanwhile."""

    def __init__(self, context: Context, job_id: str, uid: str) -> None:
        self._context = context
        self._id = job_id
        self._uid = uid
        self._over = threading.Event()
        self._line = StatusLine(context.output.err) if context.draws_words else None

    def run(self, *, removes: bool) -> int:
        """Follow it; return the exit status. Raises ``ClientError``."""
        output = self._context.output
        try:
            with self._show_standing():
                self._copy_log()
                job = self._context.server.await_end(self._uid)
            if not succeeded(job):
                output.say(f"{self._id}: {say_state(job)}")
            if removes:
                self._remove()
        except KeyboardInterrupt:
            self._detach()
            return INTERRUPTED
        except ClientError as error:
            output.say(str(error))
            output.say(f"{self._id} goes on without this command; {self._tell_how()}")
            return error.status
        return choose_status([job])

    def _remove(self) -> None:
        """Have the job removed; where that fails its end is known all the same."""
        try:
            self._context.server.cancel(self._uid, [("purge", "true")])
        except ClientError as error:
            if not (isinstance(error, RefusedError) and error.code == _MISSING):
                self._context.output.say(f"{self._id} was not removed: {error}")

    def _detach(self) -> None:
        self._context.output.say(f"detached; {self._id} goes on; {self._tell_how()}")

    def _tell_how(self) -> str:
        program = self._context.program
        return (
            f"to follow or to cancel it:\n  {program} logs -f {self._id}"
            f"\n  {program} cancel {self._id}"
        )

    def _copy_log(self) -> None:
        reader = LogReader(self._context.connection, self._uid, [("follow", "true")])
        try:
            for line in reader.read():
                self._end_standing()
                Streams.write(line.data, is_error=line.is_error)
        except RefusedError as error:
            if error.reason in _GONE:
                self._context.output.say(f"{self._id} has no log to follow: {error}")
            elif error.reason in PASSING:
                self._tell_unreadable(error)
            else:
                raise
        except UnreadableError as error:
            self._tell_unreadable(error)

    def _tell_unreadable(self, error: ClientError) -> None:
        self._context.output.say(f"the log of {self._id} cannot be read: {error}")

    def _end_standing(self) -> None:
        if not self._over.is_set():
            self._over.set()
            if self._line is not None:
                self._line.end()

    @contextmanager
    def _show_standing(self) -> Iterator[None]:
        """Say where the job stands for as long as it waits."""
        if self._line is not None:
            self._context.output.before_words = self._line.clear
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end_standing()

    def _watch(self) -> None:
        told, looks = None, 0
        while not self._over.is_set():
            # what is wrong here is seen by who follows the log
            with suppress(ClientError):
                job = self._context.server.find(self._uid, patience=0)
                if job["phase"] != "Pending":
                    if self._line is not None:
                        self._line.end()
                    return
                told = self._tell(job, told)
            looks += 1
            self._over.wait(_LOOK if self._line is not None or looks < _OFTEN else _RARELY)

    def _tell(self, job: Job, told: str | None) -> str:
        """Draw where it stands, or say it where nothing can be drawn and the reason is new."""
        reason = (job.get("waiting") or {}).get("reason")
        if self._line is not None:
            self._line.show(f"{self._id}: {say_state(job)}")
        elif reason != told:
            self._context.output.say(f"{self._id}: {say_state(job)}")
        return str(reason)
