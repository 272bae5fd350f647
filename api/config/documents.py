"""The documents of a config source: each of a known kind, with a place for every fault in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.config import strict_yaml
from api.config.faults import ConfigFault, FieldPath, spell
from api.config.source import SourceFile
from api.config.strict_yaml import YamlDocument, YamlError

API_VERSION: Final = "docker-job-dispatcher/v1"
KINDS: Final = ("Filter", "Queue")
"""Every kind of document that may stand in a config source, whichever process reads it."""

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """One document of a known kind; ``file`` is as the operator named it."""

    file: str
    kind: str
    yaml: YamlDocument = field(repr=False)

    def blame(
        self, path: FieldPath, message: str, line: int | None = None, column: int | None = None
    ) -> ConfigFault:
        """Return a fault in a field; ``line`` and ``column`` count inside the field's jq text."""
        place = self.yaml.place(path)
        inner = "" if line is None else f"jq line {line}, column {column}"
        # only the lines of a literal block are the file's own
        row = place.line + line if place.literal and line is not None else place.line
        return ConfigFault(self.file, message, self.yaml.number, spell(path), row, inner=inner)

    def parse(self, model: type[ModelT]) -> ModelT | list[ConfigFault]:
        """Return the document as ``model``, or everything that is wrong with it."""
        try:
            return model.model_validate(self.yaml.value)
        except ValidationError as error:
            return [
                self.blame(tuple(p for p in detail["loc"] if p != "[key]"), _word(detail))
                for detail in error.errors(include_url=False, include_context=False)
            ]


def read_documents(file: SourceFile) -> tuple[list[ConfigDocument], list[ConfigFault]]:
    """Return the documents of a YAML file, and why some or all of it is none."""
    if (fault := find_unreadable(file)) is not None:
        return [], [fault]
    try:
        documents = strict_yaml.load(file.content)
    except YamlError as error:
        path = spell(error.path)
        return [], [
            ConfigFault(file.name, error.message, error.document, path, error.line, error.column)
        ]
    if not documents:
        return [], [ConfigFault(file.name, "no document in this file")]
    found: list[ConfigDocument] = []
    faults: list[ConfigFault] = []
    for document in documents:
        kind = document.value.get("kind") if isinstance(document.value, dict) else None
        named = ConfigDocument(file.name, str(kind), document)
        if kind in KINDS:
            found.append(named)
        else:
            faults.append(_explain_kind(named))
    return found, faults


def find_unreadable(file: SourceFile) -> ConfigFault | None:
    """Return why ``file`` cannot be read, or None."""
    if file.failure is not None:
        return ConfigFault(file.name, file.failure)
    if len(file.content) > strict_yaml.MAX_BYTES:
        return ConfigFault(file.name, f"larger than {strict_yaml.MAX_BYTES} bytes")
    return None


def explain_clash(value: str, first_file: str, first: ConfigDocument | None) -> str:
    """Return what to say of a name or a path that an earlier document has already."""
    other = first_file + (f", document {first.yaml.number}" if first else "")
    return f"{value} is taken already by {other}"


def _explain_kind(document: ConfigDocument) -> ConfigFault:
    value = document.yaml.value
    if not isinstance(value, dict):
        return document.blame((), "a document must be an object, with apiVersion and kind")
    if value.get("kind") is None:
        return document.blame(("kind",), "required, but absent")
    return document.blame(("kind",), f"expected {_list(KINDS)}")


def _list(words: Sequence[str]) -> str:
    return " or ".join(f"'{word}'" for word in words)


def _word(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "unknown field"
        case "missing":
            return "required, but absent"
        case _:
            return detail["msg"].removeprefix("Value error, ")
