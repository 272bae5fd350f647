"""The routes by which the page logs in and out, and learns what it may do."""

from collections.abc import Mapping
from hashlib import sha256
from time import time
from typing import Final, TypedDict

from aiohttp import hdrs, web

from api.server.access.guard import read_grant
from api.server.access.identity import TOKENS, challenge, check_page, log_refusal, read_identity
from api.server.access.sessions import LIFETIME, NAME, find_cookies, spell_session
from api.server.access.tokens import Act, refer
from api.server.http import json_body
from api.server.http.answer import answer_json
from api.server.http.problem import Problem
from api.server.http.query import read_parameters
from api.server.http.reasons import ProblemReason

_MOST: Final = 4096
"""Bytes of a login; a token has 512 characters at most. Whoever has none may send one."""
_PRIVATE: Final[Mapping[str, str]] = {hdrs.CACHE_CONTROL: "no-store"}


class SessionView(TypedDict):
    """What the sender of a request may do.

    ``required``: a token is needed; ``name``: a reference to the sender's, which is no secret, null
    where there is none in force; ``paths``: null for no limit.
    """

    required: bool
    name: str | None
    scopes: list[str]
    paths: list[str] | None


async def show_session(request: web.Request) -> web.Response:
    """Show what the sender may do."""
    read_parameters(request.query, ())
    identity, grant = read_identity(request), read_grant(request)
    view: SessionView = {
        "required": TOKENS in request,
        "name": None if identity is None else refer(identity.digest),
        "scopes": [act.value for act in Act if act in grant.acts],
        "paths": [*grant.paths] or None,
    }
    return answer_json(200, view, _PRIVATE)


async def log_in(request: web.Request) -> web.Response:
    """Begin a session with the token in the body: a cookie that refers to it."""
    token = _read_token(await request.read())
    if TOKENS not in request or request[TOKENS].identify(token) is None:
        log_refusal("token refused", request)
        raise challenge("the token is not known", error="invalid_token")
    response = web.Response(status=204, headers=_PRIVATE)
    cookie = spell_session(sha256(token).digest(), time())
    _set_cookie(response, request, cookie, LIFETIME)
    return response


async def log_out(request: web.Request) -> web.Response:
    """Have the browser forget its session, be it in force or not."""
    if find_cookies(request.headers.getall(hdrs.COOKIE, [])):
        check_page(request)
    response = web.Response(status=204, headers=_PRIVATE)
    _set_cookie(response, request, "", 0)
    return response


def _read_token(body: bytes) -> bytes:
    if len(body) > _MOST:
        raise Problem(413, ProblemReason.TOO_LARGE, f"the body is larger than {_MOST} bytes")
    found = json_body.parse(body)
    token = found.get("token") if isinstance(found, dict) and len(found) == 1 else None
    if not isinstance(token, str):
        raise Problem(400, ProblemReason.INVALID_BODY, 'the body must be {"token": "…"}')
    return token.encode()


def _set_cookie(response: web.Response, request: web.Request, text: str, seconds: int) -> None:
    """Set the session cookie; a browser that came by TLS sends it by TLS alone from then on."""
    origin = request.headers.get(hdrs.ORIGIN, "")
    is_secure = request.secure or origin.startswith("https://")  # a proxy may have ended TLS
    response.set_cookie(
        NAME, text, max_age=seconds, path="/", secure=is_secure, httponly=True, samesite="Strict"
    )
