"""Maps errors of aiodocker, aiohttp and JSON: not sent, may have taken effect, refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
from aiodocker.exceptions import DockerError

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)

_CANNOT_CONNECT: Final = 900  # aiodocker's status for every connection error
_REFUSALS: Final = {404: NotFoundError, 409: ConflictError, 503: OverloadedError}
_TAKEN_ON_PODMAN: Final = "is already in use by"  # podman's 500 for a container's name
_GARBLED: Final = (LookupError, TypeError, AttributeError)  # JSON that is not what was asked for


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise an ``EngineError`` for whatever a call and the reading of its answer raise."""
    try:
        yield
    except DockerError as error:
        raise _translate(error) from error
    except aiohttp.ClientConnectorError as error:
        raise EngineUnavailableError(str(error)) from error
    except TimeoutError as error:
        raise EngineTimeoutError("no answer within the deadline") from error
    except (aiohttp.ClientError, OSError, ValueError, *_GARBLED) as error:
        # A cut, truncated or garbled reply: the request had been sent.
        raise EngineInterruptedError(f"{type(error).__name__}: {error}") from error


def _translate(error: DockerError) -> EngineError:
    # aiodocker folds every connection error into one status; the original is the context.
    if error.status == _CANNOT_CONNECT:
        cause = error.__context__
        if isinstance(cause, aiohttp.ClientConnectorError):
            return EngineUnavailableError(str(cause))
        return EngineInterruptedError(f"{type(cause).__name__}: {cause}")
    message = str(error.message)
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR and _TAKEN_ON_PODMAN in message:
        return ConflictError(HTTPStatus.CONFLICT, message)
    kind = _REFUSALS.get(error.status, EngineRefusedError)
    return kind(error.status, message)
