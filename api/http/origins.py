"""Which ``Host`` and ``Origin`` a request may name: the defence against web pages.

A page in a browser can reach a loopback address under a name of its own (DNS rebinding), or send
a plain POST unasked. Neither may record a job.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from aiohttp import hdrs, web

from api.http.refusal import Refusal

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HOST = re.compile(rf"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>{_NAME.pattern}))(?::[0-9]{{1,5}})?")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NO_HOST: Final = Refusal(400, "NoHost", "the request names no Host")
UNKNOWN_HOST: Final = Refusal(421, "UnknownHost", "this service does not answer to this Host")
FOREIGN_ORIGIN: Final = Refusal(403, "ForeignOrigin", "pages of other origins may not ask")
_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - left out, not bound to


@lru_cache(maxsize=64)
def read_host(authority: str) -> str | None:
    """Return the host of ``host[:port]`` in its one spelling, or None for anything else."""
    match = _HOST.fullmatch(authority)
    return match and normalise_host(match["v6"] or match["name"])


def is_bare_host(text: str) -> bool:
    """Tell whether ``text`` is a name or an address alone: no port, no brackets."""
    return _NAME.fullmatch(text) is not None or _read_address(text) is not None


@lru_cache(maxsize=64)
def normalise_host(host: str) -> str:
    """Return the one spelling of a host's name or address that is compared."""
    return _read_address(host) or host.lower().removesuffix(".")


def _read_address(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def choose_hosts(bind: str, further: Iterable[str]) -> frozenset[str]:
    """Return the hosts that requests may name: loopback, the bind address and ``further``."""
    return LOOPBACK | {normalise_host(h) for h in (bind, *further)} - _ANY


def find_foreign(
    hosts: Sequence[str],
    origins: Iterable[str],
    target: str,
    *,
    allowed: frozenset[str],
    reached: str | None,
) -> Refusal | None:
    """Return why a request with these ``Host`` and ``Origin`` fields is refused, or None.

    ``target`` is the host that the request is for: another one if its line has a whole URL.
    """
    if not hosts:
        return NO_HOST
    if not all(is_own_host(host, allowed, reached) for host in {*hosts, target}):
        return UNKNOWN_HOST
    if not all(is_own_origin(origin, hosts[0]) for origin in origins):
        return FOREIGN_ORIGIN
    return None


def check_names(request: web.Request, allowed: frozenset[str]) -> Refusal | None:
    """Return why ``request`` is refused for the hosts and origins that it names, or None."""
    address = request.get_extra_info("sockname")
    return find_foreign(
        request.headers.getall(hdrs.HOST, []),
        request.headers.getall(hdrs.ORIGIN, []),
        request.host,
        allowed=allowed,
        reached=address[0] if isinstance(address, tuple) else None,
    )


def is_own_host(authority: str, allowed: frozenset[str], reached: str | None) -> bool:
    """Tell whether a ``Host`` is one of ours, or the very address that the connection reached.

    A page that rebinds its name makes the browser send that name, never this address; a page that
    asks for this address openly is refused by its ``Origin``.
    """
    host = read_host(authority)
    return host is not None and (
        host in allowed or (reached is not None and host == normalise_host(reached))
    )


def is_own_origin(origin: str, authority: str) -> bool:
    """Tell whether an ``Origin`` names the host and port of the request's own ``Host``.

    The scheme may differ: a proxy may have terminated TLS.
    """
    scheme, separator, rest = origin.partition("://")
    return separator != "" and scheme in {"http", "https"} and rest.lower() == authority.lower()
