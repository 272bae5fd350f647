"""Strict reading of request bodies: what JSON leaves open, or jq would misread, is refused."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from aiohttp import web

from api.server.http.json_numbers import check_numbers, refuse_number, settle_numbers
from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

MAX_BODY: Final = 1 << 20
"""Bytes of a request's body."""
MAX_DEPTH = 64
"""Most levels of arrays and objects within each other."""
MAX_CONTAINERS = 50_000
"""Most arrays and objects; more would block the event loop for too long."""


_CONTAINERS = (dict, list)
_LONE = re.compile("[\ud800-\udfff]")


def check_content(request: web.Request) -> None:
    """Refuse by the header a body that is no plain JSON in UTF-8: ``Problem`` 415.

    A page elsewhere can have a browser post a form or plain text here, but not JSON. The body has
    not been read, so the connection is closed.
    """
    if request.content_type != "application/json":
        raise _refuse_type("the content type must be application/json")
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise _refuse_type("the charset must be utf-8")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _refuse_type("the body must not be compressed")


def parse(body: bytes) -> object:
    """Return the JSON value in ``body``, or raise ``Problem`` 400.

    Reasons: ``EmptyBody``, ``NotUtf8`` (UTF-16 and a byte order mark included), ``NotJson``,
    ``TooDeep`` (more than 64 levels), ``TooComplex`` (more than 50,000 arrays and objects),
    ``NumberOutOfRange`` (NaN, infinities, numbers beyond 2**53; with a ``violation`` that has
    its JSON pointer), ``DuplicateKey``, ``LoneSurrogate``, ``NulCharacter``. A number without a
    fraction is an integer however it is spelled (``320``, ``320.0``, ``3.2e2``), so that one
    document is one job. The checks look at the bytes where they can: a hostile megabyte takes
    tens of milliseconds.
    """
    if not body.strip():
        raise _refuse(
            ProblemReason.EMPTY_BODY, "the request has no body; a JSON document is expected"
        )
    if body.startswith(b"\xef\xbb\xbf") or b"\x00" in body:
        raise _refuse(
            ProblemReason.NOT_UTF8, "the body must be UTF-8 without a byte order mark or NUL bytes"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _refuse(
            ProblemReason.NOT_UTF8, f"the body is not UTF-8: byte {error.start}"
        ) from None
    escaped = b"\\" in body
    plain = body.replace(b"\\\\", b"") if escaped else body
    bare = _strip_strings(plain.replace(b'\\"', b"") if escaped else body)
    containers = bare.count(b"[") + bare.count(b"{")
    if containers > MAX_CONTAINERS:
        raise _refuse(
            ProblemReason.TOO_COMPLEX,
            f"the document has more than {MAX_CONTAINERS} arrays and objects",
        )
    value = _load(text, bare)
    pairs = bare.count(b":")
    if (pairs or containers > MAX_DEPTH) and pairs != _count_members(value):
        raise _refuse(
            ProblemReason.DUPLICATE_KEY, f"{_find_duplicate(text)} occurs twice in one object"
        )
    if escaped and b"\\u" in plain:
        _check_escapes(plain, value)
    return value


def _load(text: str, bare: bytes) -> object:
    """Return the value of ``text``, with all numbers in range; ``bare`` is it without strings."""
    check_numbers(text, bare)
    try:
        value: object = _decode(text)
    except _ConstantError as error:
        raise refuse_number(text, bare, str(error)) from None
    except RecursionError:
        raise _refuse_depth() from None
    except ValueError as error:
        raise _refuse(ProblemReason.NOT_JSON, f"the body is not JSON: {error}") from None
    return settle_numbers(text, bare, value)


class _ConstantError(Exception):
    """``NaN``, ``Infinity`` or ``-Infinity``."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


_decode: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _refuse(reason: ProblemReason, message: str) -> Problem:
    return Problem(400, reason, message)


def _refuse_type(message: str) -> Problem:
    reason = ProblemReason.UNSUPPORTED_MEDIA_TYPE
    return Problem(415, reason, message, headers={"Connection": "close"})


def _refuse_depth() -> Problem:
    return _refuse(ProblemReason.TOO_DEEP, f"the document nests deeper than {MAX_DEPTH} levels")


def _strip_strings(body: bytes) -> bytes:
    """Return ``body``, already free of escaped quotes, without what stands in strings."""
    return b"".join(body.split(b'"')[::2])


def _count_members(value: object) -> int:
    """Return how many key-value pairs survived parsing; refuse what nests too deeply."""
    count = 0
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        items = [i.values() if type(i) is dict else i for i in level]
        count += sum(len(i) for i in level if type(i) is dict)
        level = [c for i in items for c in i if type(c) in _CONTAINERS]
        if not level:
            return count
    raise _refuse_depth()


def _find_duplicate(text: str) -> str:
    duplicates: list[str] = []

    def collect(pairs: Iterable[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                duplicates.append(key)
            seen.add(key)

    json.loads(text, object_pairs_hook=collect)
    return json.dumps(duplicates[0][:80]) if duplicates else "a key"


def _check_escapes(plain: bytes, value: object) -> None:
    r"""Refuse ``\u0000`` and halves of surrogate pairs; ``plain`` has no escaped backslashes."""
    if b"\\u0000" in plain:
        raise _refuse(ProblemReason.NUL_CHARACTER, "the document holds the character U+0000")
    if _LONE.search(json.dumps(value, ensure_ascii=False)):
        raise _refuse(ProblemReason.LONE_SURROGATE, "the document holds half of a surrogate pair")
