"""Names the API answers to, and pages that may talk to it: a guard against browsers.

A page that a browser shows can reach a loopback address under a name of its own (DNS
rebinding), or send a plain POST without being asked; neither may record a job.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HOST = re.compile(rf"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>{_NAME.pattern}))(?::[0-9]{{1,5}})?")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - not bound to, left out


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
    """Return a host's name or address as two spellings of it would agree on."""
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


def is_own_host(authority: str, allowed: frozenset[str], reached: str | None) -> bool:
    """Tell whether a ``Host`` is one of ours, or the very address that the connection reached.

    A page from elsewhere cannot make a browser send that address: it has a name or an address
    of its own.
    """
    host = read_host(authority)
    return host is not None and (
        host in allowed or (reached is not None and host == normalise_host(reached))
    )


def is_own_origin(origin: str, authority: str) -> bool:
    """Tell whether an ``Origin`` is the page of this very host and port.

    The scheme may differ from ours: a proxy may have taken TLS off.
    """
    scheme, separator, rest = origin.partition("://")
    return separator != "" and scheme in {"http", "https"} and rest.lower() == authority.lower()
