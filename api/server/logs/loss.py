"""Whether the beginning of a log may have been rotated away before it was opened. No I/O.

An engine does not say so. What can be known: it removes the oldest of its files when all are full,
so that a log of which less was there when it was opened is whole.
"""

import string
from collections.abc import Sequence
from typing import Final

from api.engine.interface import LogFrame

_ENTRY: Final = 80
"""Bytes that a driver keeps of an entry beside what was written: json-file's keys and time."""
_ESCAPE: Final = 5
"""Bytes that json-file adds for what is no plain character (moby's ``jsonlog``)."""
_PLAIN: Final = bytes(
    {*string.printable.encode()} - {*string.whitespace.encode(), *b'"\\<>&'} | {*b" "}
) + bytes(range(0x80, 0x100))


class Beginning:
    """The entries of a log from its first on; it was opened at ``opened_at`` (ns).

    ``room`` is how many bytes it holds in any case; None: not known, or never rotated.
    """

    def __init__(self, room: int | None, opened_at: int) -> None:
        self._room = room
        self._opened_at = opened_at

    def note(self, frames: Sequence[LogFrame]) -> bool:
        """Go on over entries; tell whether others may have been rotated away before the first."""
        for frame in frames:
            if self._room is None:
                return False
            if frame.time > self._opened_at:
                # it was written later: all before it was there
                self._room = None
                return False
            self._room -= measure(frame.data)
            if self._room <= 0:
                self._room = None
                return True
        return False


def measure(data: bytes) -> int:
    """Return how many bytes a driver keeps of an entry, at most."""
    return len(data) + _ENTRY + _ESCAPE * len(data.translate(None, _PLAIN))
