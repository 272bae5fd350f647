"""Strict reading of request bodies: what JSON leaves open, or jq would misread, is refused."""

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, NoReturn

from aiohttp import web

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

MAX_BODY: Final = 1 << 20
"""Bytes of a request's body."""
MAX_DEPTH = 64
"""Most levels of arrays and objects within each other."""
MAX_CONTAINERS = 50_000
"""Most arrays and objects; more would block the event loop for too long."""
MAX_INTEGER = 1 << 53
"""Numbers beyond this have no fraction, and jq rounds them without a word."""


def _exceeding(limit: str) -> str:
    """Return a pattern of the digit strings that are larger than ``limit``."""
    longer = f"[0-9]{{{len(limit) + 1},}}+"
    same = (
        f"{limit[:i]}[{int(digit) + 1}-9][0-9]{{{len(limit) - i - 1}}}"
        for i, digit in enumerate(limit)
        if digit != "9"
    )
    return "|".join((longer, *same))


# Each pattern takes time linear in the body, whatever the body is.
_BIG_INTEGER = re.compile(
    rf"(?<![-+.0-9eE])-?(?:{_exceeding(str(MAX_INTEGER))})(?![.0-9eE])".encode()
)
_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_DIGITS = b"0" * 16
# at least 10^16: to parse a megabyte of such takes a tenth of a second
_BIG_POWER = re.compile(
    rb"(?<![-+.0-9eE])-?[1-9][0-9]*(?:\.[0-9]+)?[eE]\+?0*(?:1[6-9]|[2-9][0-9]|[1-9][0-9]{2,})(?![0-9])"
)
# an integer spelled as a float
_MAY_BE_WHOLE = re.compile(rb"\.0*(?![0-9])")
_SHOWN = 24
_MAX_POINTER = 200
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
    is_long = _LONG_DIGITS in bare.translate(_AS_ZEROS)
    has_power = b"e" in bare or b"E" in bare
    big = _BIG_INTEGER.search(bare) if is_long else None
    big = big or (_BIG_POWER.search(bare) if has_power else None)
    if big is not None:
        raise _refuse_number(text, bare, big[0].decode())
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except _ConstantError as error:
        raise _refuse_number(text, bare, str(error)) from None
    except RecursionError:
        raise _refuse_depth() from None
    except ValueError as error:
        raise _refuse(ProblemReason.NOT_JSON, f"the body is not JSON: {error}") from None
    if is_long or has_power or (b"." in bare and _MAY_BE_WHOLE.search(bare)):
        value, largest = _settle_floats(value)
        # the bound itself may have been rounded to it
        if largest > MAX_INTEGER or (largest == MAX_INTEGER and _find_number(text)):
            raise _refuse_number(text, bare, f"{largest:g}")
    return value


def _refuse(reason: ProblemReason, message: str) -> Problem:
    return Problem(400, reason, message)


def _refuse_type(message: str) -> Problem:
    reason = ProblemReason.UNSUPPORTED_MEDIA_TYPE
    return Problem(415, reason, message, headers={"Connection": "close"})


def _refuse_depth() -> Problem:
    return _refuse(ProblemReason.TOO_DEEP, f"the document nests deeper than {MAX_DEPTH} levels")


class _ConstantError(Exception):
    """``NaN``, ``Infinity`` or ``-Infinity``."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _settle_floats(value: object) -> tuple[object, float]:
    """Return ``value`` with integers for the floats that are ones, and the largest absolute.

    It ends with the first part that holds one out of range: to make an integer of 1e300 takes long.
    """
    root = [value]
    level: list[Any] = [root]
    largest = 0.0
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for part in level:
            keys: Iterable[Any] = list(part) if type(part) is dict else range(len(part))
            values = list(part.values()) if type(part) is dict else part
            if float in map(type, values):
                floats = [v for v in values if type(v) is float]
                largest = max(largest, *map(abs, floats))
                if largest > MAX_INTEGER:
                    return root[0], largest
                for key, member in zip(keys, values, strict=True):
                    if type(member) is float and member.is_integer():
                        part[key] = int(member)
            below += [v for v in values if type(v) in _CONTAINERS]
        level = below
    return root[0], largest


def _refuse_number(text: str, bare: bytes, fallback: str) -> Problem:
    """Return the refusal of the first number out of range, with its place if it can be had."""
    # in what has very many numbers the search would take too long
    found = None if bare.count(b",") > MAX_CONTAINERS else _find_number(text)
    number, pointer = found or (fallback, None)
    if number[-1] in "yN":
        what = f"{number} is not a JSON number"
    else:
        shown = number if len(number) <= _SHOWN else number[:_SHOWN] + "…"
        what = f"the number {shown} is beyond 2^53: send it as a string"
    if pointer is None:
        return _refuse(ProblemReason.NUMBER_OUT_OF_RANGE, what)
    message = f"{pointer[:_MAX_POINTER] or '/'}: {what}"
    violations = [{"pointer": pointer, "message": what}]
    return Problem(400, ProblemReason.NUMBER_OUT_OF_RANGE, message, {"violations": violations})


class _Pairs(list[tuple[str, object]]):
    """The members of an object, doubled ones too."""


def _find_number(text: str) -> tuple[str, str | None] | None:
    """Return the first number out of range and its JSON pointer, None if there is none.

    The pointer is None in what is no JSON.
    """
    bad = object()
    seen: list[str] = []

    def read(number: str) -> object:
        if not seen and _is_out_of_range(number):
            seen.append(number)
            return bad
        return None

    try:
        value = json.loads(
            text,
            parse_float=read,
            parse_int=read,
            parse_constant=read,
            object_pairs_hook=_Pairs,
        )
    except (ValueError, RecursionError):
        value = None
    return (seen[0], _find_part(value, bad)) if seen else None


def _is_out_of_range(number: str) -> bool:
    """Tell whether a number's text is none of JSON's, or beyond what every reader holds exactly."""
    if number[-1] in "yN":
        return True
    about = float(number)
    # the last digit counts, so a float will not do; but a decimal has no exponent of any length
    return math.isinf(about) or (about != 0 and abs(Decimal(number)) > MAX_INTEGER)


def _find_part(value: object, wanted: object) -> str | None:
    """Return the JSON pointer of ``wanted``, found by identity."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        pointer, part = waiting.pop()
        if part is wanted:
            return pointer
        members: Iterable[tuple[object, object]] = ()
        if isinstance(part, _Pairs):
            members = part
        elif isinstance(part, list):
            members = enumerate(part)
        waiting += [
            (f"{pointer}/{_escape(str(key))}", member)
            for key, member in members
            if member is wanted or isinstance(member, list)
        ]
    return None


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


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
