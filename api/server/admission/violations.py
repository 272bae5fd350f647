"""What is wrong with a manifest: violations, each at a JSON pointer, and their one answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, NoReturn

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

MOST: Final = 50
"""Violations in one answer; the rest of a manifest with more is not looked at."""
_INVALID: Final = ProblemReason.INVALID_MANIFEST


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong: where, what, and for a refusal of a profile, which rule and the way out.

    ``reason`` is the refusal's reason when nothing of another kind is wrong.
    """

    pointer: str
    message: str
    rule: str | None = None
    allow: str | None = None
    reason: str = _INVALID

    def describe(self) -> dict[str, str]:
        """Return the JSON form."""
        members = {
            "pointer": self.pointer,
            "message": self.message,
            "rule": self.rule,
            "allow": self.allow,
        }
        return {key: text for key, text in members.items() if text is not None}


def refuse_form(faults: Iterable[Violation], denied: Iterable[Violation]) -> NoReturn:
    """Raise ``Problem`` 400 for ``faults``, at least one; the reason is the one that all share.

    What the profile would refuse besides is listed behind them.
    """
    form = list(islice(faults, MOST))
    reasons = {violation.reason for violation in form}
    reason = reasons.pop() if len(reasons) == 1 else _INVALID
    found = list(islice(chain(form, denied), MOST))
    raise Problem(400, reason, _summarise(found), _detail(found))


def refuse_denied(profile: str, violations: Iterable[Violation]) -> None:
    """Raise ``Problem`` 403 ``Denied`` if there is a violation."""
    found = list(islice(violations, MOST))
    if not found:
        return
    first = found[0]
    message = f"profile {profile}, rule {first.rule}: {_summarise(found)}"
    raise Problem(403, ProblemReason.DENIED, message, {"profile": str(profile)} | _detail(found))


def _summarise(found: list[Violation]) -> str:
    first = found[0]
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{first.pointer or 'the manifest'}: {first.message}{others}"


def _detail(found: list[Violation]) -> dict[str, object]:
    return {"violations": [violation.describe() for violation in found]}
