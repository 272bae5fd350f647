"""Tells the containers that are jobs from those that only carry a label of ours."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from api.engine.errors import EngineRefusedError, NotFoundError, OverloadedError
from api.v1.labels import KEYS, is_job, needs_image_check

_REMEMBERED: Final = 1000  # images


class Ownership:
    """Applies ``labels.is_job``; looks at an image where that decides, and once at each.

    ``read_image`` reads the labels of an image by its id. What an id names never changes.
    """

    def __init__(
        self, namespace: str, read_image: Callable[[str], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._namespace = namespace
        self._read_image = read_image
        self._images: dict[str, Mapping[str, str]] = {}

    async def tell(self, name: str, labels: Mapping[str, str], image: str) -> bool:
        """Tell whether a container called ``name``, made of ``image``, is a job."""
        if not needs_image_check(name, labels):
            return is_job(name, labels, namespace=self._namespace)
        if image not in self._images and not await self._learn(image):
            return False
        return is_job(name, labels, namespace=self._namespace, image_labels=self._images.get(image))

    async def _learn(self, image: str) -> bool:
        """Look at an image; tell whether it could be read.

        If the engine cannot read it, whose the containers are is unknown, and none is touched
        until it can. An image that is gone has no labels.
        """
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
        self._images[image] = {key: labels[key] for key in KEYS if key in labels}
        return True
