"""What no profile allows: a manifest without a name or an image, too much text, our labels."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from api.server.admission.suggestions import fold
from api.server.admission.violations import Violation, point
from api.server.http.reasons import ProblemReason
from api.v1.labels import PREFIX, is_valid_name

MAX_COMMAND: Final = 32 << 10
"""Bytes of Entrypoint and Cmd together: a list of containers returns all of it."""
MAX_LABELS: Final = 16 << 10
"""Bytes of all labels: every event carries them."""

_PLATFORM: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,2}")


def check_limits(manifest: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what is wrong with a rebuilt manifest under every profile, as bad input."""
    name = manifest.get("Name")
    if name is None:
        yield Violation("/Name", "a manifest needs a Name", reason=ProblemReason.NAME_MISSING)
    elif not is_valid_name(name):
        yield Violation(
            "/Name",
            "a name has 2 to 128 letters, digits, '_', '.' or '-', a letter or digit first",
            reason=ProblemReason.INVALID_NAME,
        )
    if not _PLATFORM.fullmatch(manifest.get("Platform", "any")):
        yield Violation("/Platform", "expected os[/architecture[/variant]]")
    if not manifest.get("Image"):
        yield Violation("/Image", "a manifest needs an Image")
    command = [*manifest.get("Entrypoint", ()), *manifest.get("Cmd", ())]
    if _measure(command) > MAX_COMMAND:
        yield Violation("/Cmd", f"Entrypoint and Cmd take more than {MAX_COMMAND >> 10} KiB")
    yield from _check_labels(manifest.get("Labels", {}))


def check_rules(manifest: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what every profile refuses, ``privileged`` included."""
    if manifest.get("HostConfig", {}).get("AutoRemove"):
        yield Violation(
            "/HostConfig/AutoRemove",
            "the engine would remove the job before anyone saw how it ended",
            "autoRemove",
            "nothing: finished jobs are removed by --keep-exited-for",
        )


def _check_labels(labels: Mapping[str, str]) -> Iterator[Violation]:
    if _measure(labels) + _measure(labels.values()) > MAX_LABELS:
        yield Violation("/Labels", f"the labels take more than {MAX_LABELS >> 10} KiB")
        return
    for key in labels:
        if fold(key).startswith(PREFIX):
            yield Violation(
                point("/Labels", key),
                f"labels in {PREFIX}* are reserved",
                reason=ProblemReason.RESERVED_LABEL,
            )


def _measure(texts: Iterable[str]) -> int:
    """Return the bytes of ``texts``, with one for the end of each."""
    return sum(len(text.encode()) + 1 for text in texts)
