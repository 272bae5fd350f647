"""What the process was asked to do about images that are not there."""

from dataclasses import dataclass

from api.server.filters.config import PullPolicy
from api.server.images.credentials import RegistryConfig


@dataclass(frozen=True, slots=True)
class Pulling:
    """The policy of filters that name none, and the bounds of every pull.

    ``timeout`` is in seconds. ``waiting`` is how many requests may wait for pulls at once: fewer
    than may wait in all, so that slow registries leave room for jobs whose images are there.
    """

    policy: PullPolicy = PullPolicy.NEVER
    timeout: float = 300.0
    waiting: int = 64
    config: RegistryConfig | None = None
