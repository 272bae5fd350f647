"""Values that the engine itself works on, at start or for as long as the job runs.

No limit of the job bounds that work, so ``baseline`` bounds the values.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.server.admission.paths import is_within, resolve
from api.server.admission.violations import Violation
from api.v1.quoting import point, quote

Body = Mapping[str, Any]

_SECOND: Final = 1_000_000_000
MAX_RETRIES: Final = 100
LONGEST_STOP: Final = 60
"""Seconds: an engine that ends waits for the longest of its containers."""

# A tag is a Go template: a plain field costs what it holds, anything else what it pleases.
_TAG: Final = re.compile(
    r"(?!(?:[^{]*\{\{){9})(?:[^{}\x00-\x1f\x7f]"
    r"|\{\{ *\.(?:ID|FullID|Name|ImageID|ImageFullID|ImageName|DaemonName) *\}\}){0,128}"
)
# Without {n}: a few characters of it make a program of megabytes, run over all labels.
_EXPRESSION: Final = re.compile(r"[^{}]{0,128}")
_NAMES: Final = re.compile(r"[^\x00-\x1f\x7f]{0,1024}")
_SWITCH: Final = re.compile("true|false")
_SIZE: Final = re.compile(r"([1-9][0-9]{0,11}) ?([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

_LOG_OPTIONS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "compress": (_SWITCH, "must be true or false"),
    "env": (_NAMES, "must be names in 1024 characters"),
    "env-regex": (_EXPRESSION, "must be a pattern of at most 128 characters without braces"),
    "labels": (_NAMES, "must be names in 1024 characters"),
    "labels-regex": (_EXPRESSION, "must be a pattern of at most 128 characters without braces"),
    "max-file": (re.compile("[1-9]|1[0-9]|20"), "must lie between 1 and 20"),
    "mode": (re.compile("blocking|non-blocking"), "must be blocking or non-blocking"),
    "tag": (
        _TAG,
        "must be at most 128 characters, up to 8 of them fields like {{.Name}}, no other template",
    ),
}
_LOG_SIZES: Final = {
    "max-buffer-size": (1 << 10, 8 << 20, "between 1k and 8m"),
    "max-size": (64 << 10, 1 << 30, "between 64k and 1g"),
}
MAX_COPIED: Final = 4 << 10
"""Bytes of labels and variables that a log driver copies into each line, however short that is."""
_ULIMITS: Final = frozenset(
    [
        *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"),
        *("nofile", "nproc", "rss", "sigpending", "stack"),
    ]
)
_CPUS: Final = re.compile(r"[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?){0,63}")
_PROBE_TIMES: Final = {
    "Interval": (5 * _SECOND, 24 * 3600 * _SECOND, "0 (the default) or between 5 s and 24 h"),
    "StartInterval": (5 * _SECOND, 24 * 3600 * _SECOND, "0 (the default) or between 5 s and 24 h"),
    "Timeout": (_SECOND, 3600 * _SECOND, "0 (the default) or between 1 s and 1 h"),
    "StartPeriod": (0, 24 * 3600 * _SECOND, "between 0 and 24 h"),
    "Retries": (0, 1000, "between 0 and 1000"),
}
COPIES: Final = f"the options copy more than {MAX_COPIED >> 10} KiB into each line of the log"
_TMPFS_WORDS: Final = frozenset(
    [
        *("", "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync"),
        *("async", "dirsync", "atime", "noatime", "diratime", "nodiratime", "relatime"),
        *("norelatime", "strictatime", "nostrictatime"),
    ]
)
_TMPFS_OPTION: Final = re.compile(
    r"(?:size|nr_inodes|nr_blocks)=[0-9]{1,15}[kmgKMG%]?|(?:mode|uid|gid)=[0-9]{1,10}"
)
_OPENING: Final = ("/proc", "/dev/fd")
"""Folders of open files: runc's own may be among them, and from there the host is in reach."""


