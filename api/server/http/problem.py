"""The one error type of the HTTP API: a status code, a machine-readable reason, a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the term of RFC 9457
    """A refusal as the client will see it: ``{"error": {"code", "reason", "message", …}}``.

    ``code`` is the HTTP status, ``reason`` an UpperCamelCase word that never changes,
    ``message`` a sentence for people. ``details`` are further JSON members of the error
    object (for instance ``violations``); ``headers`` go on the response (``Retry-After``).
    """

    code: int
    reason: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
