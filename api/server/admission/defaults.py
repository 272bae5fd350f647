"""What a manifest leaves open and the engine would take from the image, or leave without bound."""

from collections.abc import Mapping
from typing import Any, Final

_SECOND: Final = 1_000_000_000
_NONE: Final = {"Test": ["NONE"]}
# The engine's own defaults: what is 0 or absent comes from the image, a millisecond too.
_PROBE: Final = {"Interval": 30 * _SECOND, "Timeout": 30 * _SECOND, "Retries": 3}
_START_INTERVAL: Final = {"StartInterval": 5 * _SECOND}
_LOGS: Final = {"max-size": "10m", "max-file": "3"}
_UNBOUNDED: Final = "json-file"
"""The log driver that keeps everything unless it is told otherwise."""


def complete(
    body: Mapping[str, Any], *, api_version: tuple[int, int], log_driver: str
) -> dict[str, Any]:
    """Return an allowed body with the health check and the log bounds that it leaves open.

    ``log_driver`` is the engine's default.
    """
    host: Mapping[str, Any] = body.get("HostConfig", {})
    completed = dict(body) | {"Healthcheck": _complete_probe(body.get("Healthcheck"), api_version)}
    logs: Mapping[str, Any] = host.get("LogConfig", {})
    if (logs.get("Type") or log_driver) != _UNBOUNDED:
        return completed
    options = dict(logs.get("Config", {}))
    if "max-size" not in options:
        options = _LOGS | options
    bounded = {"Type": _UNBOUNDED, "Config": options}
    return completed | {"HostConfig": dict(host) | {"LogConfig": bounded}}


def _complete_probe(
    probe: Mapping[str, Any] | None, api_version: tuple[int, int]
) -> Mapping[str, Any]:
    """Return the health check with its times, and none where the manifest has none."""
    if probe is None:
        return dict(_NONE)
    if probe.get("Test", [])[:1] == ["NONE"]:
        return probe
    times = _PROBE | (_START_INTERVAL if api_version >= (1, 44) else {})
    return dict(probe) | {key: probe.get(key) or time for key, time in times.items()}
