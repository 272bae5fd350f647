"""The shims of a private engine: the processes between containerd and each container."""

from contextlib import suppress
from pathlib import Path

from tests.support.private_engine import PrivateEngine


def find_shims(engine: PrivateEngine) -> dict[str, int]:
    """Return the pid of each running container's shim by the container's full id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_shim = "containerd-shim" in words[0] and "-id" in words
            if is_shim and any(str(engine.folder) in word for word in words):
                found[words[words.index("-id") + 1]] = int(entry.name)
    return found
