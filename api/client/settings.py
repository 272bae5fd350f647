"""Where the server is and who asks it: read off the environment, and never off the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from api.client.errors import ClientError, WrongUseError

_DEFAULT_URL: Final = "http://127.0.0.1:8000"
_PATIENCE: Final = 300.0
_MOST: Final = 4096
"""Characters of a token's file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``url`` has no slash at its end; ``ca`` is a file of authorities to trust.

    ``patience`` is for how many seconds a command that waits tries to reach a server that is gone.
    """

    url: str = _DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    patience: float = _PATIENCE


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what ``DJD_URL``, ``DJD_TOKEN``, ``DJD_TOKEN_FILE``, ``DJD_CA``, ``DJD_PATIENCE`` say.

    Raises ``ClientError``, which shows no token.
    """
    given = environ.get("DJD_URL") or _DEFAULT_URL
    url = _read_address(given)
    if url is None:
        raise WrongUseError(f"DJD_URL is an address such as {_DEFAULT_URL}, not {given!r}")
    ca = environ.get("DJD_CA") or None
    if ca is not None and not Path(ca).is_file():
        raise ClientError(f"DJD_CA names no file: {ca}")
    text = environ.get("DJD_PATIENCE") or str(_PATIENCE)
    try:
        patience = float(text)
    except ValueError:
        patience = -1
    if not 0 <= patience < float("inf"):
        raise ClientError(f"DJD_PATIENCE is a number of seconds, not {text!r}")
    return Settings(url, _read_token(environ), ca, patience)


def _read_address(text: str) -> str | None:
    """Return the server's address, also off that of its page; None for what is none."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    if not is_whole or parts.query or parts.username:
        return None
    path = parts.path.rstrip("/").removesuffix("/ui").rstrip("/")
    return parts._replace(path=path, fragment="").geturl()


def _read_token(environ: Mapping[str, str]) -> str | None:
    token = environ.get("DJD_TOKEN")
    name = environ.get("DJD_TOKEN_FILE")
    if not token and name:
        try:
            with Path(name).open(encoding="ascii") as file:
                token = file.read(_MOST).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it holds more than a token"
            raise ClientError(f"cannot read DJD_TOKEN_FILE {name}: {why}") from None
        if not token:
            raise ClientError(f"DJD_TOKEN_FILE {name} is empty")
    if not token:
        return None
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ClientError("the token of DJD_TOKEN or DJD_TOKEN_FILE is one word of ASCII")
    return token
