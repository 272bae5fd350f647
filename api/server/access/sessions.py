"""Sessions of the page: a cookie that names a token by reference, signed, and never holds it.

Nothing else is kept of a session, so it outlives this process. The key of its signature is the
digest of its token, which is looked up at every request: it ends with its token, and may do what
that may.
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from api.server.access.tokens import Grant, Tokens, refer

NAME: Final = "djd-session"
"""The cookie's."""
LIFETIME: Final = 12 * 3600
"""Seconds: the token is asked for once in a working day, and a stolen cookie is void the next."""

_SKEW: Final = 60
"""Seconds that the clock may be set back after a login; beyond, the expiry was never due."""
_COOKIE: Final = re.compile(r"1\.(?P<reference>[0-9a-f]{16})\.(?P<expiry>[0-9]{10})\.[0-9a-f]{64}")
_NO_KEY: Final = bytes(sha256().digest_size)
_BLANK: Final = " \t"


def spell_session(digest: bytes, now: float) -> str:
    """Return the cookie of a session that begins ``now`` (s) with the token of this digest."""
    return _sign(digest, f"1.{refer(digest)}.{int(now) + LIFETIME:010d}")


def recall(cookie: str, tokens: Tokens, now: float) -> tuple[bytes, Grant] | None:
    """Return the digest of the token whose session ``cookie`` is, and what it allows now.

    None if it has expired, is not ours, or its token is not in force any more; whether there is
    such a token does not show in the time that takes.
    """
    match = _COOKIE.fullmatch(cookie)
    if match is None:
        return None
    found, reference = None, match["reference"].encode()
    for digest, grant in tokens.grants:
        if hmac.compare_digest(refer(digest).encode(), reference):
            found = digest, grant
    signed = _sign(_NO_KEY if found is None else found[0], cookie.rpartition(".")[0])
    is_genuine = hmac.compare_digest(signed, cookie)
    is_due = now < int(match["expiry"]) <= now + LIFETIME + _SKEW
    return found if is_genuine and is_due else None


def find_cookies(headers: Iterable[str]) -> list[str]:
    """Return the value of every session cookie in ``Cookie`` headers: two are one too many.

    A page of a sibling domain can have a browser send one of its own beside ours.
    """
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    return [value.strip(_BLANK) for name, _, value in pairs if name.strip(_BLANK) == NAME]


def _sign(digest: bytes, text: str) -> str:
    # the purpose stands in it: the digest may get to sign something else one day
    signature = hmac.digest(digest, f"docker-job-dispatcher session {text}".encode(), "sha256")
    return f"{text}.{signature.hex()}"
