"""Where filter configs come from, and one look at what is there now."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.config.faults import ConfigError, Fault
from api.config.strict_yaml import MAX_BYTES

YAML_SUFFIXES = (".yaml", ".yml")
_MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class File:
    """A file's name as the operator knows it, and its content or why there is none.

    Of a file larger than is acceptable one byte more than that is kept.
    """

    name: str
    content: bytes = b""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """All files of a source at one moment; ``fingerprint`` changes when any of them does."""

    files: tuple[File, ...]
    fingerprint: str


def look(path: Path) -> Look:
    """Read the file at ``path``, or the YAML files right in the directory there.

    Hidden files are left out, as are those of other suffixes. Raises ``ConfigError`` if there
    is nothing to read; a file that cannot be read says so itself.
    """
    try:
        files = tuple(_read(path))
    except OSError as error:
        raise ConfigError([Fault(str(path), error.strerror or "cannot be read")]) from None
    if not files:
        raise ConfigError([Fault(str(path), "no *.yaml or *.yml file in this directory")])
    state = hashlib.sha256()
    for file in files:
        for part in (file.name.encode(errors="replace"), file.content, str(file.failure).encode()):
            state.update(len(part).to_bytes(8))
            state.update(part)
    return Look(files, state.hexdigest())


def _read(path: Path) -> Iterator[File]:
    if not path.is_dir():
        yield _read_file(path)
        return
    names = sorted(n for n in os.listdir(path) if _is_config(n))  # noqa: PTH208 - names alone
    if len(names) > _MAX_FILES:
        raise ConfigError([Fault(str(path), f"more than {_MAX_FILES} files")])
    for name in names:
        if not (path / name).is_dir():
            yield _read_file(path / name)


def _is_config(name: str) -> bool:
    return name.endswith(YAML_SUFFIXES) and not name.startswith(".")


def _read_file(path: Path) -> File:
    try:
        if path.exists() and not path.is_file():
            return File(str(path), failure="not a regular file")
        with path.open("rb") as file:
            return File(str(path), file.read(MAX_BYTES + 1))
    except OSError as error:
        return File(str(path), failure=error.strerror or "cannot be read")
