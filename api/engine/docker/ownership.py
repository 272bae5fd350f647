"""Tells the containers that are jobs from those that only carry a label of ours."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from api.engine.errors import EngineRefusedError, NotFoundError, OverloadedError
from api.v1.labels import KEYS, NAMESPACE, claims_name, is_job

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
        self._images[image] = {key: labels[key] for key in KEYS if key in labels}
        return True
