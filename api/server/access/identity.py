"""Whose request it is: the token in its header or, of the page, the one of its session."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import time
from typing import Final

import structlog
from aiohttp import hdrs, web

from api.server.access.sessions import find_cookies
from api.server.access.token_store import TokenStore
from api.server.access.tokens import Grant
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason
from api.server.middleware import shorten

_log = structlog.get_logger(__name__)

TOKENS: Final = web.RequestKey("tokens", TokenStore)
"""The tokens that may ask; not there where everybody may."""
CLOSE: Final[Mapping[str, str]] = {"Connection": "close"}
PAGE_HEADER: Final = "X-Requested-With"
PAGE: Final = "djd-ui"
"""What the page sends in it: a page of another origin cannot, unasked."""
_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


@dataclass(frozen=True, slots=True)
class Identity:
    """A token in force: its digest, what it allows, and how to ask for that once more."""

    digest: bytes
    grant: Grant
    look: Callable[[], Grant | None]


_IDENTITY: Final = web.RequestKey("identity", Identity)


def read_identity(request: web.Request) -> Identity | None:
    """Return whose request it is; None where there are no tokens, and on public routes."""
    return request[_IDENTITY] if _IDENTITY in request else None  # noqa: SIM401 - typed


def is_still_granted(request: web.Request) -> bool:
    """Tell whether what the sender may do is what it was when the request came."""
    identity = read_identity(request)
    return identity is None or identity.look() == identity.grant


def identify(request: web.Request, store: TokenStore) -> Identity:
    """Return whose request it is, which ``read_identity`` tells from now on.

    An ``Authorization`` header wins over a cookie. Raises ``Problem`` 401 without a token in force,
    403 ``HeaderMissing`` for a change by cookie that may not come from the page.
    """
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    cookies = find_cookies(request.headers.getall(hdrs.COOKIE, []))
    if values:
        found = _find_bearer(values, store)
        message, event = "the bearer token is not known", "token refused"
    elif cookies:
        found = _find_session(cookies, store)
        message, event = "the session has ended, or is none", "session refused"
    else:
        raise challenge("a bearer token is needed")
    if found is None:
        log_refusal(event, request)
        raise challenge(message, error="invalid_token")
    if not values:
        check_page(request)
    request[_IDENTITY] = found
    return found


def _find_bearer(values: list[str], store: TokenStore) -> Identity | None:
    kind, _, text = values[0].partition(" ")
    if len(values) > 1 or kind.lower() != "bearer":
        return None
    token = text.strip().encode(errors="surrogateescape")
    grant = store.identify(token)
    if grant is None:
        return None
    return Identity(sha256(token).digest(), grant, lambda: store.identify(token))


def _find_session(cookies: list[str], store: TokenStore) -> Identity | None:
    def look() -> Grant | None:
        found = store.recall(cookies[0], time())
        return found and found[1]

    # of two, one may be of a page that is not ours
    found = store.recall(cookies[0], time()) if len(cookies) == 1 else None
    return found and Identity(*found, look)


def check_page(request: web.Request) -> None:
    """Refuse a change that is asked for by cookie and may not come from the page.

    A browser sends the cookie with whatever it is told to send here; a page of another origin
    cannot add this header, for this service permits none to.
    """
    if request.method in _READING or request.headers.getall(PAGE_HEADER, []) == [PAGE]:
        return
    message = f"a change that is asked for by cookie needs the header {PAGE_HEADER}: {PAGE}"
    raise Problem(403, ProblemReason.HEADER_MISSING, message, headers=CLOSE)


def log_refusal(event: str, request: web.Request) -> None:
    """Note who is refused, and where; never with what."""
    _log.warning(event, remote=request.remote, path=shorten(request.rel_url.raw_path))


def challenge(message: str, *, error: str = "") -> Problem:
    """Return the refusal of who has no token in force; it closes the connection."""
    words = 'Bearer realm="docker-job-dispatcher"' + (f', error="{error}"' if error else "")
    headers = {hdrs.WWW_AUTHENTICATE: words, **CLOSE}
    return Problem(401, ProblemReason.UNAUTHORIZED, message, headers=headers)
