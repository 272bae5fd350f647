"""Marks on a swarm: labels of the service whose job they are of."""

from typing import Final

from api.engine.errors import OUTAGES, ConflictError, EngineUnavailableError, NotFoundError
from api.engine.swarm.ends import Ends
from api.engine.swarm.labels import KINDS, Stop, encode_mark
from api.engine.swarm.reader import Reader, is_uid
from api.engine.swarm.services import Service
from api.engine.swarm.updates import Spec, Updates, plan_stop, set_labels
from api.v1.mark import Mark, name_mark, name_purge

_PREFIXES: Final = {name_mark(""): "cancel", name_purge(""): "purge"}


class Marks:
    """Notes marks in services, and takes them away; uids are the service's and the kind."""

    def __init__(self, reader: Reader, updates: Updates, ends: Ends) -> None:
        self._reader = reader
        self._updates = updates
        self._ends = ends

    async def create(self, name: str, mark: Mark) -> str:
        """Note a mark; see the Engine interface. ``NotFoundError`` if its job is gone."""
        own = find_own(name)
        if own is None or split_own(own) is None or not own.startswith(f"{mark.job}."):
            raise NotFoundError(404, f"No job has a mark of this name: {name!r}")
        uid, key = mark.job, KINDS[own.rpartition(".")[2]]

        def note(service: Service) -> Spec:
            if key in service.labels:
                raise ConflictError(409, f"{uid} has such a mark already")
            return set_labels(service.spec, {key: encode_mark(mark)})

        service: Service | None = await self._reader.get_service(uid)
        if service is not None and service.start > 1 and service.end is None:
            await self._settle(uid, mark.at)
            service = None
        await self._updates.change(uid, note, service)
        return own

    async def _settle(self, uid: str, at: int) -> None:
        """Have the swarm make no task more of a job that was started twice and does not run.

        Any update may let it, and so a cancelled job would start.
        """
        seen = await self._reader.find(uid)
        if seen is None or seen.job.is_active:
            return
        if not seen.job.is_pending:
            await self._ends.write(seen)
            return

        def stop(service: Service) -> Spec | None:
            is_same = service.start == seen.service.start
            return plan_stop(service, Stop(at, ran=False)) if is_same else None

        await self._updates.change(uid, stop, seen.service)

    async def find(self, name: str) -> Mark | None:
        """Read a mark by its name; see the Engine interface.

        As at an inspect, a manager that does not answer keeps silent about all jobs.
        """
        own = find_own(name)
        try:
            return None if own is None else await self.read(own)
        except OUTAGES as error:
            raise EngineUnavailableError(str(error)) from error

    async def read(self, own: str) -> Mark | None:
        """Read the mark of this uid; ``None`` for one that is gone, and for what is no such uid."""
        parts = split_own(own)
        if parts is None:
            return None
        try:
            service = await self._reader.get_service(parts[0])
        except NotFoundError:
            return None
        return service.marks.get(own)

    async def remove(self, own: str) -> None:
        """Take a mark away, by its own uid; content if it is gone, or its job."""
        uid, _, kind = own.partition(".")
        key = KINDS[kind]

        def forget(service: Service) -> Spec | None:
            return set_labels(service.spec, {key: None}) if key in service.labels else None

        try:
            await self._updates.change(uid, forget)
        except NotFoundError:
            return


def find_own(name: str) -> str | None:
    """Return the uid of the mark that is called ``name``; ``None`` for no name of a mark."""
    for prefix, kind in _PREFIXES.items():
        if name.startswith(prefix):
            return f"{name.removeprefix(prefix)}.{kind}"
    return None


def split_own(own: str) -> tuple[str, str] | None:
    """Return the job's uid and the kind in a mark's uid; ``None`` for what is none."""
    uid, _, kind = own.partition(".")
    return (uid, kind) if kind in KINDS and is_uid(uid) else None
