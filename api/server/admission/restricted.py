"""The profile ``restricted``: ``baseline``, and a job that is never root and has its limits."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.server.admission.policy import AdmissionPolicy
from api.server.admission.violations import Violation

Body = Mapping[str, Any]
# A name could stand for 0 in the image's own list of users; of a number the engine asks nothing.
_USER: Final = re.compile(r"[1-9][0-9]{0,9}(:.*)?")
_NO_NEW_PRIVILEGES: Final = "no-new-privileges:true"


def check_restricted(body: Body, policy: AdmissionPolicy) -> Iterator[Violation]:
    """Yield what ``restricted`` refuses beyond ``baseline``."""
    host: Body = body.get("HostConfig", {})
    if not _USER.fullmatch(body.get("User", "")):
        yield Violation(
            "/User",
            "must be a number other than 0, with or without a group",
            "nonRoot",
            "the profile baseline",
        )
    yield from _check_limit(host, "PidsLimit", policy.allow.pids, "pids")
    yield from _check_limit(host, "Memory", policy.allow.memory, "memory")
    # The engine's own default is twice the memory, with swap counted in.
    yield from _check_limit(host, "MemorySwap", 2 * policy.allow.memory, "memory")


def harden(body: Body, policy: AdmissionPolicy) -> dict[str, Any]:
    """Return an allowed body with what ``restricted`` forces on every job."""
    host: Body = body.get("HostConfig", {})
    options = [o for o in host.get("SecurityOpt", ()) if not o.startswith("no-new-privileges")]
    return dict(body) | {
        "HostConfig": dict(host)
        | {
            "SecurityOpt": [*options, _NO_NEW_PRIVILEGES],
            "CapDrop": ["ALL"],
            "PidsLimit": host.get("PidsLimit") or policy.allow.pids,
            "Memory": host.get("Memory") or policy.allow.memory,
        }
    }


def _check_limit(host: Body, key: str, most: int, permission: str) -> Iterator[Violation]:
    # Zero is the engine's word for unset, -1 for unlimited.
    if not 0 <= host.get(key, 0) <= most:
        yield Violation(
            f"/HostConfig/{key}",
            f"must lie between 1 and {most}",
            permission,
            f"{permission} of the filter config",
        )
