"""Refusals that come before any handler, and the plain answer to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection or a request is refused: a status, a word for programs, a sentence."""

    code: int
    reason: str
    message: str


TOO_MANY: Final = Refusal(503, "TooManyConnections", "too many connections are open")
TOO_SLOW: Final = Refusal(408, "HeaderTimeout", "the request's header did not arrive in time")
NOT_HTTP: Final = Refusal(400, "InvalidRequest", "the request is not valid HTTP")
TOO_LONG: Final = Refusal(431, "HeaderTooLarge", "the request line or a header is too long")
FAILED: Final = Refusal(500, "InternalError", "this service failed; its log says why")

Answer = Callable[[Refusal | web.HTTPException, str], web.Response]
"""Makes the answer to a refusal of ours or of aiohttp's; the text is the request's id."""


def answer_plainly(refusal: Refusal | web.HTTPException, request_id: str) -> web.Response:
    """Return a refusal as plain text."""
    del request_id
    if isinstance(refusal, web.HTTPException):
        return web.Response(status=refusal.status, text=f"{refusal.reason}\n")
    return web.Response(status=refusal.code, text=f"{refusal.reason}: {refusal.message}\n")
