"""A real engine's list, read in pages."""

import pytest

from api.engine.docker import pages
from api.engine.docker.engine import DockerEngine
from api.v1.labels import NAME, NAMESPACE
from tests.support.private_engine import IMAGE, PrivateEngine


async def test_pages_are_the_whole_list_and_a_point_to_list_from_counts_in_each(
    monkeypatch: pytest.MonkeyPatch,
    private_engine: PrivateEngine,
    docker_engine: DockerEngine,
    namespace: str,
) -> None:
    monkeypatch.setattr(pages, "_FIRST", 2)
    monkeypatch.setattr(pages, "_MOST", 3)
    uids: list[str] = []
    for number in range(9):
        name = f"{namespace}-{number}"
        labels = {NAMESPACE: namespace, NAME: name}
        made = await docker_engine.create(name, {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
        uids.insert(0, made.uid)
    assert [job.uid for job in await docker_engine.list()] == uids
    assert [job.uid for job in await docker_engine.list(since=uids[7])] == uids[:7]
    assert {job.uid for job in await docker_engine.list(uids=uids[:5])} == set(uids[:5])
    asked = docker_engine._ask_for_page
    steps = 0

    async def ask_and_remove(params: dict[str, str]) -> object:
        nonlocal steps
        steps += 1
        if steps == 2:
            # what the first page ended with
            private_engine.docker("rm", uids[1])
        return await asked(params)

    monkeypatch.setattr(docker_engine, "_ask_for_page", ask_and_remove)
    assert [job.uid for job in await docker_engine.list()] == uids
    private_engine.docker("rm", *(uid for uid in uids if uid != uids[1]))
