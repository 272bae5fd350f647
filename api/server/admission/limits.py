"""What no profile allows: a manifest without a name or an image, too much text, our labels."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from api.server.admission.suggestions import fold
from api.server.admission.violations import Violation
from api.server.http.reasons import ProblemReason
from api.v1.labels import PREFIX, is_valid_name
from api.v1.quoting import point, quote

MAX_COMMAND: Final = 32 << 10
"""Bytes of Entrypoint and Cmd together: a list of containers returns all of it."""
MAX_LABELS: Final = 16 << 10
"""Bytes of all labels: every event carries them."""
MAX_VARIABLES: Final = 256 << 10
"""Bytes of Env: the engine holds it in memory for as long as the job is kept."""
MAX_REST: Final = 64 << 10
"""Bytes of everything else as JSON, for the same reason."""
_COUNTED: Final = frozenset({"Cmd", "Entrypoint", "Env", "Labels"})

MAX_VARIABLE: Final = (128 << 10) - 1
"""Bytes of one entry of Env: Linux starts no program with a longer one (MAX_ARG_STRLEN)."""
MAX_HOSTNAME: Final = 64
"""Bytes of a host name: sethostname(2) takes no more, so that the job could never start."""

MAX_FILE_NAME: Final = 255
"""Bytes of one name in a path (NAME_MAX): the engine fails at a longer one, or the start does."""
MAX_USER: Final = (1 << 31) - 1
"""The highest number of a user or group with which the engine starts anything."""
_NUMBER: Final = re.compile("0*([0-9]*)")

_FULL_ID: Final = re.compile(r"[0-9a-fA-F]{64}")
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
_OF_EVENTS: Final = frozenset({"exitCode", "containerExitCode"})
_PLATFORM: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,2}")


def check_limits(manifest: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what is wrong with a rebuilt manifest under every profile, as bad input."""
    name = manifest.get("Name")
    if name is None:
        yield Violation("/Name", "a manifest needs a Name", reason=ProblemReason.NAME_MISSING)
    elif not is_valid_name(name):
        yield Violation(
            "/Name",
            f"{quote(name)} is no name: 2 to 128 letters, digits, '_', '.' or '-', a letter or"
            " digit first",
            reason=ProblemReason.INVALID_NAME,
        )
    elif _FULL_ID.fullmatch(name):
        yield Violation(
            "/Name",
            "64 hexadecimal digits would be taken for a container's id",
            reason=ProblemReason.INVALID_NAME,
        )
    if not _PLATFORM.fullmatch(manifest.get("Platform", "any")):
        yield Violation("/Platform", "expected os[/architecture[/variant]]")
    if not manifest.get("Image"):
        yield Violation("/Image", "a manifest needs an Image")
    command = [*manifest.get("Entrypoint", ()), *manifest.get("Cmd", ())]
    size = measure(command)
    if size > MAX_COMMAND:
        yield Violation(
            "/Cmd",
            f"Entrypoint and Cmd (args of the built-in filter) take {size} bytes, and at most"
            f" {MAX_COMMAND} are taken; long input belongs into a file on a volume, or where the"
            " job can fetch it",
        )
    yield from _check_environment(manifest.get("Env", ()))
    hostname = manifest.get("Hostname", "")
    if len(hostname.encode()) > MAX_HOSTNAME:
        yield Violation(
            "/Hostname",
            f"takes {len(hostname.encode())} bytes, and at most {MAX_HOSTNAME} are taken: the job"
            " could never start",
        )
    host = manifest.get("HostConfig", {})
    yield from _check_ulimits(host.get("Ulimits", ()))
    yield from _check_paths(manifest, host)
    if not all(map(_can_be_user, manifest.get("User", "").split(":"))):
        yield Violation("/User", f"a number is above {MAX_USER}: the job could never start")
    yield from _check_labels(manifest.get("Labels", {}))
    yield from _check_sizes(manifest)


def check_rules(manifest: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield what every profile refuses, ``privileged`` included."""
    if manifest.get("HostConfig", {}).get("AutoRemove"):
        yield Violation(
            "/HostConfig/AutoRemove",
            "the engine would remove the job before anyone saw how it ended",
            "autoRemove",
            "nothing: finished jobs are removed by --keep-exited-for",
        )


def _check_environment(variables: Sequence[str]) -> Iterator[Violation]:
    for index, text in enumerate(variables):
        size = len(text.encode())
        if size > MAX_VARIABLE:
            yield Violation(
                point("/Env", index),
                f"takes {size} bytes, and at most {MAX_VARIABLE} are taken: no kernel starts a"
                " program with more in one variable; long input belongs into a file on a volume",
            )


def _check_paths(manifest: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield paths in the container that no file system can hold."""
    paths = [
        ("/WorkingDir", manifest.get("WorkingDir", "")),
        *((point("/Volumes", path), path) for path in manifest.get("Volumes", ())),
        *((point("/HostConfig/Tmpfs", path), path) for path in host.get("Tmpfs", ())),
        *(
            (f"{point('/HostConfig/Mounts', index)}/Target", mount.get("Target", ""))
            for index, mount in enumerate(host.get("Mounts", ()))
        ),
    ]
    for pointer, path in paths:
        if any(len(part.encode()) > MAX_FILE_NAME for part in path.split("/")):
            yield Violation(
                pointer, f"a name in it takes more than {MAX_FILE_NAME} bytes, which no path holds"
            )


def _can_be_user(text: str) -> bool:
    number = _NUMBER.fullmatch(text)
    return number is None or int(number[1][:11] or 0) <= MAX_USER


def _check_ulimits(ulimits: Sequence[Mapping[str, Any]]) -> Iterator[Violation]:
    for index, ulimit in enumerate(ulimits):
        # -1 is "unlimited"
        soft, hard = (ulimit.get(key, 0) for key in ("Soft", "Hard"))
        if hard != -1 and (soft == -1 or soft > hard):
            yield Violation(
                f"{point('/HostConfig/Ulimits', index)}/Soft",
                "is more than Hard: the job could never start",
            )


def _check_labels(labels: Mapping[str, str]) -> Iterator[Violation]:
    if measure(labels) + measure(labels.values()) > MAX_LABELS:
        yield Violation("/Labels", f"the labels take more than {MAX_LABELS >> 10} KiB")
        return
    for key in labels:
        if fold(key).startswith(PREFIX):
            yield Violation(
                point("/Labels", key),
                f"labels in {PREFIX}* are reserved",
                reason=ProblemReason.RESERVED_LABEL,
            )
        elif key in _OF_EVENTS:
            yield Violation(
                point("/Labels", key),
                "the label would overwrite the exit code in the engine's events",
                reason=ProblemReason.RESERVED_LABEL,
            )


def _check_sizes(manifest: Mapping[str, Any]) -> Iterator[Violation]:
    if measure(manifest.get("Env", ())) > MAX_VARIABLES:
        yield Violation("/Env", f"the variables take more than {MAX_VARIABLES >> 10} KiB")
    rest = {key: value for key, value in manifest.items() if key not in _COUNTED}
    if len(_encode(rest).encode()) > MAX_REST:
        message = f"takes more than {MAX_REST >> 10} KiB beside Env, Cmd, Entrypoint and Labels"
        yield Violation("", message)


def measure(texts: Iterable[str]) -> int:
    """Return the bytes of ``texts``, with one for the end of each."""
    return len("\0".join([*texts, ""]).encode())
