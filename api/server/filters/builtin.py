"""The filter that serves when no other is given: the original's, and what its variables take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "JOB_TTL": {
        "pattern": "^([1-9][0-9]{0,8})?$",
        "takes": "whole seconds from 1 on (90, not 90s); without it there is no limit",
    },
    "JOB_RETRIES": {
        "pattern": "^(0|[1-9][0-9]{0,8})?$",
        "takes": "a whole number from 0 on; 2 without it",
    },
    "JOB_NAME_PREFIX": {
        "pattern": "^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,87})?$",
        "takes": "up to 88 letters, digits, '_', '.' or '-', a letter or digit first",
    },
    "JOB_IMAGE": {"pattern": r"^\S*$", "takes": "an image's name, without spaces"},
    "JOB_COMMAND": {
        "pattern": r"^(\S(.*\S)?)?$",
        "takes": "a program; its arguments come from the document",
    },
    "JOB_NETWORK": {"pattern": r"^\S*$", "takes": "a network's name, without spaces"},
}
"""As ``spec.variables`` of a config."""


def read_default() -> str:
    """Return the built-in filter's jq."""
    return (Path(__file__).parent / "jq" / "default.jq").read_text(encoding="utf-8")
