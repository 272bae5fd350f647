"""Jobs as clients see them: found by exact name, shown as the engine shows them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.engine.errors import EngineTimeoutError, NotFoundError
from api.engine.interface import Engine, Summary
from api.v1.job import (
    FINISHED,
    Condition,
    Container,
    Phase,
    Reason,
    Status,
    derive_condition,
)
from api.v1.labels import NAME, NAMESPACE, is_job, is_valid_name, needs_image_check
from api.v1.status import describe_status
from api.v1.times import SECOND, format_time

_PATIENCE: Final = 3.0  # an inspect takes a millisecond, or waits for a wedged container
_IMAGES_KNOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Silence:
    """A job whose container the engine does not inspect: all that a list tells of it."""

    row: Summary

    @property
    def labels(self) -> Mapping[str, str]:
        """The container's labels."""
        return self.row.labels


class Jobs:
    """The jobs of one namespace on ``engine``."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        self._engine = engine
        self._namespace = namespace
        # by image id: what an id names never changes
        self._strangers: dict[str, bool] = {}

    async def find(self, name: str) -> Container | Silence | None:
        """Return the job called exactly ``name``, by one inspect. Raises ``EngineError``."""
        if not is_valid_name(name):
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                container = await self.look(name)
        except (EngineTimeoutError, TimeoutError) as error:
            rows = await self._engine.list(
                labels=(f"{NAMESPACE}={self._namespace}", f"{NAME}={name}")
            )
            if (row := next((row for row in rows if row.name == name), None)) is None:
                raise EngineTimeoutError("no answer to inspect") from error
            return Silence(row)
        return container if container is not None and await self.owns(container) else None

    async def look(self, name: str) -> Container | None:
        """Return whatever container is called exactly ``name``, a job or not.

        The engine also resolves ids and their prefixes: another name coming back means none.
        """
        try:
            container = await self._engine.inspect(name)
        except NotFoundError:
            return None
        return container if container.name == name else None

    async def owns(self, container: Container) -> bool:
        """Tell whether ``container`` is a job of this namespace; see ``labels.is_job``."""
        labels = container.labels
        if labels.get(NAMESPACE) != self._namespace:
            return False
        image_labels = None
        if needs_image_check(labels) and await self._labels_strangers(container.image):
            image_labels = {NAMESPACE: self._namespace}
        return is_job(container.name, labels, namespace=self._namespace, image_labels=image_labels)

    async def _labels_strangers(self, image: str) -> bool:
        """Tell whether ``image`` hands the namespace label on to every container made of it."""
        if image not in self._strangers:
            if len(self._strangers) >= _IMAGES_KNOWN:
                self._strangers.clear()
            self._strangers[image] = NAMESPACE in await self._engine.image_labels(image)
        return self._strangers[image]


def view_job(job: Container | Silence, now: int) -> dict[str, object]:
    """Return what GET answers at engine time ``now`` (ns).

    ``created`` is in seconds since the epoch; ``startedAt`` and ``finishedAt`` are RFC 3339,
    null until they happen. ``exitCode`` and ``finishedAt`` are those of the present run: null
    while it runs, and of the last one while the engine waits to restart it.
    """
    if isinstance(job, Silence):
        row = job.row
        condition = Condition(
            Phase.UNKNOWN,
            Reason.ENGINE_SILENT,
            f"the engine does not answer for this container; a list says {row.status}",
        )
        return _show(row.name, row.created, row.text, condition, row.id)
    ended = job.status in FINISHED | {Status.RESTARTING, Status.REMOVING}
    return _show(
        job.name,
        job.created // SECOND,
        describe_status(job, now),
        derive_condition(job),
        job.id,
        exit_code=job.exit_code if ended and job.started_at is not None else None,
        started_at=job.started_at,
        finished_at=job.finished_at if ended else None,
    )


def _show(
    name: str,
    created: int,
    status: str,
    condition: Condition,
    uid: str,
    *,
    exit_code: int | None = None,
    started_at: int | None = None,
    finished_at: int | None = None,
) -> dict[str, object]:
    return {
        "id": name,
        "created": created,
        "status": status,
        "phase": condition.phase,
        "reason": condition.reason,
        "message": condition.message,
        "exitCode": exit_code,
        "startedAt": format_time(started_at),
        "finishedAt": format_time(finished_at),
        "uid": uid,
    }
