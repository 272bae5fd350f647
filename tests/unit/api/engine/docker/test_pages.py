"""Lists of any length are read in pages, so that what one reading takes of memory is bounded."""

import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.docker.pages import read_pages, read_rows
from api.engine.errors import EngineRefusedError
from api.v1.labels import NAME, NAMESPACE


class Listing:
    """Answers lists of containers as an engine does, the newest first."""

    def __init__(self, count: int, padding: int = 0) -> None:
        self.ids = [f"{number:064x}" for number in range(count)]
        self.asked: list[tuple[int, list[str]]] = []
        self.gone: list[set[str]] = []
        self._padding = "x" * padding

    async def ask(self, params: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
        if self.gone:
            gone = self.gone.pop(0)
            self.ids = [each for each in self.ids if each not in gone]
        limit, filters = int(params["limit"]), json.loads(params["filters"])
        before = filters.get("before", [])
        self.asked.append((limit, before))
        if before and before[0] not in self.ids:
            raise EngineRefusedError(500, f"No such container: {before[0]}")
        first = self.ids.index(before[0]) + 1 if before else 0
        rows = [self._make_row(each) for each in self.ids[first : first + limit]]
        return read_rows(json.dumps(rows).encode())

    async def call(
        self, _: str, path: str, *__: object, params: Mapping[str, str] | None = None, **___: Any
    ) -> Any:
        """Answer as the adapter's connection does: an image has no labels."""
        return {} if path.startswith("images/") else await self.ask(params or {})

    def _make_row(self, uid: str) -> dict[str, Any]:
        labels = {NAMESPACE: "ns", NAME: uid[-9:], "padding": self._padding}
        row: dict[str, Any] = {"Id": uid, "Names": [f"/{uid[-9:]}"], "Labels": labels, "Mounts": []}
        row |= {"State": "created", "Status": "Created", "Created": 1, "Command": self._padding}
        return row | {"ImageID": "", "Image": "busybox:job", "HostConfig": {}}


async def read_ids(listing: Listing) -> list[str]:
    return [row["Id"] async for rows in read_pages(listing.ask, {}) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 5000])
async def test_pages_are_the_whole_list_in_its_order(count: int) -> None:
    listing = Listing(count)
    assert await read_ids(listing) == listing.ids


async def test_a_short_list_is_one_call_and_a_long_one_few() -> None:
    short, long = Listing(100), Listing(10_000)
    await read_ids(short)
    await read_ids(long)
    assert len(short.asked) == 1
    assert len(long.asked) <= 4


async def test_pages_of_large_rows_stay_small() -> None:
    listing = Listing(400, padding=100_000)
    assert await read_ids(listing) == listing.ids
    assert all(limit <= 128 for limit, _ in listing.asked)
    assert listing.asked[-1][0] < 60


@pytest.mark.parametrize("removed", [1, 3, 128])
async def test_what_a_page_ended_with_may_be_removed_meanwhile(removed: int) -> None:
    listing = Listing(300)
    ids = [*listing.ids]
    listing.gone = [set(), set(ids[128 - removed : 128])]
    assert [*dict.fromkeys(await read_ids(listing))] == ids


async def test_another_refusal_is_passed_on() -> None:
    async def refuse(_: Mapping[str, str]) -> Any:
        raise EngineRefusedError(500, "No such container: since")

    with pytest.raises(EngineRefusedError):
        [rows async for rows in read_pages(refuse, {"since": ["since"]})]


async def test_what_a_reading_and_the_jobs_of_it_take_is_bounded() -> None:
    """4,000 rows of 32 kB are 130 MB; read at once they take three times that."""
    listing = Listing(4_000, padding=16_000)
    engine = DockerEngine(Endpoint("unix:///nowhere"), "ns")
    await engine.close()
    engine._connection = listing  # type: ignore[assignment]
    tracemalloc.start()
    try:
        jobs = await engine.list()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(jobs) == 4_000
    assert peak < 40e6
    assert kept / len(jobs) < 4_000
