"""Makes the adapter of an engine's kind; that of Swarm is loaded only where it is asked for."""

from collections.abc import Mapping, Sequence

from api.engine.capabilities import EngineKind, Unsupported
from api.engine.docker.connection import NEWEST_API
from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.interface import Engine
from api.engine.lease import LeaseStore


def make_engine(
    kind: EngineKind,
    endpoint: Endpoint,
    namespace: str,
    *,
    timeout: float,
    writes_ends: bool = False,
) -> Engine:
    """Return the engine of ``kind`` at ``endpoint``; ``timeout`` is the deadline of a call.

    ``writes_ends``: it notes on the engine how jobs ended, where the engine itself forgets that.
    One process does: the controller. Made inside a running event loop.
    """
    match kind:
        case EngineKind.DOCKER:
            return DockerEngine(endpoint, namespace, timeout=timeout)
        case EngineKind.SWARM:
            from api.engine.swarm.engine import SwarmEngine

            return SwarmEngine(endpoint, namespace, timeout=timeout, writes_ends=writes_ends)


def make_lease_store(endpoint: Endpoint, namespace: str) -> LeaseStore:
    """Return the record of a swarm's lease. Made inside a running event loop."""
    from api.engine.swarm.lease import ConfigStore

    return ConfigStore(endpoint, namespace)


def find_unsupported(kind: EngineKind, body: Mapping[str, object]) -> Sequence[Unsupported]:
    """Find what no engine of ``kind`` can do of a manifest, where there is none to be asked."""
    match kind:
        case EngineKind.DOCKER:
            return ()
        case EngineKind.SWARM:
            from api.engine.swarm import unsupported

            return unsupported.find_unsupported(body, NEWEST_API)
