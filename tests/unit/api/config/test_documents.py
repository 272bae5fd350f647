"""Documents of a config source: each has a known kind, and each fault its place."""

from typing import Literal

import pytest

from api.config.documents import KINDS, read_documents
from api.config.models import ConfigModel
from api.config.source import SourceFile
from api.config.strict_yaml import MAX_BYTES


class Lamp(ConfigModel):
    kind: Literal["Filter"]
    is_lit: bool


def read(text: str) -> tuple[list[str], list[str]]:
    """Return the kinds found and the faults as texts."""
    documents, faults = read_documents(SourceFile("f.yaml", text.encode()))
    return [d.kind for d in documents], [str(f) for f in faults]


def test_every_known_kind_is_handed_on_whoever_reads_it() -> None:
    text = "---\n".join(f"kind: {kind}\n" for kind in KINDS)
    assert read(text) == (list(KINDS), [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kind: Fliter\n", "f.yaml:1: document 1: kind: expected 'Filter' or 'Queue'"),
        ("a: 1\n", "f.yaml:1: document 1: kind: required, but absent"),
        ("a: 1\nkind:\n", "f.yaml:2: document 1: kind: required, but absent"),
        ("[kind, Filter]\n", "f.yaml:1: document 1: a document must be an object, with"),
        ("text\n", "f.yaml:1: document 1: a document must be an object, with"),
        ("# nothing\n", "f.yaml: no document in this file"),
        ("a: [\n", "f.yaml:2:1: document 1"),
    ],
)
def test_what_is_no_document_of_a_known_kind_is_a_fault(text: str, fault: str) -> None:
    kinds, faults = read(text)
    assert kinds == []
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_one_bad_document_does_not_hide_the_next() -> None:
    kinds, faults = read("kind: Nothing\n---\nkind: Filter\n")
    assert (kinds, len(faults)) == (["Filter"], 1)


def test_a_file_that_cannot_be_read_says_why() -> None:
    for file, message in (
        (SourceFile("f.yaml", failure="Permission denied"), "Permission denied"),
        (SourceFile("f.yaml", b"#" * (MAX_BYTES + 1)), "larger than"),
    ):
        documents, [fault] = read_documents(file)
        assert documents == []
        assert message in fault.message


def test_a_model_names_every_field_at_fault_with_its_line() -> None:
    [document], _ = read_documents(SourceFile("f.yaml", b"kind: Filter\nisLit: 1\nmore: 2\n"))
    faults = document.parse(Lamp)
    assert isinstance(faults, list)
    assert [(f.field, f.line) for f in faults] == [("isLit", 2), ("more", 3)]
    assert "unknown field" in faults[1].message
    [document], _ = read_documents(SourceFile("f.yaml", b"kind: Filter\nisLit: true\n"))
    assert document.parse(Lamp) == Lamp.model_validate({"kind": "Filter", "isLit": True})
