"""What the API process was asked to be, apart from where it listens."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from api.server.admission.settings import Profile
from api.server.images.settings import Pulling


@dataclass(frozen=True, slots=True)
class Settings:
    """One namespace, the profile of filters that name none, our own files, and what is pulled.

    ``guarded`` are absolute paths (filter configs, the engine's socket) that no job may mount.
    """

    namespace: str
    profile: Profile = Profile.BASELINE
    guarded: tuple[str, ...] = ()
    pulling: Pulling = field(default_factory=Pulling)


def is_address(text: str) -> bool:
    """Tell whether ``text`` is something to listen on: an IP address or ``localhost``."""
    try:
        ip_address(text)
    except ValueError:
        return text == "localhost"
    return True


def is_loopback(address: str) -> bool:
    """Tell whether only this host can reach ``address``."""
    return address == "localhost" or ip_address(address).is_loopback
