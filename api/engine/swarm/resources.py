"""Limits, reservations and the choice of a node: Swarm places a job by what it reserves.

What caps the jobs of one node is what they reserve. ``MaxReplicas`` of a placement does not: it
counts the tasks of one service, and each job is a service of its own. An operator who wants at most
four jobs on a node gives it four of a resource (``node-generic-resources: ["slot=4"]``), of which
each job requests one.
"""

from collections.abc import Iterator
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.reading import Body, get_host, take
from api.v1.quoting import point, quote

_DEFAULT: Final = -1


def make_resources(body: Body) -> dict[str, Any]:
    """Return the resources of a service: what is limited is reserved, too."""
    host = get_host(body)
    memory, cpus, pids = (host.get(key, 0) for key in ("Memory", "NanoCpus", "PidsLimit"))
    limits = {"MemoryBytes": memory, "NanoCPUs": cpus, "Pids": max(pids, 0)}
    reserved = {"MemoryBytes": host.get("MemoryReservation") or memory, "NanoCPUs": cpus}
    made: dict[str, Any] = {
        "Limits": {key: value for key, value in limits.items() if value},
        "Reservations": {key: value for key, value in reserved.items() if value},
    }
    if devices := take(_read_devices(host)):
        made["Reservations"]["GenericResources"] = devices
    return {key: value for key, value in made.items() if value}


def read_resources(body: Body) -> Iterator[object]:
    """Yield what a service has of a manifest's resources, and what it cannot have."""
    host = get_host(body)
    yield from _read_devices(host)
    yield from _read_swap(host)


def _read_devices(host: Body) -> Iterator[dict[str, Any] | Unsupported]:
    """Yield what is requested of the resources that nodes have beside memory and processors.

    ``Capabilities: [["gpu"]]`` is the resource ``gpu``. Its node says in ``DOCKER_RESOURCE_GPU``
    which of them a job has; NVIDIA's runtime obeys that if it is configured to.
    """
    for index, request in enumerate(host.get("DeviceRequests", ())):
        pointer = point("/HostConfig/DeviceRequests", index)
        match request.get("Capabilities"):
            case [[kind]]:
                pass
            case _:
                message = "Swarm takes one capability here: the name of a resource that nodes have"
                yield Unsupported(f"{pointer}/Capabilities", message)
                continue
        if request.get("Count", 0) < 1:
            message = f"Swarm takes a number from 1 on here: how many of {quote(kind)} are reserved"
            yield Unsupported(f"{pointer}/Count", message)
        else:
            yield {"DiscreteResourceSpec": {"Kind": kind, "Value": request["Count"]}}


def _read_swap(host: Body) -> Iterator[Unsupported]:
    """Yield what is said of swap, unless a node does so anyway.

    A service has it from API version 1.52 on, which is newer than any that is spoken here.
    """
    memory, total = host.get("Memory", 0), host.get("MemorySwap", 0)
    if total not in {0, 2 * memory} and not (total == _DEFAULT and not memory):
        message = "Swarm gives a job as much swap as memory: let MemorySwap be twice Memory"
        yield Unsupported("/HostConfig/MemorySwap", message)
    if host.get("MemorySwappiness", _DEFAULT) != _DEFAULT:
        message = "Swarm leaves it to the node how early it swaps"
        yield Unsupported("/HostConfig/MemorySwappiness", message)
