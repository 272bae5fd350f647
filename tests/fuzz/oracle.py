"""What must hold after every request: a documented answer, no refusal that leaves something."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from api.server.docs import openapi
from api.v1.labels import CANCELS
from tests.chaos.raw import RawEngine
from tests.fuzz.shots import Shot

_ELSEWHERE = {(404, "NotFound"), (405, "MethodNotAllowed")}
_EMPTY = ("CapAdd", "Devices", "DeviceCgroupRules", "DeviceRequests", "VolumesFrom", "Sysctls")
_MODES = ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")


class BrokenError(Exception):
    """Something that must hold does not."""


class Oracle:
    """Judges every answer by the OpenAPI document and by what the engine holds after it."""

    def __init__(self, engine: RawEngine) -> None:
        self._engine = engine
        self.cancelled = 0
        self._held = self.list_ids()
        self._known = _ELSEWHERE | set(list_reasons(openapi.load()))
        self.codes: Counter[int] = Counter()
        self.created = 0

    def list_ids(self) -> set[str]:
        """Return the ids of all containers on the engine; marks are taken away, not counted."""
        status, rows = self._engine.call("GET", "containers/json", all="1")
        assert status == 200
        marks = {row["Id"] for row in rows if row["Labels"].get(CANCELS)}
        self.cancelled += len(marks)
        for container_id in marks:
            if escapes := list(find_escapes(self._engine.inspect(container_id) or {})):
                raise BrokenError(f"a mark reaches the host: {escapes}")
            self._engine.call("DELETE", f"containers/{container_id}", force="1", v="1")
        return {row["Id"] for row in rows} - marks

    def judge(self, shot: Shot, code: int, body: bytes) -> None:
        """Check one answer and the engine behind it; take away what was recorded."""
        self.codes[code] += 1
        if code >= 400 and shot.method != "HEAD":
            error = json.loads(body)["error"]
            if (code, error["reason"]) not in self._known or error["code"] != code:
                raise BrokenError(f"{shot}: not documented: {error}")
        if code >= 500:
            raise BrokenError(f"{shot}: {code}: {body[:500]!r}")
        fresh = self.list_ids() - self._held
        if len(fresh) != (code == 201):
            raise BrokenError(f"{shot}: {code}, and {len(fresh)} containers more on the engine")
        self.clear(fresh)

    def clear(self, fresh: set[str]) -> None:
        """Judge the containers ``fresh``, and take them away."""
        for container_id in fresh:
            facts = self._engine.inspect(container_id)
            assert facts is not None
            if escapes := list(find_escapes(facts)):
                raise BrokenError(f"{facts['Name']} reaches the host: {escapes}")
            gone, answer = self._engine.call(
                "DELETE", f"containers/{container_id}", force="1", v="1"
            )
            if gone != 204:
                raise BrokenError(f"{facts['Name']} cannot be removed: {gone}: {answer}")
        self.created += len(fresh)

    def clear_all(self) -> int:
        """Judge and take away all that is new; return how many those are."""
        fresh = self.list_ids() - self._held
        self.clear(fresh)
        return len(fresh)


def find_escapes(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of an inspected container reaches beyond it, or has started."""
    host: Mapping[str, Any] = facts["HostConfig"]
    if host["Privileged"]:
        yield "Privileged"
    yield from (key for key in _EMPTY if host.get(key))
    for key in _MODES:
        mode = host.get(key) or ""
        if mode == "host" or ":" in mode:
            yield f"{key}={mode}"
    for bind in host.get("Binds") or []:
        # without a colon it is a path inside, for a volume without a name
        if bind.startswith(("/", ".", "~")) and ":" in bind:
            yield bind
    yield from (str(mount) for mount in facts["Mounts"] if mount["Type"] == "bind")
    for mount in host.get("Mounts") or []:
        if ((mount.get("VolumeOptions") or {}).get("DriverConfig") or {}).get("Options"):
            yield str(mount)
    if facts["State"]["Status"] != "created":
        yield facts["State"]["Status"]


def list_reasons(document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield every pair of status and reason that ``document`` says an error may have."""
    stack: list[Any] = [document]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict):
            code, reason = part.get("code"), part.get("reason")
            if isinstance(code, dict) and "const" in code and isinstance(reason, dict):
                reasons = reason.get("enum") or [reason["const"]]
                yield from ((code["const"], each) for each in reasons)
            stack.extend(part.values())
