"""Host paths: their one normal form, and which of them nothing may open."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

GUARDED: Final = (
    "/proc",
    "/sys",
    "/dev",
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/containers",
    "/run/credentials",
    "/run/crio",
    "/run/crun",
    "/run/dbus",
    "/run/libpod",
    "/run/lock",
    "/run/netns",
    "/run/podman",
    "/run/runc",
    "/run/systemd",
    "/run/udev",
    "/run/user",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/etc/containerd",
    "/etc/containers",
    "/etc/docker",
    "/etc/systemd",
)
"""Whoever holds one of these, a part of it or what it lies in, holds the host; ``/`` too.

The engine's own folders may lie elsewhere: ``EngineInfo.folders`` tells.
"""


def normalise(path: str) -> str | None:
    """Return the normal form of an absolute path, or ``None`` for what is none.

    Neither a relative path, nor one with ``..``, nor a Windows path has a normal form.
    """
    if not path.startswith("/") or "\\" in path or "\0" in path:
        return None
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    return None if ".." in segments else "/" + "/".join(segments)


def resolve(path: str) -> str:
    """Return where a path of a container leads, ``..`` followed; a relative one begins at ``/``."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return "/" + "/".join(segments)


def is_within(path: str, prefix: str) -> bool:
    """Tell whether ``path`` is ``prefix`` or lies below it; both in normal form."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def is_guarded(path: str, guarded: Iterable[str] = ()) -> bool:
    """Tell whether ``path`` (in normal form) is, holds or lies within a guarded path.

    Compared without case: a shared folder of macOS or Windows knows none.
    """
    folded = _fold(path)
    kept = _fold_all((*GUARDED, *guarded))
    return any(is_within(folded, other) or is_within(other, folded) for other in kept)


@lru_cache(16)
def _fold_all(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_fold(normal) for normal in map(normalise, paths) if normal)


def _fold(path: str) -> str:
    """Return ``path`` without case, and without the link that every Linux has at ``/var/run``."""
    folded = path.casefold()
    return folded.removeprefix("/var") if is_within(folded, "/var/run") else folded
