"""Why a command could not do its work, each with the exit status that it ends with."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.client.status import TIME_IS_UP, TROUBLE, USAGE

COLLECTED: Final = "JobCollected"
"""The reason for which a job that is over is not found."""
_NOT_GIVEN: Final = frozenset({"after", "continue"})
"""Parameters that no option gives."""
_UNKNOWN: Final = "the server asks for a token that it knows: set DJD_TOKEN_FILE or DJD_TOKEN"


class ClientError(Exception):
    """Something went wrong; the text says what, in plain words and without a secret."""

    status: int = TROUBLE


class WrongUseError(ClientError):
    """What the user gave cannot be meant, whatever the server is."""

    status = USAGE


class UnreachableError(ClientError):
    """Nobody answers at the address."""


class LostError(ClientError):
    """A connection broke off, or the server could not go on; another attempt may succeed."""


class UnreadableError(ClientError):
    """The server could not go on with a log, and says why; another attempt may succeed."""


class OldServerError(ClientError):
    """The server is older than what was asked of it."""


class TimeIsUpError(ClientError):
    """The time that the user gave has passed."""

    status = TIME_IS_UP


class RefusedError(ClientError):
    """The server answered with an error; ``code`` is its HTTP status, ``reason`` its word."""

    def __init__(self, code: int, body: Any) -> None:
        error = read_error(body)
        self.code = code
        self.reason = str(error.get("reason", ""))
        self.error = error
        if self.reason == "InvalidQuery" and error.get("parameter") not in _NOT_GIVEN:
            self.status = USAGE
        super().__init__("\n".join(explain(code, error)))

    @property
    def last_known(self) -> Mapping[str, Any] | None:
        """The last that was known of a job which is gone."""
        job = self.error.get("job")
        return job if isinstance(job, Mapping) else None


def read_error(body: Any) -> Mapping[str, Any]:
    """Return the error in an answer; an empty one where the answer is not of this service."""
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def explain(code: int, error: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an error says, a line for each thing that is wrong."""
    if not error:
        yield f"the server answers {code}, not as a docker-job-dispatcher does: check DJD_URL"
        return
    if error.get("reason") == "Unauthorized":
        yield _UNKNOWN
        return
    yield f"{error.get('message', '')} ({error.get('reason', code)})"
    violations = error.get("violations")
    for violation in violations if isinstance(violations, list) else ():
        if isinstance(violation, Mapping):
            place = violation.get("pointer") or violation.get("rule") or ""
            yield (
                f"  {place}: {violation.get('message', '')}"
                if place
                else (f"  {violation.get('message', '')}")
            )
