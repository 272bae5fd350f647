"""Files that decide what may run, judged by who else on the host can read or write them."""

import stat
from contextlib import suppress
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


def warn_of_exposure(path: Path, *, secret: bool = False) -> None:
    """Log what ``describe_exposure`` finds, if anything can be looked at."""
    with suppress(OSError):
        for fault in describe_exposure(path, secret=secret):
            _log.warning("a file is exposed to others", fault=fault)


def describe_exposure(path: Path, *, secret: bool = False) -> list[str]:
    """Return what is unsafe about the file or directory at ``path``, each as a sentence.

    Its owner and root may write; of a ``secret`` one, only they may read. Its directory counts,
    too: who can write there can put another file in its place. Files right in a directory are
    judged with it. Raises ``OSError`` where ``path`` cannot be looked at.
    """
    real = path.resolve(strict=True)
    inside = [p for p in sorted(real.iterdir()) if p.exists()] if real.is_dir() else []
    places = dict.fromkeys((path.parent, real.parent, real, *inside))
    faults = [fault for place in places if (fault := _judge(place))]
    if secret and real.stat().st_mode & stat.S_IROTH:
        faults.append(f"{path} can be read by everybody")
    return faults


def _judge(path: Path) -> str | None:
    found = path.stat()
    mode = found.st_mode
    # others can only add to a sticky directory, not replace what is there
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return None
    if mode & stat.S_IWOTH:
        return f"{path} can be written by everybody"
    # a user's private group has nobody else in it, and most often the user's number
    if mode & stat.S_IWGRP and found.st_gid not in (0, found.st_uid):
        return f"{path} can be written by its group"
    return None
