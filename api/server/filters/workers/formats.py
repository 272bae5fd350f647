"""The formats of JSON Schema that are enforced here, each to the letter of its standard.

jsonschema has a checker for most; those of it that need no further package let pass what the
standards do not (an address of ``@`` alone, a UUID with a newline), and so have one of ours.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from typing import Final

from jsonschema import FormatChecker

from api.server.filters.workers.patterns import PatternError, translate

Check = Callable[[str], bool]

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# RFC 3339, section 5.6
_TIME: Final = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[zZ]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_LEAP: Final = 60
# RFC 3339, appendix A
_DURATION: Final = re.compile(
    r"P(?:[0-9]+W|(?=[0-9T])"
    r"(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)?"
    r"(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))?)"
)
_HOSTNAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
# RFC 5321, section 4.1.2
_LOCAL: Final = re.compile(
    r"(?=.{1,64}\Z)(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r'|"(?:[ !#-\[\]-~]|\\[ -~])*")'
)
_IDN_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_RELATIVE_POINTER: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)")


def _make_uri(*, relative: bool) -> "re.Pattern[str]":
    """Return RFC 3986's grammar."""
    char = r"[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
    name = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
    user = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@"
    literal = r"\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]"
    segment = rf"(?:{char})"
    rooted = rf"//(?:{user})?(?:{literal}|{name})(?::[0-9]*)?(?:/{segment}*)*"
    absolute = rf"/(?:{segment}+(?:/{segment}*)*)?"
    rootless = rf"{segment}+(?:/{segment}*)*"
    scheme = r"[A-Za-z][A-Za-z0-9+.-]*:"
    tail = rf"(?:\?(?:{char}|[/?])*)?(?:\#(?:{char}|[/?])*)?"
    whole = rf"{scheme}(?:{rooted}|{absolute}|{rootless})?{tail}"
    if not relative:
        return re.compile(whole)
    # the first segment of a relative reference has no colon
    first = rf"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{{2}})+(?:/{segment}*)*"
    return re.compile(rf"{whole}|(?:{rooted}|{absolute}|{first})?{tail}")


_URI: Final = _make_uri(relative=False)
_URI_REFERENCE: Final = _make_uri(relative=True)
# what RFC 3987 allows beyond RFC 3986
_WIDER: Final = re.compile("[\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd]")


def _matches_encoded(expression: "re.Pattern[str]", text: str) -> bool:
    """Say whether ``text``, an IRI, is a URI when encoded: RFC 3987, section 3.1.

    A grammar with these characters in each of its sets takes 50 ms to compile.
    """
    return _matches(expression, _WIDER.sub("%C2", text))


def _matches(expression: "re.Pattern[str]", text: str) -> bool:
    return expression.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None or int(found[3]) != _LEAP:
        return found is not None
    # a leap second is the last one of a day of UTC
    shift = int(found[4] + "1") * (int(found[5]) * 60 + int(found[6])) if found[4] else 0
    return (int(found[1]) * 60 + int(found[2]) - shift) % 1440 == 1439  # noqa: PLR2004 - 23:59


def _is_date_time(text: str) -> bool:
    return text[10:11] in {"T", "t"} and _is_date(text[:10]) and _is_time(text[11:])


def _is_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        return False
    if domain.startswith("[") and domain.endswith("]"):
        address = domain[1:-1]
        if address.startswith("IPv6:"):
            return _is_ipv6(address.removeprefix("IPv6:"))
        return _is_ipv4(address)
    return _matches(_HOSTNAME, domain)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    # a zone (RFC 4007) is no part of an address
    return "%" not in text


def _is_regex(text: str) -> bool:
    try:
        translate(text)
    except PatternError:
        return False
    return True


CHECKS: Final[Mapping[str, Check]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "duration": partial(_matches, _DURATION),
    "email": _is_email,
    "hostname": partial(_matches, _HOSTNAME),
    "idn-email": partial(_matches, _IDN_EMAIL),
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "iri": partial(_matches_encoded, _URI),
    "iri-reference": partial(_matches_encoded, _URI_REFERENCE),
    "json-pointer": partial(_matches, _POINTER),
    "regex": _is_regex,
    "relative-json-pointer": partial(_matches, _RELATIVE_POINTER),
    "time": _is_time,
    "uri": partial(_matches, _URI),
    "uri-reference": partial(_matches, _URI_REFERENCE),
    "uuid": partial(_matches, _UUID),
}
"""Each known format and whether a string is of it."""


def make_checker(names: Iterable[str] = CHECKS) -> FormatChecker:
    """Return the checkers as jsonschema takes them; only strings have a format."""
    checker = FormatChecker(formats=())
    for name in names:
        checker.checks(name)(partial(_pass_others, CHECKS[name]))
    return checker


def _pass_others(check: Check, value: object) -> bool:
    return not isinstance(value, str) or check(value)
