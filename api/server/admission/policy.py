"""The policy that one manifest is judged by."""

from dataclasses import dataclass, field

from api.server.admission.settings import AdmissionSettings, Permissions, Profile


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """What is allowed: a profile, what widens it, and host paths that nothing can open.

    ``guarded`` are absolute paths of our own (filter configs, token files, the engine's socket if
    it lies elsewhere than usual): no bind mount may hold one or lie within.
    """

    profile: Profile = Profile.BASELINE
    allow: Permissions = field(default_factory=Permissions)
    guarded: tuple[str, ...] = ()


def choose_policy(
    default: Profile, settings: AdmissionSettings, *, guarded: tuple[str, ...] = ()
) -> AdmissionPolicy:
    """Return the policy of a filter: its own profile, or else the process's ``default``."""
    return AdmissionPolicy(settings.profile or default, settings.allow, guarded)
