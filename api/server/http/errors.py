"""Makes problems of the errors of the engine and of aiohttp, and answers of problems."""

import json
import re
from typing import Final

from aiohttp import web

from api.engine.errors import OUTAGES, EngineError, EngineRefusedError, NotFoundError
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

RETRY_AFTER: Final = {"Retry-After": "5"}
"""For every answer after which another attempt may succeed."""

# Docker 20.10 answers 500 to a manifest that it cannot parse, newer engines 400.
_BLAMES_MANIFEST: Final = re.compile(r"(?i)json: |invalid |unknown |--")
# ENAMETOOLONG, and a depth that the engine follows no further: a working directory's or a mount's.
_BLAMES_PATH: Final = re.compile(r"file name too long|evalSymlinksInScope: too many links")
# An engine or a registry has no such image, or has it for another platform. A 404 can be about a
# network or a container instead, whose name has no spaces.
_IMAGE_FAULTS: Final = (
    (
        ProblemReason.PLATFORM_MISMATCH,
        re.compile(
            r"(?i)^image with reference \S+ was found but .*platform|no matching manifest for "
            r"|no match for platform|^image operating system \S+ cannot be used"
        ),
    ),
    (ProblemReason.IMAGE_NOT_FOUND, re.compile(r"(?i)^no such image")),
)
_OF_AIOHTTP: Final = {
    400: (ProblemReason.INVALID_REQUEST, "the request is not valid HTTP"),
    404: (ProblemReason.NOT_FOUND, "there is nothing at this path"),
    405: (ProblemReason.METHOD_NOT_ALLOWED, "this path does not take this method"),
    413: (ProblemReason.TOO_LARGE, "the body is larger than 1 MiB"),
    417: (ProblemReason.EXPECTATION_FAILED, "only Expect: 100-continue is known"),
}


def explain_refusal(error: EngineError) -> Problem:
    """Return what a client is told when its container could not be created.

    The engine's text reaches the client only if it is about the client's own manifest.
    """
    if not isinstance(error, EngineRefusedError) or isinstance(error, OUTAGES):
        return explain_outage(error)
    if isinstance(error, NotFoundError) and (reason := find_image_fault(error.message)):
        return Problem(400, reason, error.message)
    if error.status < web.HTTPInternalServerError.status_code or _BLAMES_MANIFEST.match(
        error.message
    ):
        return Problem(400, ProblemReason.ENGINE_REFUSED, error.message)
    if _BLAMES_PATH.search(error.message):
        # the engine's text shows where it keeps its files
        message = "the engine cannot make a path of the manifest: it, or a part of it, is too long"
        return Problem(400, ProblemReason.ENGINE_REFUSED, message)
    return explain_outage(error)


def find_image_fault(message: str) -> ProblemReason | None:
    """Return what a 404's text says is wrong with an image, or None if it speaks of none."""
    return next((reason for reason, text in _IMAGE_FAULTS if text.search(message)), None)


def explain_outage(error: EngineError) -> Problem:
    """Return what a client is told of an engine that fails whatever the client asked for."""
    if isinstance(error, OUTAGES):
        message = "the Docker Engine cannot be reached or does not answer; try again later"
        return Problem(502, ProblemReason.ENGINE_UNAVAILABLE, message, headers=RETRY_AFTER)
    message = "the Docker Engine failed; the log of this service says why"
    return Problem(502, ProblemReason.ENGINE_FAILED, message, headers=RETRY_AFTER)


def explain_http(error: web.HTTPException) -> Problem:
    """Return a refusal of aiohttp's own (no route, wrong method, too large) as a problem."""
    is_ours = error.status >= web.HTTPInternalServerError.status_code
    fallback = ProblemReason.INTERNAL_ERROR if is_ours else ProblemReason.INVALID_REQUEST
    reason, message = _OF_AIOHTTP.get(error.status, (fallback, error.reason))
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    return Problem(error.status, reason, message, headers=headers)


def describe_problem(problem: Problem, request_id: str) -> dict[str, object]:
    """Return the JSON of a problem: that of an answer, or of the last line of a stream."""
    error = {
        "code": problem.code,
        "reason": problem.reason,
        "message": problem.message,
        **problem.details,
        "requestId": request_id,
    }
    return {"error": error}


def answer_problem(problem: Problem, request_id: str) -> web.Response:
    """Return ``{"error": {"code", "reason", "message", …, "requestId"}}`` as a response."""
    return web.Response(
        status=problem.code,
        text=json.dumps(describe_problem(problem, request_id), ensure_ascii=False),
        content_type="application/json",
        headers=dict(problem.headers),
    )
