"""The networks and ports of a manifest as those of a service."""

import re
from collections.abc import Iterator
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.reading import Body, get_host
from api.v1.quoting import point, quote

Attachment = dict[str, Any]
Port = dict[str, Any]

_DEFAULTS: Final = frozenset({"", "default"})
_NO_NETWORK: Final = (
    "Swarm runs no job without a network: name an internal overlay network in its place"
)
_ENDPOINTS: Final = "/NetworkingConfig/EndpointsConfig"
_PORT: Final = re.compile("([0-9]{1,5})(?:/(tcp|udp|sctp))?")
_NUMBER: Final = re.compile("[0-9]{0,5}")


def read_networks(body: Body) -> Iterator[Attachment | Unsupported]:
    """Yield the networks of a service: none is that of the node's engine, as on one engine."""
    mode: str = get_host(body).get("NetworkMode", "")
    endpoints: Body = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    if mode == "none":
        yield Unsupported("/HostConfig/NetworkMode", _NO_NETWORK)
    elif mode.startswith("container:"):
        message = "Swarm shares no network of another container"
        yield Unsupported("/HostConfig/NetworkMode", message)
    elif mode not in _DEFAULTS and not _names(endpoints, mode):
        yield {"Target": mode}
    for name, endpoint in endpoints.items():
        target = endpoint.get("NetworkID") or name
        settings = {k: endpoint[k] for k in ("Aliases", "DriverOpts") if endpoint.get(k)}
        if target == "none":
            yield Unsupported(point(_ENDPOINTS, name), _NO_NETWORK)
        elif target not in _DEFAULTS:
            yield {"Target": target, **settings}
        elif settings:
            message = "Swarm has no settings for the network that a job has by default"
            yield Unsupported(point(_ENDPOINTS, name), message)


def _names(endpoints: Body, network: str) -> bool:
    return network in endpoints or any(
        endpoint.get("NetworkID") == network for endpoint in endpoints.values()
    )


def read_ports(body: Body) -> Iterator[Port | Unsupported]:
    """Yield the ports that a node publishes for a job, where Swarm places by what is free."""
    for key, bindings in get_host(body).get("PortBindings", {}).items():
        if not bindings:
            continue  # publishes nothing
        pointer = point("/HostConfig/PortBindings", key)
        port = _PORT.fullmatch(key)
        if port is None:
            yield Unsupported(pointer, f"Swarm publishes no {quote(key)}, but ports like 80/tcp")
        elif len(bindings) > 1:
            yield Unsupported(pointer, "Swarm publishes a port of a job as one of the node alone")
        elif bindings[0].get("HostIp"):
            yield Unsupported(f"{pointer}/0/HostIp", "Swarm publishes on all addresses of a node")
        elif not _NUMBER.fullmatch(bindings[0].get("HostPort", "")):
            yield Unsupported(f"{pointer}/0/HostPort", "Swarm publishes one port, not one of many")
        else:
            published = bindings[0].get("HostPort")
            yield {
                "TargetPort": int(port[1]),
                "Protocol": port[2] or "tcp",
                "PublishMode": "host",
                **({"PublishedPort": int(published)} if published else {}),
            }
