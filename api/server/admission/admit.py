"""Admission: what a filter made becomes the one document the engine is sent, or a refusal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.server.admission.baseline import check_baseline
from api.server.admission.limits import check_limits, check_rules
from api.server.admission.policy import AdmissionPolicy, choose_policy
from api.server.admission.restricted import check_restricted, harden
from api.server.admission.sanitize import sanitize
from api.server.admission.settings import Profile
from api.server.admission.violations import Violation, refuse_denied, refuse_form

__all__ = ["AdmissionPolicy", "Admitted", "admit", "choose_policy"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A create call, ready but for our labels: ``body`` is its JSON, without Name and Platform."""

    name: str
    platform: str | None
    body: dict[str, object] = field(hash=False)


def admit(manifest: object, policy: AdmissionPolicy, *, api_version: tuple[int, int]) -> Admitted:
    """Return the create call that ``manifest`` asks for, built anew and judged by ``policy``.

    Raises ``Problem``: 400 for a malformed manifest (``InvalidManifest``, or ``NameMissing``,
    ``InvalidName``, ``ReservedLabel`` if that is all), 403 ``Denied`` for one that the profile
    refuses. Both list up to 50 ``violations``, each with its JSON pointer. ``api_version`` is the
    one spoken with the engine. Pure; the time it takes grows with the manifest's size alone.
    """
    built, faults = sanitize(manifest, api_version)
    refuse_form(faults or check_limits(built))
    refuse_denied(policy.profile, _check_profile(built, policy))
    if policy.profile is Profile.RESTRICTED:
        built = harden(built, policy)
    return Admitted(built.pop("Name"), built.pop("Platform", None), built)


def _check_profile(manifest: Mapping[str, Any], policy: AdmissionPolicy) -> Iterator[Violation]:
    yield from check_rules(manifest)
    if policy.profile is not Profile.PRIVILEGED:
        yield from check_baseline(manifest, policy)
    if policy.profile is Profile.RESTRICTED:
        yield from check_restricted(manifest, policy)
