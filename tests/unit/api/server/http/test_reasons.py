"""Reasons are words of their own, and the code raises each with a status that it declares."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import api.server
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason


def list_raised() -> Iterator[tuple[str, int, str]]:
    """Yield file, status and member of every problem whose status and reason are written out."""
    for file in sorted(Path(api.server.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("Problem" | "_refuse"),
                    args=[
                        ast.Constant(int(code)),
                        ast.Attribute(value=ast.Name("ProblemReason"), attr=member),
                        *_,
                    ],
                ):
                    yield file.name, code, member


def test_a_reason_equals_its_text_and_is_one_upper_camel_case_word() -> None:
    assert ProblemReason("NameTaken") is ProblemReason.NAME_TAKEN
    assert str(ProblemReason.NAME_TAKEN) == "NameTaken"
    for reason in ProblemReason:
        assert re.fullmatch(r"([A-Z][a-z0-9]+)+", reason)
        assert reason.name == re.sub(r"(?<!^)(?=[A-Z])", "_", reason).upper()
        assert reason.codes
        assert all(400 <= code < 600 for code in reason.codes)


def test_every_problem_in_the_source_has_a_status_that_its_reason_declares() -> None:
    raised = list(list_raised())
    assert len(raised) > 20
    assert [r for r in raised if r[1] not in ProblemReason[r[2]].codes] == []


def test_a_problem_takes_a_reasons_text_and_no_other() -> None:
    assert Problem(409, "NameTaken", "x").reason is ProblemReason.NAME_TAKEN
    with pytest.raises(ValueError, match="Nope"):
        Problem(409, "Nope", "x")
