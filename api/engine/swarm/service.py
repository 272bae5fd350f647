"""The service that a job is on Swarm: made of a manifest that was admitted, and not started."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from api.engine.capabilities import Unsupported
from api.engine.swarm.container import make_container
from api.engine.swarm.networks import read_networks, read_ports
from api.engine.swarm.placement import make_placement
from api.engine.swarm.reading import Body, Version, get_host, take
from api.engine.swarm.resources import make_resources
from api.v1.quoting import quote
from api.v1.wishes import NodeLoss, decode_wishes

PREFIX: Final = "djd-"
"""What the name of each service of ours begins with: events tell names and no labels."""
_DIGITS: Final = 40
_CONDITIONS: Final = {"": "none", "no": "none", "on-failure": "on-failure"}


def name_service(namespace: str, name: str) -> str:
    """Return the name of a job's service: a service's has 63 characters, no dots and no case."""
    digest = hashlib.sha256(f"{namespace}\n{name}".encode()).hexdigest()
    return PREFIX + digest[:_DIGITS]


def make_service(
    name: str, body: Body, *, api_version: Version, platform: str | None
) -> dict[str, Any]:
    """Return the JSON that creates the service ``name`` with no replica: update it to 1 to start.

    ``body`` is a create body with our labels. What no service can have is left out:
    ``find_unsupported`` tells that.
    """
    template = {
        "ContainerSpec": make_container(body, api_version),
        "LogDriver": _make_log_driver(body),
        "Networks": take(read_networks(body)),
        "Placement": make_placement(body, platform),
        "Resources": make_resources(body),
        "RestartPolicy": _make_restart(body),
    }
    return {
        "Name": name,
        "Labels": dict(body.get("Labels", {})),
        "TaskTemplate": {key: value for key, value in template.items() if value},
        "Mode": {"Replicated": {"Replicas": 0}},
        # with the default mode each job that is recorded takes an address from its network
        "EndpointSpec": {"Mode": "dnsrr", "Ports": take(read_ports(body))},
    }


def read_restart(body: Body) -> Iterator[Unsupported]:
    """Yield why a job may not be run again after its end, where it may not.

    Swarm counts the loss of a node as a failure, so a job is retried only if it wishes to run again
    after that, too.
    """
    name = get_host(body).get("RestartPolicy", {}).get("Name", "")
    pointer = "/HostConfig/RestartPolicy/Name"
    if name not in {"", "no", "on-failure"}:
        yield Unsupported(pointer, f"Swarm would run a job without end: {quote(name)}")
    elif (
        name == "on-failure"
        and decode_wishes(body.get("Labels", {})).on_node_loss is not NodeLoss.RERUN
    ):
        message = (
            "Swarm would run the job again after the loss of its node, too: let Job.OnNodeLoss be"
            " Rerun if it may, or Name be no (JOB_RETRIES=0 for the built-in filter)"
        )
        yield Unsupported(pointer, message)


def _make_restart(body: Body) -> dict[str, Any]:
    policy: Body = get_host(body).get("RestartPolicy", {})
    name = policy.get("Name", "")
    condition = _CONDITIONS.get(name, "any")
    most = policy.get("MaximumRetryCount", 0)
    return {"Condition": condition} | ({"MaxAttempts": most} if condition == name and most else {})


def _make_log_driver(body: Body) -> dict[str, Any]:
    """Return what keeps the log; without a name it is the node's own, with these options."""
    log: Body = get_host(body).get("LogConfig", {})
    found = {"Name": log.get("Type", ""), "Options": dict(log.get("Config", {}))}
    return found if any(found.values()) else {}
