"""How a call to the engine can fail, told apart as far as a caller acts on it."""


class EngineError(Exception):
    """Base of all errors that a call of the ``Engine`` interface raises."""


class EngineUnavailableError(EngineError):
    """The request did not reach the engine: nothing happened, whatever the call was."""


class EngineTimeoutError(EngineError):
    """No answer within the call's deadline: the call may take effect yet."""


class EngineInterruptedError(EngineError):
    """The connection broke before a whole answer came: the call may have taken effect."""


class EngineRefusedError(EngineError):
    """The engine answered with an error.

    ``status`` is the HTTP status, ``message`` the engine's text. Status codes do not separate
    transient from permanent: 400 may heal (a bind source that is missing now), 404 and 500 may not.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class NotFoundError(EngineRefusedError):
    """404: the container, or something that it needs (a network, an image), is not there."""


class ConflictError(EngineRefusedError):
    """409: the name is taken, or the container's state forbids the call."""


class OutdatedError(ConflictError):
    """What was to be changed is not any more what was looked at last: nothing happened."""


class OverloadedError(EngineRefusedError):
    """503: the engine as a whole cannot serve now."""


class NoLogError(EngineRefusedError):
    """501: the log's ``driver`` keeps nothing that the engine can read."""

    def __init__(self, message: str, driver: str) -> None:
        super().__init__(501, message)
        self.driver = driver


OUTAGES = (EngineUnavailableError, EngineInterruptedError, EngineTimeoutError, OverloadedError)
"""Errors of the engine or the connection to it, whatever was asked."""

AMBIGUOUS = (EngineInterruptedError, EngineTimeoutError)
"""Errors after which a call may or may not have taken effect."""
