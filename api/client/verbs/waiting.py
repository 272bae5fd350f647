"""``wait``: until jobs are over."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import click

from api.client.context import Context, pass_context
from api.client.errors import ClientError, RefusedError, TimeIsUpError
from api.client.event_stream import EventReader, Told
from api.client.options import Duration, form_option, ids_argument
from api.client.output import Form
from api.client.retry import BRIEF, BUSY, OUTAGES
from api.client.status import Job, choose_status, succeeded
from api.client.words import say_state

_MISSING: Final = 404


@click.command("wait")
@ids_argument(required=True)
@click.option("--any", "is_any", is_flag=True, help="Until one of them is over.")
@click.option("--timeout", type=Duration(), help="For so long at most; then the status is 124.")
@form_option(None)
@pass_context
def wait_for_jobs(
    context: Context, ids: tuple[str, ...], *, is_any: bool, timeout: float | None, form: str | None
) -> int:
    """Wait until jobs are over, and say what becomes of them meanwhile.

    The status is that of the job; of several, 1 if any did not succeed. With -o the jobs are
    written as they end.
    """
    ended: list[Job] = []
    waiting = Waiting(context, [*dict.fromkeys(ids)])
    with limit_time(timeout):
        for job in waiting.run():
            ended.append(job)
            if form is not None:
                _write(context, job, Form(form))
            if is_any:
                break
    if waiting.count > 1:
        return 0 if all(succeeded(job) for job in ended) else 1
    return choose_status(ended)


def _write(context: Context, job: Job, form: Form) -> None:
    if form in {Form.TABLE, Form.WIDE}:
        context.output.write(f"{job['id']}   {say_state(job)}")
    else:
        context.output.write_rows([job], Form.NAME if form is Form.NAME else Form.JSON_LINES, "id")
    context.output.out.flush()


@contextmanager
def limit_time(seconds: float | None) -> Iterator[None]:
    """Have the block end with ``TimeIsUpError`` after so long, whatever it waits for."""
    if seconds is None:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeIsUpError("the time is up; nothing was changed")

    before = signal.signal(signal.SIGALRM, end)
    # a timer of 0 would never come
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Waiting:
    """Waits for the jobs ``refs``, ids or uids, and says what becomes of them.

    ``count`` is how many there are: two refs that turn out to name one job are one.
    """

    def __init__(self, context: Context, refs: Sequence[str]) -> None:
        self._context = context
        self._uids: dict[str, str] = {}
        self._open = [*refs]
        self.count = len(refs)
        self._told: dict[str, str] = {}

    def run(self) -> Iterator[Job]:
        """Yield each job as soon as it is over.

        The events are opened first, and then it is asked how the jobs are: nothing falls between.
        """
        reader = EventReader(self._context.connection, [("snapshot", "false")], resumes=False)
        for happening in reader.read():
            if happening.told is Told.OPENED:
                for ref in [*self._open]:
                    yield from self._look(ref)
            elif (job := happening.job) is not None and (known := self._uids.get(job["uid"])):
                if job["finished"] or happening.told is Told.REMOVED:
                    yield from self._look(known)
                else:
                    self._tell(known, job)
            elif happening.told is Told.BOOKMARK:
                # should an event ever be missing, the job is not waited for in vain
                self._open.append(self._open.pop(0))
                yield from self._look(self._open[-1])
            if not self._open:
                return

    def _look(self, ref: str) -> Iterator[Job]:
        """Ask how a job is, which the events do not tell as exactly."""
        if ref not in self._open:
            return
        connection = self._context.connection
        knows = ref in self._told
        try:
            job = self._context.server.find(
                self._name(ref),
                patience=connection.settings.patience if knows else BRIEF,
                bears=BUSY | OUTAGES if knows else BUSY,
                recalls=True,
            )
        except RefusedError as error:
            raise ClientError(
                f"{ref}: {error}" if error.code == _MISSING else str(error)
            ) from error
        if self._uids.setdefault(job["uid"], ref) != ref:
            self._open.remove(ref)
            self.count -= 1
            return
        self._tell(ref, job)
        if job["finished"]:
            self._open.remove(ref)
            yield job

    def _name(self, ref: str) -> str:
        """Return what names one job alone: a later one may take the id of one that is gone."""
        uids: dict[str, Any] = {known: uid for uid, known in self._uids.items()}
        return str(uids.get(ref, ref))

    def _tell(self, ref: str, job: Job) -> None:
        before, self._told[ref] = self._told.get(ref), job["phase"]
        if before != job["phase"]:
            self._context.output.say(f"{job['id']}: {say_state(job)}")
