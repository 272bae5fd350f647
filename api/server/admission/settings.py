"""What an operator may say about admission: a profile, and permissions that widen it."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.server.admission.paths import normalise


class Profile(StrEnum):
    """How much a manifest may ask for, in the sense of Kubernetes' Pod Security Standards."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


def _check_path(path: str) -> str:
    normal = normalise(path)
    if normal is None:
        raise ValueError("expected an absolute path without '..'")
    return normal


def _check_capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


HostPath = Annotated[str, AfterValidator(_check_path)]
Capability = Annotated[str, Field(min_length=1), AfterValidator(_check_capability)]
Text = Annotated[str, Field(min_length=1)]


class Permissions(BaseModel):
    """Named widenings of a profile; only the operator's configuration can grant them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )

    host_paths: tuple[HostPath, ...] = Field(default=(), strict=False)
    """Absolute path prefixes of the host that bind mounts may use."""
    devices: tuple[Text, ...] = Field(default=(), strict=False)
    """Host device paths that may be passed in, and ids or capabilities of device requests."""
    capabilities: tuple[Capability, ...] = Field(default=(), strict=False)
    """Linux capabilities that CapAdd may name, with or without the ``CAP_`` prefix."""
    networks: tuple[Text, ...] = Field(default=(), strict=False)
    """Network modes and networks allowed beyond the profile's, ``host`` included."""
    images: tuple[Text, ...] = Field(default=(), strict=False)
    """Image patterns: the only images taken; without any, ``restricted`` takes none.

    ``*``, ``?`` and ``[…]`` match within a segment between slashes, a last ``**`` matches the rest.
    """
    memory: int = Field(default=1 << 30, ge=6 << 20)
    """The memory ceiling of ``restricted``, in bytes."""
    pids: int = Field(default=512, ge=1)
    """The pids limit of ``restricted``."""


class AdmissionSettings(BaseModel):
    """The ``admission`` part of a filter config; an unset profile means the process's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: Profile | None = Field(default=None, strict=False)
    allow: Permissions = Permissions()
