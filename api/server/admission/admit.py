"""Admission: a filter's output becomes the one document that is sent to the engine, or a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from api.server.admission.settings import AdmissionSettings, Permissions, Profile
from api.server.problems import Problem
from api.v1.labels import is_valid_name


@dataclass(frozen=True, slots=True)
class Policy:
    """What is allowed: a profile, what widens it, and host paths that nothing can open.

    ``guarded`` are absolute paths of our own (filter configs, token files, the engine's socket if
    it lies elsewhere than usual): no bind mount may hold one or lie within.
    """

    profile: Profile = Profile.BASELINE
    allow: Permissions = field(default_factory=Permissions)
    guarded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A create call, ready but for our labels: ``body`` is its JSON, without Name and Platform."""

    name: str
    platform: str | None
    body: dict[str, object] = field(hash=False)


def choose_policy(
    default: Profile, settings: AdmissionSettings, *, guarded: tuple[str, ...] = ()
) -> Policy:
    """Return the policy of a filter: its own profile, or else the process's ``default``."""
    return Policy(settings.profile or default, settings.allow, guarded)


def admit(manifest: object, policy: Policy, *, api_version: tuple[int, int]) -> Admitted:
    """Return the create call that ``manifest`` asks for, built anew from known keys."""
    del policy, api_version
    if not isinstance(manifest, dict):
        raise Problem(400, "InvalidManifest", "the filter's output is not an object")
    name = manifest.get("Name")
    if not isinstance(name, str):
        raise Problem(400, "NameMissing", "the manifest has no Name")
    if not is_valid_name(name):
        raise Problem(400, "InvalidName", "the manifest's Name is no container name")
    members = cast("Mapping[str, Any]", manifest)
    body = {k: v for k, v in members.items() if k not in {"Name", "Platform"} and v is not None}
    return Admitted(name, members.get("Platform"), body)
