"""Host paths: their one normal form, and which of them nothing may open."""

from collections.abc import Iterable
from typing import Final

GUARDED: Final = (
    "/proc",
    "/sys",
    "/dev",
    "/run/docker.sock",
    "/run/containerd",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/etc/docker",
)
"""Whoever holds one of these, a part of it or what it lies in, holds the host; ``/`` too."""


def normalise(path: str) -> str | None:
    """Return the normal form of an absolute path, or ``None`` for what is none.

    Neither a relative path, nor one with ``..``, nor a Windows path has a normal form.
    """
    if not path.startswith("/") or "\\" in path or "\0" in path:
        return None
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    return None if ".." in segments else "/" + "/".join(segments)


def is_within(path: str, prefix: str) -> bool:
    """Tell whether ``path`` is ``prefix`` or lies below it; both in normal form."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def is_guarded(path: str, guarded: Iterable[str] = ()) -> bool:
    """Tell whether ``path`` (in normal form) is, holds or lies within a guarded path.

    Compared without case: a shared folder of macOS or Windows knows none.
    """
    folded = _fold(path)
    kept = [_fold(normal) for normal in map(normalise, (*GUARDED, *guarded)) if normal]
    return any(is_within(folded, other) or is_within(other, folded) for other in kept)


def _fold(path: str) -> str:
    """Return ``path`` without case, and without the link that every Linux has at ``/var/run``."""
    folded = path.casefold()
    return folded.removeprefix("/var") if is_within(folded, "/var/run") else folded
