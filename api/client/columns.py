"""Which columns a table of jobs or queues has at a width, and what stands in them; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.client.words import NOTHING, make_inert, say_age, say_run, say_seconds, say_value

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """``read`` makes the text of a row at a time; a narrow table drops the highest ``rank``."""

    title: str
    read: Callable[[Row, float], str]
    rank: int
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and the texts in them, row by row."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def _show(name: str) -> Callable[[Row, float], str]:
    return lambda row, _: say_value(row.get(name))


def _say_cap(row: Row, name: str) -> str:
    value = row.get(name)
    return "no cap" if value is None else say_value(value)


_BASE: Final = (
    Column("ID", _show("id"), 0),
    Column("PHASE", _show("phase"), 0),
    Column("REASON", _show("reason"), 2),
    Column("EXIT", _show("exitCode"), 3, is_number=True),
    Column("QUEUE", _show("queue"), 5),
    Column("AGE", say_age, 1, is_number=True),
    Column("RAN", say_run, 4, is_number=True),
)
_MORE: Final = (
    Column("PRIORITY", _show("priority"), 9, is_number=True),
    Column("RESTARTS", _show("restarts"), 9, is_number=True),
    Column("IMAGE", _show("image"), 7),
    Column("PATH", _show("path"), 8),
    Column("UID", lambda job, _: make_inert(job.get("uid", NOTHING))[:12], 6),
    Column("MESSAGE", _show("message"), 10),
)
JOBS: Final = _BASE
WIDE_JOBS: Final = (*_BASE, *_MORE)
QUEUES: Final = (
    Column("QUEUE", _show("name"), 0),
    Column("USED", _show("used"), 1, is_number=True),
    Column("CAP", lambda row, _: _say_cap(row, "maxConcurrent"), 2, is_number=True),
    Column("PENDING", _show("pending"), 1, is_number=True),
    Column("MAX PENDING", lambda row, _: _say_cap(row, "maxPending"), 6, is_number=True),
    Column(
        "OLDEST", lambda row, _: say_seconds(row.get("oldestPendingSeconds")), 4, is_number=True
    ),
    Column("WEIGHT", _show("weight"), 5, is_number=True),
    Column("PAUSED", _show("paused"), 3),
)
GAP: Final = 3
"""Blanks between two columns."""


def make_table(columns: Sequence[Column], rows: Iterable[Row], now: Callable[[], float]) -> Table:
    """Return the table of rows at the server's time ``now()`` (seconds since the epoch)."""
    return Table(columns, [[column.read(row, now()) for column in columns] for row in rows])


def measure(table: Table, count: Callable[[str], int] = len) -> list[int]:
    """Return the cells that each column takes with the gap behind it.

    ``count`` returns how many cells a text takes.
    """
    return [
        max([count(column.title), *(count(row[place]) for row in table.rows)]) + GAP
        for place, column in enumerate(table.columns)
    ]


def fit(table: Table, width: int, count: Callable[[str], int] = len) -> Table:
    """Return the table with as many columns as ``width`` cells hold; those of rank 0 always stay.

    ``count`` is that of ``measure``.
    """
    widths = measure(table, count)
    kept = [*range(len(table.columns))]
    while sum(widths[place] for place in kept) - GAP > width:
        # of equal rank the one that stands last goes first
        worst = max(kept, key=lambda place: (table.columns[place].rank, place))
        if table.columns[worst].rank == 0:
            break
        kept.remove(worst)
    return Table(
        [table.columns[place] for place in kept],
        [[row[place] for place in kept] for row in table.rows],
    )


def align(
    table: Table,
    count: Callable[[str], int] = len,
    paint: Callable[[str], str] = lambda text: text,
) -> list[str]:
    """Return the table's lines, nothing cut; ``count`` is that of ``measure``.

    ``paint`` puts what takes no cell around a text: a colour.
    """
    widths = measure(table, count)
    lines = []
    for texts in ([column.title for column in table.columns], *table.rows):
        line = ""
        for text, width, column in zip(texts, widths, table.columns, strict=True):
            blank = " " * (width - GAP - count(text))
            painted = paint(text)
            line += (blank + painted if column.is_number else painted + blank) + " " * GAP
        lines.append(line.rstrip())
    return lines
