"""Where words and data go: words to stderr, data to stdout in the form that was asked for."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Final

from api.client.columns import Column, Table, align, fit, make_table, measure
from api.client.words import make_inert

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

_COLOURS: Final = {
    "Pending": "yellow",
    "Running": "cyan",
    "Succeeded": "green",
    "Failed": "bold red",
    "Cancelled": "magenta",
    "Unknown": "bold yellow",
}
"""Beside the word, never instead of it."""


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
        from rich.cells import cell_len

        console = open_console(self.out)
        shown = fit(table, console.width, cell_len)
        # an id that is wider than the terminal stays whole, as it is there to be copied
        console.width = max(console.width, sum(measure(shown, cell_len)))
        console.print(draw(shown))

    def write_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Write what ``show`` shows."""
        for label, text in facts:
            self.write(f"{f'{label}:' if label else '':<12} {text}".rstrip())


def open_console(file: IO[str]) -> "Console":
    """Return what draws on a terminal; it heeds ``NO_COLOR`` and ``TERM``."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(
        file=file,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
    set_size(console)
    return console


def set_size(console: "Console") -> None:
    """Have it draw for the size of its own terminal as that is now."""
    from rich.console import ConsoleDimensions

    try:
        columns, lines = os.get_terminal_size(console.file.fileno())
    except OSError:
        return
    if columns and lines:
        console.size = ConsoleDimensions(columns, lines)


def draw(shown: Table) -> "RichTable":
    """Return a table as it is drawn; where the terminal is too narrow for it, texts are cut."""
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in shown.columns:
        drawn.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in shown.rows:
        drawn.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in row))
    return drawn
