"""Where filter configs come from, and a snapshot of what is there now."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.config.faults import ConfigError, ConfigFault
from api.config.strict_yaml import MAX_BYTES

YAML_SUFFIXES = (".yaml", ".yml")
_MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file's name as the operator knows it, and its content or why there is none.

    Of a file larger than is acceptable one byte more than that is kept.
    """

    name: str
    content: bytes = b""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """All files of a source at one moment; ``fingerprint`` changes when any of them does."""

    files: tuple[SourceFile, ...]
    fingerprint: str


def read_source(path: Path) -> SourceSnapshot:
    """Read the file at ``path``, or the YAML files right in the directory there.

    Hidden files are left out, as are those of other suffixes. Raises ``ConfigError`` if there
    is nothing to read; a file that cannot be read says so itself.
    """
    try:
        files = tuple(_read(path))
    except OSError as error:
        raise ConfigError([ConfigFault(str(path), error.strerror or "cannot be read")]) from None
    if not files:
        raise ConfigError([ConfigFault(str(path), "no *.yaml or *.yml file in this directory")])
    state = hashlib.sha256()
    for file in files:
        for part in (file.name.encode(errors="replace"), file.content, str(file.failure).encode()):
            state.update(len(part).to_bytes(8))
            state.update(part)
    return SourceSnapshot(files, state.hexdigest())


def _read(path: Path) -> Iterator[SourceFile]:
    if not path.is_dir():
        yield _read_file(path)
        return
    names = sorted(n for n in os.listdir(path) if _is_config(n))  # noqa: PTH208 - names alone
    if len(names) > _MAX_FILES:
        raise ConfigError([ConfigFault(str(path), f"more than {_MAX_FILES} files")])
    for name in names:
        if not (path / name).is_dir():
            yield _read_file(path / name)


def _is_config(name: str) -> bool:
    return name.endswith(YAML_SUFFIXES) and not name.startswith(".")


def _read_file(path: Path) -> SourceFile:
    try:
        if path.exists() and not path.is_file():
            return SourceFile(str(path), failure="not a regular file")
        with path.open("rb") as file:
            return SourceFile(str(path), file.read(MAX_BYTES + 1))
    except OSError as error:
        return SourceFile(str(path), failure=error.strerror or "cannot be read")
