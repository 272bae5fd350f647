"""The exit statuses, and which of them becomes of jobs; pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Job = Mapping[str, Any]
"""A job as every answer shows it; ``api.v1.view`` names the members."""

PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Cancelled", "Unknown")
"""Those of ``api.v1.job``, which takes a fifteenth of the start to import."""

FINE: Final = 0
UNSUCCESSFUL: Final = 1
"""Of several jobs, or of one that did not succeed and has no code of its own to tell so."""
USAGE: Final = 2
TIME_IS_UP: Final = 124
"""As ``timeout`` has it."""
TROUBLE: Final = 125
"""Ours or the server's, as ``docker run`` has it."""
INTERRUPTED: Final = 130
READER_LEFT: Final = 141
"""What a shell shows of a program that SIGPIPE ended."""

_SUCCEEDED: Final = "Succeeded"


def succeeded(job: Job) -> bool:
    """Tell whether a job has succeeded."""
    return bool(job.get("phase") == _SUCCEEDED)


def choose_status(jobs: Iterable[Job]) -> int:
    """Return the status for jobs that are over: of one its own code, of several whether all did.

    A job that was stopped or never ran has not succeeded, whatever its code: never 0 for it.
    """
    found = [*jobs]
    if all(succeeded(job) for job in found):
        return FINE
    code = found[0].get("exitCode") if len(found) == 1 else None
    return code if isinstance(code, int) and 0 < code <= 0xFF else UNSUCCESSFUL  # noqa: PLR2004
