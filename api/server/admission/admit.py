"""Admission: what a filter made becomes the one document the engine is sent, or a refusal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from api.server.admission.baseline import check_baseline
from api.server.admission.defaults import complete
from api.server.admission.limits import check_limits, check_rules
from api.server.admission.policy import AdmissionPolicy, choose_policy
from api.server.admission.restricted import check_restricted, harden
from api.server.admission.sanitize import sanitize
from api.server.admission.settings import Profile
from api.server.admission.suggestions import fold
from api.server.admission.violations import Violation, refuse_denied, refuse_form
from api.server.admission.wishes import show_wishes, take_wishes
from api.v1.wishes import NO_WISHES, Wishes, encode_wishes

__all__ = ["AdmissionPolicy", "Admitted", "admit", "choose_policy"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A create call, ready but for our labels: ``body`` is its JSON, without Name and Platform.

    ``wishes`` are what the manifest asks of the controller.
    """

    name: str
    platform: str | None
    body: dict[str, Any] = field(hash=False)
    wishes: Wishes = NO_WISHES

    @property
    def manifest(self) -> dict[str, object]:
        """The manifest that was admitted, as a filter would spell it."""
        platform = {"Platform": self.platform} if self.platform else {}
        return {"Name": self.name, **platform, **show_wishes(self.wishes), **self.body}

    @property
    def asked(self) -> dict[str, object]:
        """What is asked of an engine, for it to judge: the body, Platform, and labels of wishes."""
        labels = {**self.labels, **encode_wishes(self.wishes)}
        return {**self.body, "Labels": labels, "Platform": self.platform}

    @property
    def image(self) -> str:
        """The image that the container is made of."""
        return str(self.body["Image"])

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the manifest."""
        return self.body.get("Labels") or {}


def admit(
    manifest: object,
    policy: AdmissionPolicy,
    *,
    api_version: tuple[int, int],
    log_driver: str = "",
) -> Admitted:
    """Return the create call that ``manifest`` asks for, built anew and judged by ``policy``.

    Raises ``Problem``: 400 for a malformed manifest (``InvalidManifest``, or ``NameMissing``,
    ``InvalidName``, ``ReservedLabel`` if that is all), 403 ``Denied`` for one that the profile
    refuses. A 400 tells what the profile refuses besides, so that nobody corrects twice. Both list
    up to 50 ``violations``, each with its JSON pointer. ``api_version`` is the one spoken with the
    engine, ``log_driver`` the engine's default. Pure; the time it takes grows with the manifest's
    size alone.
    """
    manifest, wishes, wrong = take_wishes(manifest)
    built, faults = sanitize(manifest, api_version)
    faults = [*wrong, *faults]
    if isinstance(manifest, dict):
        limits = [*check_limits(built)]
        if limits:
            known = {fault.pointer for fault in faults} | _find_misspelt(manifest)
            faults += [limit for limit in limits if limit.pointer not in known]
    if faults:
        refuse_form(faults, _look_ahead(built, policy, faults))
    refuse_denied(policy.profile, _check_profile(built, policy))
    if policy.profile is not Profile.PRIVILEGED:
        built = complete(built, api_version=api_version, log_driver=log_driver)
    if policy.profile is Profile.RESTRICTED:
        built = harden(built, policy)
    return Admitted(built.pop("Name"), built.pop("Platform", None), built, wishes)


def _check_profile(manifest: Mapping[str, Any], policy: AdmissionPolicy) -> Iterator[Violation]:
    yield from check_rules(manifest)
    if policy.profile is not Profile.PRIVILEGED:
        yield from check_baseline(manifest, policy)
    if policy.profile is Profile.RESTRICTED:
        yield from check_restricted(manifest, policy)


def _look_ahead(
    manifest: Mapping[str, Any], policy: AdmissionPolicy, faults: Sequence[Violation]
) -> Iterator[Violation]:
    """Yield what the profile will refuse of a manifest that has ``faults``, and that is sure.

    What stands beside a fault may be wrong for its sake alone (a misspelt ``Type``), and what
    ``restricted`` misses may be what is misspelt.
    """
    if policy.profile is Profile.PRIVILEGED:
        return
    parents = {_get_parent(fault) for fault in faults}
    for violation in chain(check_rules(manifest), check_baseline(manifest, policy)):
        if violation.rule != "images" and _get_parent(violation) not in parents:
            yield violation


def _find_misspelt(manifest: Mapping[str, Any]) -> set[str]:
    """Return the pointers of required keys that are not missing but misspelt."""
    folded = {fold(key) for key in manifest}
    return {f"/{k}" for k in ("Name", "Image") if k not in manifest and fold(k) in folded}


def _get_parent(violation: Violation) -> str:
    return violation.pointer.rpartition("/")[0]
