"""How a run failed: by what the filter raises itself, or by jq, whose texts show values."""

import json


class JqError(ValueError):
    """A run failed; ``is_raised`` tells that the program said so itself, with ``error``."""

    def __init__(self, message: str, *, is_raised: bool) -> None:
        super().__init__(message)
        self.is_raised = is_raised


def define_marking(mark: str) -> str:
    """Return the jq that puts ``mark`` on each string or object that ``error`` raises."""
    return (
        f'def __error(f): error(f); def __raise: if type == "string" then __error("{mark}" + .)'
        f' elif type == "object" then __error(. + {{"{mark}": 1}}) else __error(.) end;'
        " def error(f): f | __raise; def error: __raise;"
    )


def is_same_but_marked(marked: str, failure: str, mark: str) -> bool:
    """Tell whether ``marked`` carries ``mark``, and is ``failure`` without it."""
    if mark not in marked:
        return False
    parsed = _parse(marked)
    if isinstance(parsed, dict):
        parsed.pop(mark, None)
        return parsed == _parse(failure)
    return marked.replace(mark, "") == failure


def _parse(failure: str) -> object:
    """Return an object that was raised, or None."""
    try:
        return json.loads(failure) if failure.startswith("{") else None
    except (ValueError, RecursionError):
        return None
