"""Where words and data go: words to stderr, data to stdout in the form that was asked for."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from api.client.columns import Column, align, fit, make_table
from api.client.words import make_inert

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS: Final = {
    "Pending": "33",
    "Running": "36",
    "Succeeded": "32",
    "Failed": "1;31",
    "Cancelled": "35",
    "Unknown": "1;33",
}
"""As SGR numbers; beside the word, never instead of it."""
_COLUMNS: Final = 80
_LINES: Final = 24


class Form(StrEnum):
    """What ``-o`` accepts."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    JSON_LINES = "jsonl"
    NAME = "name"


def make_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON of ASCII alone, which is inert on every terminal."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


@dataclass(slots=True)
class Output:
    """The two streams of one command, and how it is called in what it says."""

    program: str
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    err: IO[str] = field(default_factory=lambda: sys.stderr)
    before_words: Callable[[], None] = lambda: None
    """Makes room for words, where a line stands that is redrawn."""
    held: list[str] | None = None
    """Words that wait for the end of a table which is redrawn."""

    @property
    def is_terminal(self) -> bool:
        """Whether data go to a terminal."""
        return self.out.isatty()

    def say(self, text: str) -> None:
        """Tell the user something, each line inert."""
        if self.held is not None:
            self.held.append(text)
            return
        self.before_words()
        first, *rest = text.split("\n")
        lines = [f"{self.program}: {first}", *rest]
        self.err.write("".join(f"{make_inert(line)}\n" for line in lines))
        self.err.flush()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Say during the block nothing, and all of it at its end."""
        held: list[str] = []
        self.held = held
        try:
            yield
        finally:
            self.held = None
            for text in held:
                self.say(text)

    def write(self, line: str) -> None:
        """Write a line of data that is inert already."""
        self.out.write(f"{line}\n")

    def write_rows(
        self, rows: Iterable[Mapping[str, Any]], form: Form, key: str, around: Any = None
    ) -> None:
        """Write rows as JSON or as names (``key``); ``around`` is the object to put them in."""
        match form:
            case Form.JSON:
                items = [*rows]
                self.write(make_json(items if around is None else around(items), indent=2))
            case Form.NAME:
                for row in rows:
                    self.write(make_inert(row.get(key)))
            case _:
                for row in rows:
                    self.write(make_json(row))

    def write_table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Mapping[str, Any]],
        now: Callable[[], float],
    ) -> None:
        """Write a table: for a terminal what its width holds, else all of it.

        ``now`` is asked with each row, before which nothing need be known of the server's clock.
        """
        table = make_table(columns, rows, now)
        if not self.is_terminal:
            self.out.writelines(f"{line}\n" for line in align(table))
            return
        # rich draws a thousand rows in a second: it only counts the cells here
        from rich.cells import cell_len

        # an id that is wider than the terminal stays whole, as it is there to be copied
        shown = fit(table, find_size(self.out)[0], cell_len)
        lines = align(shown, cell_len, paint if has_colour() else str)
        self.out.writelines(f"{line}\n" for line in lines)

    def write_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Write what ``show`` shows."""
        for label, text in facts:
            self.write(f"{f'{label}:' if label else '':<12} {text}".rstrip())


def has_colour() -> bool:
    """Tell whether the user of a terminal wants colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def find_size(file: IO[str]) -> tuple[int, int]:
    """Return the columns and lines of a terminal as they are now."""
    try:
        columns, lines = os.get_terminal_size(file.fileno())
    except OSError:
        columns = lines = 0
    return columns or _COLUMNS, lines or _LINES


def open_console(file: IO[str]) -> "Console":
    """Return what redraws on a terminal."""
    from rich.console import Console

    colours: Literal["auto"] | None = "auto" if has_colour() else None
    console = Console(file=file, color_system=colours, highlight=False, markup=False, emoji=False)
    set_size(console)
    return console


def set_size(console: "Console") -> None:
    """Have it draw for the size of its own terminal as that is now."""
    from rich.console import ConsoleDimensions

    console.size = ConsoleDimensions(*find_size(console.file))


def paint(text: str) -> str:
    """Return a phase in its colour, and any other text as it is."""
    colour = _COLOURS.get(text)
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"
