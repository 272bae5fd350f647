"""Who we are to registries: the credentials of a Docker config file.

Filters and jobs never see them, and no error says more of the file than its place and its keys.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.engine.interface import Credentials

_HUB: Final = "docker.io"
_HUB_ALIASES: Final = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_SERVER: Final = "https://index.docker.io/v1/"
_HELPERS: Final = ("credsStore", "credHelpers")


class RegistryConfigError(Exception):
    """The file cannot be read or is no Docker config file."""


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """A Docker config file (``auths`` of ``config.json``), read anew for every pull.

    So an exchanged password counts at once. Credential helpers, which would be programs to run,
    are not supported.
    """

    path: Path

    def find(self, image: str) -> Credentials | None:
        """Return the credentials for the registry of ``image``, or None if there are none.

        Raises ``RegistryConfigError``.
        """
        return parse_auths(self._read()).get(find_registry(image))

    def check(self) -> tuple[str, ...]:
        """Return the keys of the file that would need a credential helper, which is not asked.

        Raises ``RegistryConfigError``.
        """
        data = self._read()
        parse_auths(data)
        return tuple(key for key in _HELPERS if data.get(key))

    def _read(self) -> Mapping[str, Any]:
        try:
            data = json.loads(self.path.read_bytes())
        except OSError as error:
            raise RegistryConfigError(f"{self.path}: {error.strerror}") from None
        except (ValueError, RecursionError):
            # the parser's words quote nothing, but its exception holds the whole text
            raise RegistryConfigError(f"{self.path} is not JSON") from None
        if not isinstance(data, dict):
            raise RegistryConfigError(f"{self.path} is not a JSON object")
        return data


def find_registry(image: str) -> str:
    """Return the host, with its port if any, that the engine would ask for ``image``."""
    first, slash, _ = image.partition("/")
    is_host = slash and (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    )
    return normalise(first) if is_host else _HUB


def normalise(key: str) -> str:
    """Return the host of a key of ``auths``: ``https://host/v1/`` is ``host``."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return _HUB if host in _HUB_ALIASES else host


def parse_auths(data: Mapping[str, Any]) -> dict[str, Credentials]:
    """Return the credentials in ``auths`` by host; of two keys, the host as it is wins."""
    auths = data.get("auths") or {}
    if not isinstance(auths, dict):
        raise RegistryConfigError("auths is not a JSON object")
    found: dict[str, Credentials] = {}
    for key, entry in auths.items():
        host = normalise(key)
        credentials = _parse_entry(key, _HUB_SERVER if host == _HUB else host, entry)
        if credentials is not None and (host not in found or key == host):
            found[host] = credentials
    return found


def _parse_entry(key: str, server: str, entry: object) -> Credentials | None:
    """Return what ``auths`` holds under ``key``; an entry left empty is a credential helper's."""
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(name, ""), str)
        for name in ("auth", "username", "password", "identitytoken")
    ):
        raise RegistryConfigError(f"auths: {key!r} is not an object of texts")
    user, password = entry.get("username", ""), entry.get("password", "")
    if auth := entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise RegistryConfigError(f"auths: auth of {key!r} is not base64 of a text") from None
        if not colon:
            raise RegistryConfigError(f"auths: auth of {key!r} is not user:password")
    credentials = Credentials(server, user, password.rstrip("\0"), entry.get("identitytoken", ""))
    return credentials if user or credentials.identity_token else None
