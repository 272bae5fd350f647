"""Request paths: from the bytes on the wire to the ``$PATH`` that filters see."""

import re
from typing import Final
from urllib.parse import unquote

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})|%2[fF]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# What may end in a label and in a log: separators of lines and of directions mislead a reader.
_MISLEADING: Final = re.compile("[\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def read_job_path(raw: str) -> str:
    """Return a raw request path percent-decoded and without a trailing slash.

    Raises ``Problem`` 400 ``InvalidPath`` for a path that two readers could take for two paths:
    empty and dot segments, an encoded slash, control characters, what is not UTF-8.
    """
    if _BAD_ESCAPE.search(raw):
        raise _refuse("holds an escape that is none, or an encoded slash")
    try:
        path = unquote(raw, errors="strict").removesuffix("/")
    except UnicodeDecodeError:
        raise _refuse("is not UTF-8") from None
    if _CONTROL.search(path) or _MISLEADING.search(path):
        raise _refuse("holds control characters")
    if {"", ".", ".."} & set(path.split("/")[1:]):
        raise _refuse("holds an empty or a dot segment")
    return path


def _refuse(fault: str) -> Problem:
    return Problem(400, ProblemReason.INVALID_PATH, f"the request path {fault}")