def check_values(body: Body) -> Iterator[Violation]:
    """Yield each value of a rebuilt manifest that would have the engine work without bound."""
    host: Body = body.get("HostConfig", {})
    options: Body = host.get("LogConfig", {}).get("Config", {})
    yield from _check_logs(options)
    if _measure_copied(body, options) > MAX_COPIED:
        yield _deny("/HostConfig/LogConfig/Config", COPIES, "logDrivers")
    yield from check_probe(body.get("Healthcheck", {}), "/Healthcheck")
    yield from check_folder(body.get("WorkingDir", ""), "/WorkingDir")
    if not 0 <= body.get("StopTimeout", 0) <= LONGEST_STOP:
        message = f"must lie between 0 and {LONGEST_STOP} seconds: an engine that ends waits for it"
        yield _deny("/StopTimeout", message, "stopTimeout")
    if host.get("RestartPolicy", {}).get("MaximumRetryCount", 0) > MAX_RETRIES:
        pointer = "/HostConfig/RestartPolicy/MaximumRetryCount"
        yield _deny(pointer, f"must be at most {MAX_RETRIES}", "restartPolicy")
    for key in ("CpuRealtimePeriod", "CpuRealtimeRuntime"):
        if host.get(key):
            yield _deny(f"/HostConfig/{key}", "must be 0: it may starve the host", "realtime")
    for key in ("CpusetCpus", "CpusetMems"):
        if host.get(key) and not _CPUS.fullmatch(host[key]):
            message = "must be at most 64 numbers or ranges, each number at most 9999"
            yield _deny(f"/HostConfig/{key}", message, "cpuset")
    for index, limit in enumerate(host.get("Ulimits", ())):
        if limit.get("Name", "") not in _ULIMITS:
            message = f"{quote(limit.get('Name', ''))} is not one of {', '.join(sorted(_ULIMITS))}"
            yield _deny(f"/HostConfig/Ulimits/{index}/Name", message, "ulimits")
    yield from _check_tmpfs(host)


def check_probe(probe: Body, pointer: str) -> Iterator[Violation]:
    """Yield the times of a health check under which its probes would busy the engine."""
    for key, (least, most, words) in _PROBE_TIMES.items():
        if probe.get(key, 0) != 0 and not least <= probe[key] <= most:
            yield _deny(f"{pointer}/{key}", f"must be {words}", "healthcheck")


def check_folder(path: str, pointer: str) -> Iterator[Violation]:
    """Yield a working directory through which a container may get hold of the host's files."""
    if path and any(is_within(resolve(path), folder) for folder in _OPENING):
        yield _deny(pointer, f"must not lie within {' or '.join(_OPENING)}", "procPaths")


def _check_logs(options: Body) -> Iterator[Violation]:
    """Judge by the option alone: the driver may be the engine's default."""
    for option, value in options.items():
        pointer = point("/HostConfig/LogConfig/Config", option)
        if option in _LOG_SIZES:
            least, most, words = _LOG_SIZES[option]
            found = _SIZE.fullmatch(value)
            if not found or not least <= int(found[1]) * _UNITS[found[2].lower()] <= most:
                yield _deny(pointer, f"must lie {words}", "logDrivers")
        elif option in _LOG_OPTIONS:
            pattern, message = _LOG_OPTIONS[option]
            if not pattern.fullmatch(value):
                yield _deny(pointer, message, "logDrivers")


def _measure_copied(body: Body, options: Body) -> int:
    """Return the bytes of labels and variables that log options put into each line."""
    variables = dict(text.partition("=")[::2] for text in body.get("Env", ()))
    return sum(
        len(key.encode()) + len(value.encode())
        for option, texts in (("labels", body.get("Labels", {})), ("env", variables))
        for named in (frozenset(options.get(option, "").split(",")),)
        for key, value in texts.items()
        if f"{option}-regex" in options or key in named
    )


def copies(body: Body) -> bool:
    """Tell whether a manifest's log options copy labels or variables into each line."""
    options: Body = body.get("HostConfig", {}).get("LogConfig", {}).get("Config", {})
    return not {"env", "env-regex", "labels", "labels-regex"}.isdisjoint(options)


def _check_tmpfs(host: Body) -> Iterator[Violation]:
    for path, options in host.get("Tmpfs", {}).items():
        yield from _check_options(options.split(","), point("/HostConfig/Tmpfs", path))
    for index, mount in enumerate(host.get("Mounts", ())):
        for place, words in enumerate(mount.get("TmpfsOptions", {}).get("Options", ())):
            pointer = f"/HostConfig/Mounts/{index}/TmpfsOptions/Options/{place}"
            yield from _check_options(["=".join(words)], pointer)


def _check_options(options: list[str], pointer: str) -> Iterator[Violation]:
    for option in options:
        if option not in _TMPFS_WORDS and not _TMPFS_OPTION.fullmatch(option):
            yield _deny(pointer, f"{quote(option)} is not an option that is known", "tmpfs")


def _deny(pointer: str, message: str, rule: str) -> Violation:
    return Violation(pointer, message, rule, "the profile privileged")
