"""What can be wrong with a config, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

FieldPath = tuple[str | int, ...]
"""Keys and indexes that lead to a field: ``("spec", "rules", 0)``."""


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One fault of a config and its place.

    ``file`` is as the operator named it; ``document`` counts YAML documents of the file from 1
    (0: none in particular); ``field`` is like ``spec.rules[0].expression``; ``line`` and
    ``column`` count from 1 in the file; ``inner`` is a place inside the field's own text, as
    jq gives it.
    """

    file: str
    message: str
    document: int = 0
    field: str = ""
    line: int | None = None
    column: int | None = None
    inner: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}" + ("" if self.column is None else f":{self.column}")
        parts = [place]
        if self.document:
            parts.append(f"document {self.document}")
        if self.field:
            parts.append(self.field)
        if self.inner:
            parts.append(self.inner)
        return ": ".join([*parts, self.message])


class ConfigError(Exception):
    """A config source that cannot be used; ``faults`` names everything found, at least one."""

    def __init__(self, faults: Sequence[ConfigFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def spell(path: FieldPath) -> str:
    """Return a field's path as ``spec.rules[0].message``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
