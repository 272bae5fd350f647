"""Query parameters: each known, none twice, and values that say what is wrong with them."""

import re
from collections.abc import Collection
from typing import Final

from multidict import MultiMapping

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.v1.text import escape_hidden
from api.v1.times import SECOND, parse_duration

_SHOWN: Final = 50
_SWITCH: Final = {"true": True, "false": False}

Parameters = dict[str, list[str]]
"""The values of each parameter that was given."""


def read_parameters(
    query: MultiMapping[str], known: Collection[str], *, many: Collection[str] = ()
) -> Parameters:
    """Return the parameters of a request; those in ``many`` may be repeated.

    Raises ``Problem`` 400 ``InvalidQuery`` for one that is not ``known``: a misspelt filter must
    not show everything, nor a misspelt dry run record a job.
    """
    found: Parameters = {}
    for name, value in query.items():
        if name not in known:
            words = ", ".join(known) or "none"
            raise refuse_parameter(name, f"is not known here; known: {words}")
        if name in found and name not in many:
            raise refuse_parameter(name, "is given more than once")
        found.setdefault(name, []).append(value)
    return found


def refuse_parameter(name: str, fault: str) -> Problem:
    """Return the refusal of a parameter; ``fault`` goes on after its name."""
    shown = escape_hidden(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")
    return Problem(
        400,
        ProblemReason.INVALID_QUERY,
        f"the parameter {shown!r} {fault}",
        {"parameter": shown},
    )


def read_switch(found: Parameters, name: str, *, default: bool) -> bool:
    """Return a parameter that is true or false."""
    if name not in found:
        return default
    value = found[name][0]
    if value not in _SWITCH:
        raise refuse_parameter(name, "is true or false")
    return _SWITCH[value]


def read_whole(found: Parameters, name: str, low: int, high: int, default: int) -> int:
    """Return a parameter that is a whole number."""
    if name not in found:
        return default
    value = found[name][0]
    if not re.fullmatch("[0-9]{1,9}", value) or not low <= int(value) <= high:
        raise refuse_parameter(name, f"is a whole number from {low} to {high}")
    return int(value)


def read_seconds(found: Parameters, name: str, most: float) -> float | None:
    """Return a duration in seconds, 0 to ``most``; None where it is not given."""
    if name not in found:
        return None
    duration = parse_duration(found[name][0])
    if duration is None or duration > most * SECOND:
        raise refuse_parameter(name, f"is 0 to {most:g} seconds, such as 30, 90s or 2m")
    return duration / SECOND
