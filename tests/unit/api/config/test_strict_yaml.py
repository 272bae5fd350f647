"""YAML: what two readers may understand in two ways is refused, with its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.config.strict_yaml import MAX_BYTES, YamlError, load


def read(text: str) -> object:
    [document] = load(text.encode())
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no\nb: off\nc: y", {"a": "no", "b": "off", "c": "y"}),
        ("a: true\nb: False\nc: ~\nd:", {"a": True, "b": False, "c": None, "d": None}),
        ("[1, -2, 1.5, 1e3, .5, 0]", [1, -2, 1.5, 1000.0, 0.5, 0]),
        ("a: 12:30:45\nb: 190:20:30", {"a": "12:30:45", "b": "190:20:30"}),
        ("a: 2026-01-02\nb: 1.2.3", {"a": "2026-01-02", "b": "1.2.3"}),
        ("a: '010'\nb: \"0x1f\"", {"a": "010", "b": "0x1f"}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("{a: {b: [c, {d: e}]}}", {"a": {"b": ["c", {"d": "e"}]}}),
        ('"<<": 1', {"<<": 1}),
        ("a: =", {"a": "="}),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "message", "line", "column", "path"),
    [
        ("a: 1\nb: *x", "aliases", 2, 4, ("b",)),
        ("a:\n  - &x 1", "anchors", 2, 5, ("a", 0)),
        ("a: !!python/object/apply:os.system [id]", "tags", 1, 4, ("a",)),
        ("a: !!str 1", "tags", 1, 4, ("a",)),
        ("a: !local 1", "tags", 1, 4, ("a",)),
        ("a:\n  b: 1\n  b: 2", "stands twice", 3, 3, ("a",)),
        ("a: 1\n<<: {b: 1}", "merge", 2, 1, ()),
        ("1: a", "quoted", 1, 1, ()),
        ("null: a", "quoted", 1, 1, ()),
        ("[a]: b", "key must be", 1, 1, ()),
        ("a: 010", "reads differently", 1, 4, ("a",)),
        ("a: 0x1F", "reads differently", 1, 4, ("a",)),
        ("a: 0o17", "reads differently", 1, 4, ("a",)),
        ("a: .inf", "reads differently", 1, 4, ("a",)),
        ("a: .NaN", "reads differently", 1, 4, ("a",)),
        ("a: 12345678901234567890", "reads differently", 1, 4, ("a",)),
        ("a: 1e999", "too large", 1, 4, ("a",)),
        ("a: [1", "did not find", 1, None, None),
        ("a: 'x", "end of stream", 1, None, None),
        ("a:\n\t- b", "cannot start", 2, None, None),
        ("a: b: c", "not allowed", 1, None, None),
    ],
)
def test_each_fault_is_named_with_its_place(
    text: str, message: str, line: int, column: int | None, path: object
) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        load(b"# first\n---\nx: 1\n---\n" + text.encode())
    error = caught.value
    if column is not None:
        assert (error.line, error.column) == (line + 4, column)
        assert error.path == path
    assert error.document == 2


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_a_fault_not_a_crash(opening: str) -> None:
    with pytest.raises(YamlError):
        load((opening * 3000).encode())


def test_large_files_and_other_encodings_are_refused() -> None:
    with pytest.raises(YamlError, match="larger than"):
        load(b"#" * (MAX_BYTES + 1))
    with pytest.raises(YamlError, match="UTF-8") as caught:
        load(b"a: 1\nb: \xff")
    assert caught.value.line == 2


def test_documents_are_counted_as_they_stand_in_the_file() -> None:
    documents = load(b"---\n---\na: 1\n---\n# nothing\n---\nb: 2\n")
    assert [(d.number, d.value) for d in documents] == [(2, {"a": 1}), (4, {"b": 2})]
    assert documents[1].place(("b", "absent")).line == 7


@settings(max_examples=300, deadline=None)
@given(st.text("a1:-[]{}&*!|>'\"#%@`?,.~<= \n\t", max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load(text.encode(errors="replace"))
    except YamlError as error:
        refusal = error
    else:
        return
    assert refusal.line >= 1
    assert refusal.message
