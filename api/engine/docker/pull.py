"""Reads the progress of a pull, and which of the registry's refusals ended it.

The engine gives only a text, with status 500 or within a stream that began with 200.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import aiohttp

from api.engine.errors import EngineRefusedError, NotFoundError
from api.engine.interface import Credentials, Progress

# No image is called so: each has a space or is the whole text. What a registry denies, it may
# also not have: that comes first.
_TEXTS: Final = (
    (429, re.compile(r"toomanyrequests: |too many requests")),
    (
        403,
        re.compile(
            r"unauthorized: |denied: |(^|: )(denied|unauthorized)$|access denied"
            r"|no basic auth credentials|authentication required|incorrect username or password"
            r"|authorization failed|HTTP(?: status:?)? 40[13]\b| 40[13] (?:forbidden|unauthorized)",
            re.IGNORECASE,
        ),
    ),
    (
        404,
        re.compile(
            r"manifest unknown|name unknown|: not found$| not found: |no matching manifest"
            r"|repository does not exist|^image operating system \S+ cannot be used",
            re.IGNORECASE,
        ),
    ),
)
_TAG: Final = re.compile(r":(?P<tag>[^:/]+)\Z")


def split_image(image: str) -> tuple[str, str]:
    """Return an image's name and its tag or digest; without either the engine pulls every tag.

    ``name:tag@digest`` is the digest's image, as for create.
    """
    name, _, digest = image.partition("@")
    tag = _TAG.search(name)
    bare = name[: tag.start()] if tag else name
    return bare, digest or (tag["tag"] if tag else "latest")


def encode_credentials(credentials: Credentials) -> str:
    """Return the ``X-Registry-Auth`` header's value."""
    members = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "serveraddress": credentials.server,
    }
    text = json.dumps({key: value for key, value in members.items() if value})
    return base64.urlsafe_b64encode(text.encode()).decode()


@contextmanager
def tell_refusals() -> Iterator[None]:
    """Give a refusal to pull the status that its text names; see ``Engine.pull``."""
    try:
        yield
    except EngineRefusedError as error:
        status = read_status(error.message) or error.status
        if status == error.status:
            raise
        kind = NotFoundError if status == 404 else EngineRefusedError  # noqa: PLR2004 - HTTP's
        raise kind(status, error.message) from error


def read_status(message: str) -> int | None:
    """Return the status that a refusal's text speaks of: 403, 404, 429, or None for another."""
    return next((status for status, text in _TEXTS if text.search(message)), None)


async def follow(response: aiohttp.ClientResponse, report: Callable[[Progress], None]) -> None:
    """Read a pull to its end. Raises ``EngineRefusedError`` (500) for an error in its course."""
    layers: dict[str, int] = {}
    complete: set[str] = set()
    async for line in response.content:
        if not (text := line.strip()):
            continue
        data: Mapping[str, Any] = json.loads(text)
        if "error" in data or "errorDetail" in data:
            raise EngineRefusedError(500, read_error(data))
        fold(data, layers, complete)
        report(Progress(len(layers), len(complete), sum(layers.values())))


def fold(data: Mapping[str, Any], layers: dict[str, int], complete: set[str]) -> None:
    """Fold one line into the bytes received of each layer and the set of complete layers."""
    layer, detail = str(data.get("id") or ""), data.get("progressDetail")
    match data.get("status"):
        case "Pulling fs layer":
            layers.setdefault(layer, 0)
        case "Downloading" if isinstance(detail, Mapping):
            layers[layer] = max(layers.get(layer, 0), int(detail.get("current") or 0))
        case "Pull complete" | "Already exists":
            layers.setdefault(layer, 0)
            complete.add(layer)


def read_error(data: Mapping[str, Any]) -> str:
    """Return the text of an error line; the older of its two spellings may be missing."""
    detail = data.get("errorDetail")
    told = detail.get("message") if isinstance(detail, Mapping) else None
    return str(told or data.get("error") or "")
