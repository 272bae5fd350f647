"""Checks who else on the host can read or write the files that decide what may run."""

import stat
from contextlib import suppress
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


def warn_of_exposure(path: Path, *, secret: bool = False) -> None:
    """Log a warning for each fault that ``describe_exposure`` finds at ``path``."""
    with suppress(OSError):
        for fault in describe_exposure(path, secret=secret):
            _log.warning("a file is exposed to others", fault=fault)


def describe_exposure(path: Path, *, secret: bool = False) -> list[str]:
    """Return what is unsafe about the file or directory at ``path``, each as a sentence.

    Only its owner and root may write it, and only they may read a ``secret`` one. Its directory
    is checked, too: who can write there can replace the file. The files of a directory are
    checked with it, not those of its subdirectories. Raises ``OSError`` if ``path`` has no status.
    """
    real = path.resolve(strict=True)
    inside = [p for p in sorted(real.iterdir()) if p.exists()] if real.is_dir() else []
    places = dict.fromkeys((path.parent, real.parent, real, *inside))
    faults = [fault for place in places if (fault := _find_writers(place))]
    if secret and real.stat().st_mode & stat.S_IROTH:
        faults.append(f"{path} can be read by everybody")
    return faults


def _find_writers(path: Path) -> str | None:
    found = path.stat()
    mode = found.st_mode
    # in a sticky directory others can add files, not replace them
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return None
    if mode & stat.S_IWOTH:
        return f"{path} can be written by everybody"
    # a user's private group has no other member; its number is mostly the user's own
    if mode & stat.S_IWGRP and found.st_gid not in (0, found.st_uid):
        return f"{path} can be written by its group"
    return None
