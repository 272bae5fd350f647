"""Numbers of a JSON body: those that jq would round are refused, integers are made integers."""

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from api.server.http.problem import Problem
from api.server.http.reasons import ProblemReason

MAX_INTEGER = 1 << 53
"""Numbers beyond this have no fraction, and jq rounds them without a word."""
_SHOWN: Final = 24
_MAX_POINTER: Final = 200
_MOST_SEARCHED: Final = 50_000
"""Commas in a body; in one that has more, to search the number would take too long."""


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


def check_numbers(text: str, bare: bytes) -> None:
    """Refuse what holds a number out of range before it is parsed; ``bare`` is it without strings.

    It looks at digits and powers of ten alone; ``settle_numbers`` finds the rest.
    """
    big = _BIG_INTEGER.search(bare) if _has_long(bare) else None
    if big is None and _has_power(bare):
        big = _BIG_POWER.search(bare)
    if big is not None:
        raise refuse_number(text, bare, big[0].decode())


def settle_numbers(text: str, bare: bytes, value: object) -> object:
    """Return ``value`` with integers for the floats that are ones; refuse what is out of range."""
    if not (_has_long(bare) or _has_power(bare) or (b"." in bare and _MAY_BE_WHOLE.search(bare))):
        return value
    value, largest = _settle_floats(value)
    # the bound itself may have been rounded to it
    if largest > MAX_INTEGER or (largest == MAX_INTEGER and _find_number(text)):
        raise refuse_number(text, bare, f"{largest:g}")
    return value


def _has_long(bare: bytes) -> bool:
    return _LONG_DIGITS in bare.translate(_AS_ZEROS)


def _has_power(bare: bytes) -> bool:
    return b"e" in bare or b"E" in bare


def _settle_floats(value: object) -> tuple[object, float]:
    """Return ``value`` with integers for the floats that are ones, and the largest absolute.

    It ends with the first part that holds one out of range: to make an integer of 1e300 takes long.
    """
    root = [value]
    level: list[Any] = [root]
    largest = 0.0
    while level:
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
            below += [v for v in values if type(v) in (dict, list)]
        level = below
    return root[0], largest


def refuse_number(text: str, bare: bytes, fallback: str) -> Problem:
    """Return the refusal of the first number out of range, with its place if it can be had."""
    found = None if bare.count(b",") > _MOST_SEARCHED else _find_number(text)
    number, pointer = found or (fallback, None)
    if number[-1] in "yN":
        what = f"{number} is not a JSON number"
    else:
        shown = number if len(number) <= _SHOWN else number[:_SHOWN] + "…"
        what = f"the number {shown} is beyond 2^53: send it as a string"
    if pointer is None:
        return Problem(400, ProblemReason.NUMBER_OUT_OF_RANGE, what)
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
