"""Request paths: from the bytes on the wire to what tokens, filters and labels mean by a path."""

import re
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

JOBS: Final = "/job"
"""Documents are posted to this path and below it, and jobs are shown below it."""
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})|%2[fF]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Separators of lines and marks of direction would mislead whoever reads a label or a log.
_MISLEADING: Final = re.compile("[\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def read_path(raw: str) -> str:
    """Return a raw request path percent-decoded and without a trailing slash.

    Raises ``Problem`` 400 ``InvalidPath`` for a path that two programs could read differently:
    one with empty or dot segments, an encoded slash, control characters, or not in UTF-8.
    """
    if _BAD_ESCAPE.search(raw):
        raise _refuse("holds an invalid escape or an encoded slash")
    try:
        path = unquote(raw, errors="strict").removesuffix("/")
    except UnicodeDecodeError:
        raise _refuse("is not UTF-8") from None
    if _CONTROL.search(path) or _MISLEADING.search(path):
        raise _refuse("holds control characters")
    if {"", ".", ".."} & set(path.split("/")[1:]):
        raise _refuse("holds an empty or a dot segment")
    return path


def read_job_id(request: web.Request) -> str:
    """Return the ``{id}`` of the request's path, percent-decoded and without a trailing slash.

    It may be any text but the empty one; ``Jobs.find`` decides whether it is a name at all.
    """
    return request.match_info["id"].removesuffix("/")


def _refuse(fault: str) -> Problem:
    return Problem(400, ProblemReason.INVALID_PATH, f"the request path {fault}")
