"""Bearer tokens: how their file is parsed, what each allows, how one is recognised."""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from api.server.http.request_path import JOBS

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")
"""The characters that RFC 6750 allows in a header; shorter tokens could be guessed."""
_PATH: Final = re.compile(r"(/[^/\x00-\x1f\x7f]+)+")
_REFERENCE_DIGITS: Final = 16


class Act(StrEnum):
    """What a token may be limited to."""

    READ = "read"
    POST = "post"


class TokenFileError(Exception):
    """A token file that cannot be used; the message names lines, never their text."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the sender of a request may do; empty ``paths`` are no limit."""

    acts: frozenset[Act] = frozenset(Act)
    paths: tuple[str, ...] = ()

    def may_read(self, path: str) -> bool:
        """Tell whether ``path`` may be read: a page's own, or the one a job was posted to."""
        return Act.READ in self.acts and self.covers(path)

    def covers(self, path: str) -> bool:
        """Tell whether ``path`` is one of the token's paths or below one.

        A job that the original recorded has no path and counts as posted to ``JOBS``.
        """
        path = path or JOBS
        if not self.paths:
            return True
        if not is_plain(path):
            return False
        return any(path == p or path.startswith(p + "/") for p in self.paths)


ANYTHING: Final = Grant()
"""The grant of everybody where there are no tokens."""
NOTHING: Final = Grant(frozenset())
"""The grant of who asks a public route, without a token."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a file, by their digests: their text is not kept."""

    grants: tuple[tuple[bytes, Grant], ...]

    def identify(self, token: bytes) -> Grant | None:
        """Return what ``token`` allows, or None if it is unknown, in the same time for all."""
        digest = sha256(token).digest()
        found = None
        for known, grant in self.grants:
            if hmac.compare_digest(known, digest):
                found = grant
        return found


def refer(digest: bytes) -> str:
    """Return what tells a token from others, and is no secret: 16 hexadecimal digits of it."""
    return digest.hex()[:_REFERENCE_DIGITS]


def is_plain(path: str) -> bool:
    """Tell whether a decoded path has no empty and no dot segments and no control characters."""
    return _PATH.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))


def parse_tokens(content: bytes) -> Tokens:
    """Return the tokens that ``content`` lists, one a line: ``TOKEN [ACTS] [PATH ...]``.

    ACTS is ``read``, ``post`` or ``read,post`` (the default). PATHs limit a token to requests
    for them and what lies below them, and to jobs that were posted there. ``#`` at the start of
    a line or after a space begins a comment. Raises ``TokenFileError``.
    """
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise TokenFileError(f"line {number}: not ASCII") from None
    grants: dict[bytes, Grant] = {}
    for number, line in enumerate(lines, 1):
        words = list(_split(line))
        if not words:
            continue
        token, *limits = words
        if not _TOKEN.fullmatch(token):
            raise TokenFileError(
                f"line {number}: a token is 16 to 512 letters, digits and characters of -._~+/"
            )
        digest = sha256(token.encode()).digest()
        if digest in grants:
            raise TokenFileError(f"line {number}: the token stands in an earlier line, too")
        grants[digest] = _read_grant(limits, number)
    return Tokens(tuple(grants.items()))


def _split(line: str) -> Iterator[str]:
    for word in line.split():
        if word.startswith("#"):
            return
        yield word


def _read_grant(words: list[str], number: int) -> Grant:
    acts = frozenset(Act)
    if words and not words[0].startswith("/"):
        try:
            acts = frozenset(Act(word) for word in words[0].split(","))
        except ValueError:
            raise TokenFileError(
                f"line {number}: after the token come read, post or read,post, then paths"
            ) from None
        words = words[1:]
    for position, path in enumerate(words, 1):
        if not is_plain(path):
            raise TokenFileError(
                f"line {number}: path {position} must begin with a slash and have no trailing"
                " slash, no empty and no dot segments"
            )
    return Grant(acts, tuple(words))
