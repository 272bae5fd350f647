"""Which images carry the namespace label, and hand it on to containers that are no jobs."""

from collections.abc import Iterable

from api.engine.errors import EngineRefusedError, OverloadedError
from api.engine.interface import Engine, Summary
from api.v1.job import Container
from api.v1.labels import NAMESPACE, needs_image_check


class Images:
    """Looks at each image once, and again at one that could not be read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._labelled: dict[str, bool | None] = {}

    @property
    def strangers(self) -> frozenset[str]:
        """Ids of the images whose containers are no jobs, or may be none."""
        return frozenset(key for key, labelled in self._labelled.items() if labelled is not False)

    async def learn(self, rows: Iterable[Summary | Container]) -> None:
        """Look at the images that only themselves can tell jobs from strangers."""
        for image in {row.image for row in rows if needs_image_check(row.labels)}:
            if self._labelled.get(image) is None:
                self._labelled[image] = await self._look(image)

    async def _look(self, image: str) -> bool | None:
        try:
            return NAMESPACE in await self._engine.image_labels(image)
        except OverloadedError:
            raise
        except EngineRefusedError:
            # a damaged image: nothing can run from it, and whose containers they are is unknown
            return None
