"""``logs``: what jobs have written."""

import queue
import threading
from typing import Final

import click

from api.client.context import Context, Streams, pass_context
from api.client.errors import COLLECTED, ClientError, RefusedError
from api.client.log_stream import LogLine, LogReader
from api.client.options import ids_argument
from api.client.output import has_colour
from api.client.status import FINE, TROUBLE, USAGE
from api.client.words import make_inert

_TAB: Final = 8
_PALETTE: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
"""Colours of prefixes, as SGR numbers; red is left to what is wrong."""


@click.command("logs")
@ids_argument(required=True)
@click.option("-f", "--follow", is_flag=True, help="Go on until the jobs end.")
@click.option("-n", "--tail", type=click.IntRange(0, 999_999_999), help="Only the last lines.")
@click.option("--since", help="Written since then: 90s, 15m, 2h, 1d ago, or a time.")
@click.option("-t", "--timestamps", is_flag=True)
@pass_context
def show_logs(
    context: Context,
    /,
    ids: tuple[str, ...],
    *,
    follow: bool,
    tail: int | None,
    since: str | None,
    timestamps: bool,
) -> int:
    """Write the logs of jobs, stdout to stdout and stderr to stderr.

    Of one job the bytes are those that it wrote, on a terminal too, as with kubectl and docker:
    colours and progress bars need that. Of several each line has the job's id before it, and
    what would move the cursor is shown and not obeyed.
    """
    named = {"follow": "true" if follow else None, "tail": tail, "since": since}
    query = [(name, str(value)) for name, value in named.items() if value is not None]
    refs = [*dict.fromkeys(ids)]
    readers = {ref: LogReader(context.connection, ref, query) for ref in refs}
    if len(refs) == 1:
        try:
            for line in readers[refs[0]].read():
                Streams.write(stamp(line) if timestamps else line.data, is_error=line.is_error)
        except ClientError as error:
            raise explain(error) from error
        return FINE
    printer = Printer(context, refs, timestamps=timestamps)
    return printer.follow(readers) if follow else printer.copy(readers)


def stamp(line: LogLine) -> bytes:
    """Return a line with its time, unless it goes on with one that has it."""
    return f"{line.time} ".encode() + line.data if line.begins else line.data


def explain(error: ClientError) -> ClientError:
    """Return why a log cannot be shown: of a job that was removed there is none any more. Pure."""
    if isinstance(error, RefusedError) and error.reason == COLLECTED:
        return ClientError("the job has been removed, and its log with it")
    return error


def prefix(name: str, width: int, line: LogLine, *, has_time: bool) -> str:
    """Return a line of one of several jobs: inert, and what a carriage return left to see. Pure."""
    text = line.data.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]
    time = f"{make_inert(line.time)} " if has_time else ""
    return f"{make_inert(name):<{width}} | {time}{make_inert(text.expandtabs(_TAB))}"


class Printer:
    """Writes the lines of several jobs, each with its id before it."""

    def __init__(self, context: Context, refs: list[str], *, timestamps: bool) -> None:
        self._context = context
        self._width = max(map(len, refs))
        self._timestamps = timestamps
        self._colours: dict[str, int] = {}
        if context.output.is_terminal and has_colour():
            self._colours = {ref: _PALETTE[n % len(_PALETTE)] for n, ref in enumerate(refs)}
        self._status = FINE

    def copy(self, readers: dict[str, LogReader]) -> int:
        """Write one log after the other; return the exit status."""
        for ref, reader in readers.items():
            try:
                for line in reader.read():
                    self._write(ref, line)
            except ClientError as error:
                self._fail(ref, error)
        return self._status

    def follow(self, readers: dict[str, LogReader]) -> int:
        """Write the lines of all as they come; return the exit status.

        A fault of a reader is raised here.
        """
        # a slow terminal holds up the readers, and so nothing grows
        lines: queue.Queue[tuple[str, LogLine | Exception | None]] = queue.Queue(1000)

        def read(ref: str, reader: LogReader) -> None:
            try:
                for line in reader.read():
                    lines.put((ref, line))
                lines.put((ref, None))
            except Exception as error:  # noqa: BLE001 - whoever waits for lines has it
                lines.put((ref, error))

        for item in readers.items():
            threading.Thread(target=read, args=item, daemon=True).start()
        left = len(readers)
        while left:
            ref, told = lines.get()
            if isinstance(told, LogLine):
                self._write(ref, told)
                continue
            left -= 1
            if isinstance(told, ClientError):
                self._fail(ref, told)
            elif told is not None:
                raise told
        return self._status

    def _write(self, ref: str, line: LogLine) -> None:
        text = prefix(ref, self._width, line, has_time=self._timestamps)
        if colour := self._colours.get(ref):
            head, bar, rest = text.partition(" | ")
            text = f"\x1b[{colour}m{head}{bar}\x1b[0m{rest}"
        Streams.write(f"{text}\n".encode(errors="replace"), is_error=line.is_error)

    def _fail(self, ref: str, error: ClientError) -> None:
        if error.status == USAGE:
            # the options are those of all
            raise error
        self._status = TROUBLE
        self._context.output.say(f"{ref}: {explain(error)}")
