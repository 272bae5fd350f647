"""What is redrawn on a terminal: a table of jobs, and a line while something waits."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self

from api.client.columns import Column, align, fit, make_table
from api.client.output import open_console, paint, set_size

if TYPE_CHECKING:
    from rich.live import Live

_FRAME: Final = 3
"""Lines that a live table leaves free for its head, its foot and the cursor."""


def choose_rows(
    jobs: Iterable[Mapping[str, Any]], height: int
) -> tuple[list[Mapping[str, Any]], int]:
    """Return the jobs that ``height`` lines have room for, newest first, and how many are left.

    Pure.
    """
    ordered = sorted(
        jobs, key=lambda job: (job.get("created", 0), job.get("uid", "")), reverse=True
    )
    room = max(1, height - _FRAME)
    return ordered[:room], max(0, len(ordered) - room)


class LiveTable:
    """A table on a terminal that is redrawn in its place; ``with`` shows it and leaves the last."""

    def __init__(self, file: IO[str], columns: Sequence[Column]) -> None:
        from rich.live import Live

        self._columns = columns
        self._console = open_console(file)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, jobs: Iterable[Mapping[str, Any]], now: Callable[[], float], note: str) -> None:
        """Draw the jobs as they are at the server's time ``now()``; ``note`` stands below."""
        from rich.cells import cell_len
        from rich.console import Group
        from rich.text import Text

        set_size(self._console)
        rows, left = choose_rows(jobs, self._console.height)
        table = fit(make_table(self._columns, rows, now), self._console.width, cell_len)
        lines = [Text.from_ansi(line) for line in align(table, cell_len, paint)]
        words = [*([f"{left} more"] if left else []), *([note] if note else [])]
        if words:
            lines.append(Text("; ".join(words), style="dim"))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._live.update(Group(*lines), refresh=True)


class StatusLine:
    """One line on a terminal that is redrawn, and gone before anything else is written there."""

    def __init__(self, file: IO[str]) -> None:
        self._console = open_console(file)
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def show(self, text: str) -> None:
        """Draw ``text``, cut at the terminal's width."""
        from rich.live import Live
        from rich.text import Text

        line = Text(text, style="dim", overflow="ellipsis", no_wrap=True)
        with self._lock:
            if self._is_over:
                return
            if self._live is None:
                self._live = Live(
                    console=self._console,
                    auto_refresh=False,
                    redirect_stdout=False,
                    redirect_stderr=False,
                    transient=True,
                )
                self._live.start()
            self._live.update(line, refresh=True)

    def clear(self) -> None:
        """Take the line away; it comes again with the next text."""
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def end(self) -> None:
        """Take the line away for good."""
        self._is_over = True
        self.clear()
