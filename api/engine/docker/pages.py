"""Reads a list of containers page by page: nothing else bounds what the engine answers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from api.engine.errors import EngineRefusedError

Rows = list[dict[str, Any]]

_FIRST: Final = 128
"""Rows: one may take 0.7 MB, where its texts are all of characters that Go escapes."""
_MOST: Final = 10_000
_GROWTH: Final = 16
"""Each page costs the engine a look at every container: 0.1 of what 10,000 rows cost it."""
_BYTES: Final = 8 << 20
"""What a page is meant to have; read and parsed it takes some three times as much memory."""


async def read_pages(
    ask: Callable[[Mapping[str, str]], Awaitable[tuple[Rows, int]]],
    filters: Mapping[str, Sequence[str]],
) -> AsyncIterator[Rows]:
    """Yield the containers that ``filters`` name, newest first, in pages.

    ``ask`` sends a list's parameters and returns its rows and their bytes. What is created
    meanwhile is in no page. A container may be in two if a whole page was removed meanwhile.
    """
    limit, seen = _FIRST, list[str]()
    while True:
        given = {**filters, "before": seen[-1:]}
        shown = json.dumps({key: list(values) for key, values in given.items() if values})
        try:
            rows, size = await ask({"all": "1", "limit": str(limit), "filters": shown})
        except EngineRefusedError as error:
            if not seen or seen[-1] not in error.message:
                raise
            seen.pop()  # it was removed meanwhile; those after it come after the one before, too
            continue
        yield rows
        if len(rows) < limit:
            return
        seen = [row["Id"] for row in rows]
        limit = max(1, min(_GROWTH * limit, limit * _BYTES // max(size, 1), _MOST))


def read_rows(payload: bytes) -> tuple[Rows, int]:
    """Return the rows of a list and its size in bytes."""
    return (json.loads(payload) if payload else None) or [], len(payload)
