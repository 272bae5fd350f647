"""What an operator may say about admission: a profile, and permissions that widen it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Profile(StrEnum):
    """How much a manifest may ask for, in the sense of Kubernetes' Pod Security Standards."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


class Permissions(BaseModel):
    """Named widenings of a profile; only the operator's configuration can grant them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )

    host_paths: tuple[str, ...] = Field(default=(), strict=False)
    """Absolute path prefixes of the host that bind mounts may use."""
    devices: tuple[str, ...] = Field(default=(), strict=False)
    """Host device paths that may be passed in."""
    capabilities: tuple[str, ...] = Field(default=(), strict=False)
    """Linux capabilities that CapAdd may name, without the ``CAP_`` prefix."""
    networks: tuple[str, ...] = Field(default=(), strict=False)
    """Network modes and networks allowed beyond the profile's, ``host`` included."""
    images: tuple[str, ...] = Field(default=(), strict=False)
    """Image name patterns (``fnmatch``), the allow list of ``restricted``."""


class AdmissionSettings(BaseModel):
    """The ``admission`` part of a filter config; an unset profile means the process's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: Profile | None = Field(default=None, strict=False)
    allow: Permissions = Permissions()
