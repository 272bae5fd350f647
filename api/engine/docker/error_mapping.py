"""Maps errors of aiodocker, aiohttp and JSON: not sent, may have taken effect, refused."""

from contextlib import AbstractContextManager
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
_BROKEN: Final = (
    *(aiohttp.ClientError, OSError, ValueError),
    *(LookupError, TypeError, AttributeError),  # JSON that is not what was asked for
)


class _Translation:
    """Several stand around each call: one made by ``contextmanager`` takes four times as long."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        """Raise what ``error`` means."""
        if error is not None and (meant := _find_meaning(error)) is not None:
            raise meant from error


_TRANSLATION: Final = _Translation()


def translate_errors() -> AbstractContextManager[None]:
    """Raise an ``EngineError`` for whatever a call and the reading of its answer raise."""
    return _TRANSLATION


def _find_meaning(error: BaseException) -> EngineError | None:
    match error:
        case DockerError():
            return _translate(error)
        case aiohttp.ClientConnectorError():
            return EngineUnavailableError(str(error))
        case TimeoutError():
            return EngineTimeoutError("no answer within the deadline")
        case _ if isinstance(error, _BROKEN):
            # A cut, truncated or garbled reply: the request had been sent.
            return EngineInterruptedError(f"{type(error).__name__}: {error}")
    return None


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
