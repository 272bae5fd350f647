"""An image is looked at once, where that decides whose a container is, and only there."""

from collections.abc import Mapping

import pytest

from api.engine.docker.ownership import Ownership
from api.engine.errors import EngineRefusedError, NotFoundError, OverloadedError
from api.v1.labels import NAME, NAMESPACE
from api.v1.spec import JobSpec, encode

OURS = encode(JobSpec(), namespace="ns", job_id="job", labels={})
ORIGINAL = {NAMESPACE: "ns"}


class Shelf:
    """Images by id, and how often they were looked at."""

    def __init__(self) -> None:
        self.images: dict[str, Mapping[str, str] | Exception] = {"plain": {}}
        self.looks: list[str] = []
        self.ownership = Ownership("ns", self._read)

    async def _read(self, image: str) -> Mapping[str, str]:
        self.looks.append(image)
        found = self.images[image]
        if isinstance(found, Exception):
            raise found
        return found


async def test_a_stranger_to_the_namespace_needs_no_look() -> None:
    shelf = Shelf()
    assert not await shelf.ownership.tell("job", {**OURS, NAMESPACE: "other"}, "plain")
    assert not await shelf.ownership.tell("job", {}, "plain")
    assert shelf.looks == []


@pytest.mark.parametrize("name", ["job", "renamed"])
@pytest.mark.parametrize("labels", [OURS, ORIGINAL], ids=["ours", "original"])
async def test_an_image_is_looked_at_once(labels: Mapping[str, str], name: str) -> None:
    shelf = Shelf()
    for _ in range(3):
        assert await shelf.ownership.tell(name, labels, "plain")
    assert shelf.looks == ["plain"]


@pytest.mark.parametrize("labels", [OURS, ORIGINAL], ids=["committed", "labelled"])
async def test_what_inherits_its_labels_is_a_stranger(labels: Mapping[str, str]) -> None:
    shelf = Shelf()
    shelf.images["heritage"] = labels
    for name in ("any", "job"):
        assert not await shelf.ownership.tell(name, labels, "heritage")


async def test_a_job_of_an_image_committed_from_the_same_job_is_no_stranger() -> None:
    shelf = Shelf()
    shelf.images["heritage"] = encode(
        JobSpec(), namespace="ns", job_id="job", labels={}, nonce="old"
    )
    for name in ("job", "renamed"):
        labels = encode(JobSpec(), namespace="ns", job_id="job", labels={}, nonce="new")
        assert await shelf.ownership.tell(name, labels, "heritage")


async def test_a_job_whose_image_carries_another_jobs_label_may_be_renamed() -> None:
    shelf = Shelf()
    shelf.images["committed"] = {**OURS, NAME: "another"}
    assert await shelf.ownership.tell("renamed", OURS, "committed")


@pytest.mark.parametrize("labels", [OURS, ORIGINAL], ids=["renamed", "original"])
async def test_an_image_that_is_gone_has_no_labels(labels: Mapping[str, str]) -> None:
    shelf = Shelf()
    shelf.images["gone"] = NotFoundError(404, "No such image")
    assert await shelf.ownership.tell("any", labels, "gone")


async def test_an_image_that_cannot_be_read_hides_its_containers_until_it_can() -> None:
    shelf = Shelf()
    shelf.images["broken"] = EngineRefusedError(500, "layer does not exist")
    assert not await shelf.ownership.tell("any", ORIGINAL, "broken")
    assert await shelf.ownership.tell("job", OURS, "broken")
    assert not await shelf.ownership.tell("renamed", OURS, "broken")
    assert await shelf.ownership.tell("other", ORIGINAL, "plain")
    shelf.images["broken"] = {}
    assert await shelf.ownership.tell("any", ORIGINAL, "broken")


async def test_an_engine_that_cannot_serve_now_tells_nothing() -> None:
    shelf = Shelf()
    shelf.images["plain"] = OverloadedError(503, "later")
    with pytest.raises(OverloadedError):
        await shelf.ownership.tell("any", ORIGINAL, "plain")


async def test_images_beyond_number_are_forgotten() -> None:
    shelf = Shelf()
    shelf.images |= {str(number): {} for number in range(10_001)}
    for number in range(10_001):
        await shelf.ownership.tell("any", ORIGINAL, str(number))
    assert await shelf.ownership.tell("any", ORIGINAL, "0")
    assert shelf.looks.count("0") == 2
