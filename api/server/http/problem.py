"""The one error type of the HTTP API: a status code, a machine-readable reason, a message."""

from collections.abc import Mapping

from api.server.http.reasons import ProblemReason


class Problem(Exception):  # noqa: N818 - the term of RFC 9457
    """A refusal as the client sees it: ``{"error": {"code", "reason", "message", …}}``.

    ``code`` is the HTTP status, ``reason`` a ``ProblemReason`` or its text, ``message`` a
    sentence for people. ``details`` are further JSON members of the error object (for instance
    ``violations``); ``headers`` go on the response (``Retry-After``). ``hidden`` is for the
    operator's own commands: no answer and no log holds it.
    Raises ``ValueError`` for a text that is no ``ProblemReason``.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = ProblemReason(reason)
        self.message = message
        self.details = details or {}
        self.headers = headers or {}
        self.hidden = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
