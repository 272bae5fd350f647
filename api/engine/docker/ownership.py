"""Tells the containers that are jobs from those that only carry a label of ours."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from api.engine.errors import EngineRefusedError, NotFoundError, OverloadedError
from api.v1.labels import NAMESPACE, claims_name, is_job, read_job_id
from api.v1.mark import is_mark

_REMEMBERED: Final = 10_000  # images


class Ownership:
    """Applies ``labels.is_job``; looks once at each image of what carries our namespace.

    ``read_image`` reads the labels of an image by its id. What an id names never changes.
    """

    def __init__(
        self, namespace: str, read_image: Callable[[str], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._namespace = namespace
        self._read_image = read_image
        self._images: dict[str, Mapping[str, str]] = {}
        self._names: dict[str, str] = {}

    async def tell(self, name: str, labels: Mapping[str, str], image: str) -> bool:
        """Tell whether a container called ``name``, made of ``image``, is a job.

        If the engine cannot read its image, one that is called as its label says is believed. Whose
        any other is is unknown, and it is not touched until the engine can.
        """
        if labels.get(NAMESPACE) != self._namespace:
            return False
        if image not in self._images and not await self._learn(image):
            return claims_name(name, labels, self._namespace)
        return is_job(labels, namespace=self._namespace, image_labels=self._images.get(image))

    async def tell_mark(self, labels: Mapping[str, str], image: str) -> bool:
        """Tell whether a container made of ``image`` is a mark; believed if that cannot be read."""
        if not is_mark(labels, namespace=self._namespace):
            return False
        if image not in self._images:
            await self._learn(image)
        return is_mark(labels, namespace=self._namespace, image_labels=self._images.get(image))

    def know(self, image: str) -> Mapping[str, str] | None:
        """Return the labels of an image by what its creator called it, if it has been seen."""
        return self._images.get(self._names.get(image, image))

    def get_labels(self, image: str) -> Mapping[str, str]:
        """Return the labels that ``image`` hands on; none where it could not be read."""
        return self._images.get(image) or {}

    def note_name(self, image: str, image_id: str) -> None:
        """Note which image a name stands for; a list names an image only while its name does."""
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        self._names[image] = image_id

    def find_inherited(
        self, name: str, labels: Mapping[str, str], image: str
    ) -> Mapping[str, str] | None:
        """Return what its image hands on to a new container that is a job for certain; else None.

        ``image`` is what its creator called it, and has been seen; a name that was moved since is
        found out by the next list that shows the container. A copy of a job has another name than
        its label says: that is for a look to tell.
        """
        inherited = self.know(image)
        if inherited is None or not name or read_job_id(name, labels) != name:
            return None
        is_ours = is_job(labels, namespace=self._namespace, image_labels=inherited)
        return inherited if is_ours else None

    async def _learn(self, image: str) -> bool:
        """Look at an image; tell whether it could be read. One that is gone has no labels."""
        try:
            labels = await self._read_image(image)
        except NotFoundError:
            labels = {}
        except OverloadedError:
            raise
        except EngineRefusedError:
            return False
        if len(self._images) >= _REMEMBERED:
            self._images.clear()
        self._images[image] = labels
        return True
