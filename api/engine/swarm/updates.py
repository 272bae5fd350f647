"""Changes services by compare and swap: starts, stops, and what is noted in labels."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from api.engine.errors import OutdatedError
from api.engine.swarm.calls import Calls
from api.engine.swarm.labels import LOSS, STOP, Loss, Stop, encode_loss, encode_stop
from api.engine.swarm.reader import Reader
from api.engine.swarm.services import Service, get_template

Spec = Mapping[str, Any]
Change = Callable[[Service], Spec | None]
"""Takes a service as it is, and returns its new spec; ``None`` leaves it."""

_ATTEMPTS: Final = 20


class Updates:
    """Changes the services that ``reader`` reads."""

    def __init__(self, calls: Calls, reader: Reader) -> None:
        self._calls = calls
        self._reader = reader

    async def send(self, service: Service, spec: Spec) -> None:
        """Update a service as it was read; ``OutdatedError`` if it has changed since."""
        await self._calls.update(service.uid, service.version, spec)

    async def change(self, uid: str, change: Change, known: Service | None = None) -> None:
        """Change a service as it is, whatever it was a moment before; as ``known``, if it still is.

        ``NotFoundError`` if it is gone, ``OutdatedError`` if others are always faster.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            service = known or await self._reader.get_service(uid)
            known = None
            spec = change(service)
            if spec is None:
                return
            try:
                await self.send(service, spec)
            except OutdatedError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return


def set_labels(spec: Spec, changes: Mapping[str, str | None]) -> Spec:
    """Return a spec with some labels changed; ``None`` takes one away. Its task is left alone."""
    labels = {**(spec.get("Labels") or {}), **changes}
    return {**spec, "Labels": {key: text for key, text in labels.items() if text is not None}}


def plan_start(service: Service, loss: Loss | None = None) -> Spec:
    """Return the spec that has a service's job run; ``loss`` is the lost run that it repeats.

    ``ForceUpdate`` makes a new task where there was one before, and tells each start's from others.
    """
    noted = {STOP: None} | ({} if loss is None else {LOSS: encode_loss(loss)})
    template = {**get_template(service.spec), "ForceUpdate": service.start + 1}
    return _set_replicas({**set_labels(service.spec, noted), "TaskTemplate": template}, 1)


def plan_stop(service: Service, stop: Stop) -> Spec | None:
    """Return the spec that ends a service's task for good."""
    if service.end is not None or service.replicas == 0:
        return None
    return _set_replicas(set_labels(service.spec, {STOP: encode_stop(stop)}), 0)


def bar_nodes(spec: Spec) -> Spec:
    """Return a spec that no node will do for: what the swarm may start of it yet waits for ever."""
    template = get_template(spec)
    placement = {**(template.get("Placement") or {}), "Constraints": ["node.id==none"]}
    return {**spec, "TaskTemplate": {**template, "Placement": placement}}


def _set_replicas(spec: Spec, number: int) -> Spec:
    return {**spec, "Mode": {"Replicated": {"Replicas": number}}}
