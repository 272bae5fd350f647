"""What a manifest says of the container itself, as the container spec of a service."""

import re
from collections.abc import Iterator
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.mounts import read_mounts
from api.engine.swarm.reading import Body, Version, explain_version, get_host, take
from api.engine.swarm.templates import escape, escape_variable
from api.v1.condition import DEFAULT_GRACE
from api.v1.quoting import point, quote
from api.v1.times import SECOND

_SAME: Final = {
    "Image": "Image",
    "Labels": "Labels",
    "User": "User",
    "WorkingDir": "Dir",
    "Tty": "TTY",
    "OpenStdin": "OpenStdin",
    "StopSignal": "StopSignal",
    "Healthcheck": "Healthcheck",
}
"""Members of a manifest that a container spec has by another name at most."""
_SAME_OF_HOST: Final = {
    "GroupAdd": "Groups",
    "ReadonlyRootfs": "ReadOnly",
    "Init": "Init",
    "Sysctls": "Sysctls",
    "CapAdd": "CapabilityAdd",
    "CapDrop": "CapabilityDrop",
    "Ulimits": "Ulimits",
    "Isolation": "Isolation",
    "OomScoreAdj": "OomScoreAdj",
}
"""The same of members of the host config."""
_DNS: Final = {"Dns": "Nameservers", "DnsSearch": "Search", "DnsOptions": "Options"}
_ISOLATIONS: Final = frozenset({"", "default", "process", "hyperv"})

_ID: Final = re.compile("[0-9a-f]{64}")
_NO_GAIN: Final = re.compile("no-new-privileges(?:[:=](true|false))?")
_PRIVILEGES_SINCE: Final = (1, 44)
SYSTEM_LABELS: Final = frozenset(
    f"com.docker.swarm.{key}"
    for key in ("task", "task.id", "task.name", "node.id", "service.id", "service.name")
)
"""What a node writes over."""


def make_container(body: Body, version: Version) -> dict[str, Any]:
    """Return the container spec of a manifest's service.

    The grace of a stop is always there: what Swarm's default is, its answers do not say.
    """
    host = get_host(body)
    spec = {theirs: body[ours] for ours, theirs in _SAME.items() if ours in body}
    spec |= {theirs: host[ours] for ours, theirs in _SAME_OF_HOST.items() if ours in host}
    spec |= _make_command(body)
    spec["StopGracePeriod"] = body.get("StopTimeout", DEFAULT_GRACE) * SECOND
    if hostname := body.get("Hostname"):
        spec["Hostname"] = escape(hostname)
    if variables := body.get("Env"):
        spec["Env"] = [*map(escape_variable, variables)]
    if mounts := take(read_mounts(body, version)):
        spec["Mounts"] = mounts
    if hosts := take(_read_hosts(host)):
        spec["Hosts"] = hosts
    if dns := {theirs: host[ours] for ours, theirs in _DNS.items() if host.get(ours)}:
        spec["DNSConfig"] = dns
    if any(take(_read_options(host, version))):
        spec["Privileges"] = {"NoNewPrivileges": True}
    return spec


def read_container(body: Body, version: Version) -> Iterator[object]:
    """Yield the parts of a container spec that have values no service takes, and why."""
    host = get_host(body)
    yield from read_mounts(body, version)
    yield from _read_hosts(host)
    yield from _read_options(host, version)
    if _ID.fullmatch(body.get("Image", "")):
        yield Unsupported(
            "/Image", "Swarm takes no bare id of an image: write sha256:… or its name"
        )
    if body.get("Entrypoint") == [] and not body.get("Cmd"):
        message = "Swarm cannot leave out the image's entrypoint and keep its command: give a Cmd"
        yield Unsupported("/Entrypoint", message)
    if body.get("StopTimeout", 0) < 0:
        yield Unsupported("/StopTimeout", "Swarm waits for no end without a limit")
    for label in sorted(SYSTEM_LABELS & body.get("Labels", {}).keys()):
        yield Unsupported(point("/Labels", label), "Swarm sets this label itself")
    if host.get("Isolation", "") not in _ISOLATIONS:
        message = f"Swarm knows no isolation {quote(host['Isolation'])}"
        yield Unsupported("/HostConfig/Isolation", message)


def _make_command(body: Body) -> dict[str, list[str]]:
    """Return what runs: without a command of a service's own its node takes the image's."""
    entrypoint, command = body.get("Entrypoint"), body.get("Cmd")
    if entrypoint == [] and command:
        entrypoint = [""]  # the engine's other word for none
    return ({"Command": entrypoint} if entrypoint else {}) | ({"Args": command} if command else {})


def _read_hosts(host: Body) -> Iterator[str | Unsupported]:
    """Yield lines of ``/etc/hosts``, whose words stand the other way round."""
    for index, entry in enumerate(host.get("ExtraHosts", ())):
        name, _, address = entry.partition(":")
        if len(name.split()) == len(address.split()) == 1:
            yield f"{address} {name}"
        else:
            pointer = point("/HostConfig/ExtraHosts", index)
            yield Unsupported(pointer, "Swarm takes hosts of the form name:address alone")


def _read_options(host: Body, version: Version) -> Iterator[bool | Unsupported]:
    """Yield whether each security option takes the way to more privileges."""
    for index, option in enumerate(host.get("SecurityOpt", ())):
        pointer = point("/HostConfig/SecurityOpt", index)
        found = _NO_GAIN.fullmatch(option)
        if found is None:
            yield Unsupported(pointer, f"Swarm has no security option {quote(option)}")
        elif found[1] == "false":
            yield False
        elif version >= _PRIVILEGES_SINCE:
            yield True
        else:
            yield Unsupported(pointer, explain_version(_PRIVILEGES_SINCE, version))
