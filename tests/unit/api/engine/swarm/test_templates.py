"""Whatever a variable, a host name or a path says, it arrives unchanged."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.engine.swarm.templates import escape, escape_variable

_LITERAL = re.compile(r'\{\{("(?:[^"\\\n]|\\.)*")\}\}')

TEXTS = st.text(st.one_of(st.sampled_from('{{{}}"\\`-\n\t '), st.characters(codec="utf-8")))


def expand(template: str) -> str:
    """Do what Go does with a template whose only actions are string literals."""
    before, opening, _ = template.partition("{{")
    if not opening:
        return before
    found = _LITERAL.match(template, len(before))
    assert found, f"not an action of one literal: {template!r}"
    return before + str(json.loads(found[1])) + expand(template[found.end() :])


@given(TEXTS)
def test_a_template_yields_the_text_that_it_was_made_of(text: str) -> None:
    assert expand(escape(text)) == text


@pytest.mark.parametrize("text", ["", "plain", "{", "}}", "a{b}c", "ü \u2028 \x01"])
def test_a_text_without_an_opening_is_left_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_an_absolute_path_is_one_before_it_is_expanded() -> None:
    assert escape("/data/{{x}}/y") == '/data/{{"{{x}}/y"}}'


def test_the_name_of_a_variable_is_no_template() -> None:
    assert escape_variable("A{{B={{.Node.ID}}") == 'A{{B={{"{{.Node.ID}}"}}'
    assert escape_variable("A=b=c") == "A=b=c"


def test_many_openings_cost_one_action() -> None:
    """A manager parses each: 1.4 s for as many as variables have room for."""
    text = "{{" * 100_000
    assert len(escape(text)) == len(text) + len('{{""}}')
