"""Times as the engine writes them, and as integer nanoseconds since the Unix epoch."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000_000
"""Nanoseconds."""

_TIME: Final = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9})\d*)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)"
)
_DURATION: Final = re.compile(
    r"(?P<whole>\d{1,10})(?:\.(?P<fraction>\d{1,9}))?(?P<unit>[smhd]?)", re.ASCII
)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
LONGEST_DURATION: Final = 36_500 * 86_400 * SECOND
"""Nanoseconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str | None) -> int | None:
    """Return an engine time (RFC 3339, up to nanoseconds) as nanoseconds since the epoch.

    ``None`` for the engine's zero time, an empty text, and a text that is no time at all: all
    three mean that nothing is known to have happened.
    """
    match = _TIME.fullmatch(text or "")
    if match is None or match["seconds"].startswith("0001-"):
        return None
    zone = "+00:00" if match["zone"] == "Z" else match["zone"]
    try:
        moment = datetime.fromisoformat(match["seconds"] + zone)
    except ValueError:
        return None
    since = moment - _EPOCH
    whole = since.days * 86_400 + since.seconds
    return whole * SECOND + int((match["fraction"] or "").ljust(9, "0"))


def format_time(nanoseconds: int | None) -> str | None:
    """Return nanoseconds since the epoch as RFC 3339 in UTC with all nine digits."""
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, SECOND)
    return f"{_format_second(seconds)}.{fraction:09d}Z"


@lru_cache(4096)
def _format_second(seconds: int) -> str:
    """Return a whole second; many jobs share one, and a list shows a thousand."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def parse_duration(text: str) -> int | None:
    """Return ``90``, ``90s``, ``1.5m``, ``2h`` or ``1d`` in nanoseconds.

    ``None`` for anything else, and for more than 36,500 days: with a time that makes a time still.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = int(match["whole"]) * SECOND + int((match["fraction"] or "").ljust(9, "0"))
    duration = seconds * _UNITS[match["unit"]]
    return duration if duration <= LONGEST_DURATION else None


def format_duration(nanoseconds: int) -> str:
    """Return a duration in seconds, with as many digits as it needs: ``90``, ``1.5``."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    return f"{seconds}.{fraction:09d}".rstrip("0") if fraction else str(seconds)


def count_seconds(nanoseconds: int | None) -> float | None:
    """Return a duration in seconds for a JSON answer, a whole number where it is one."""
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, SECOND)
    return nanoseconds / SECOND if fraction else seconds
