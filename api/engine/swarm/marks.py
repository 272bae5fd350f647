"""Marks on a swarm: labels of the service whose job they are of."""

from typing import Final

from api.engine.errors import ConflictError, NotFoundError
from api.engine.swarm.labels import KINDS, encode_mark
from api.engine.swarm.reader import Reader, is_uid
from api.engine.swarm.services import Service
from api.engine.swarm.updates import Spec, Updates, set_labels
from api.v1.mark import Mark, name_mark, name_purge

_PREFIXES: Final = {name_mark(""): "cancel", name_purge(""): "purge"}


class Marks:
    """Notes marks in services, and takes them away; uids are the service's and the kind."""

    def __init__(self, reader: Reader, updates: Updates) -> None:
        self._reader = reader
        self._updates = updates

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

        await self._updates.change(uid, note)
        return own

    async def find(self, name: str) -> Mark | None:
        """Read a mark by its name; see the Engine interface."""
        own = find_own(name)
        return None if own is None else await self.read(own)

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
