"""The settings that requests are served by, and tests of listening addresses."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from api.server.admission.settings import Profile
from api.server.images.settings import Pulling


@dataclass(frozen=True, slots=True)
class Settings:
    """What the API serves every request by.

    ``profile`` is that of filters that name none; ``guarded`` are the absolute paths of our own
    files and the engine's socket, which no job may mount; ``max_pending`` is the most jobs that may
    wait, ``max_watchers`` the most requests that may wait for jobs or follow them, which take no
    more of ``max_connections`` than leaves others room. The controller at ``controller_url`` is
    asked why a job waits.
    """

    namespace: str
    profile: Profile = Profile.BASELINE
    guarded: tuple[str, ...] = ()
    pulling: Pulling = field(default_factory=Pulling)
    max_pending: int = 10_000
    max_watchers: int = 256
    max_connections: int = 512
    controller_url: str | None = None


def is_address(text: str) -> bool:
    """Tell whether ``text`` can be listened on: an IP address or ``localhost``."""
    try:
        ip_address(text)
    except ValueError:
        return text == "localhost"
    return True


def is_loopback(address: str) -> bool:
    """Tell whether only this host can reach ``address``."""
    return address == "localhost" or ip_address(address).is_loopback
