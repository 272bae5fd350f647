"""A name that has its job already, posted again: by the same document, or by another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.server.filters.config import PullPolicy
from api.server.images.settings import Pulling
from api.v1.labels import NAMESPACE
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.api import Api, serve
from tests.support.filter_configs import config

REFUSE, EXISTING = "  onConflict: refuse\n", "  onConflict: existing\n"


def order(*command: str) -> dict[str, object]:
    return {"Name": "job-1", "Image": IMAGE, "Cmd": list(command or ("true",))}


@asynccontextmanager
async def serve_config(
    engine: MemoryEngine, folder: Path, extra: str = "", pulling: Pulling | None = None
) -> AsyncIterator[Api]:
    (folder / "a.yaml").write_text(config(extra=extra))
    async with serve(engine, "ns", from_file=str(folder), pulling=pulling) as api:
        yield api


@pytest.mark.parametrize("extra", ["", REFUSE])
async def test_a_filter_config_refuses_another_document_under_the_name_of_a_job(
    tmp_path: Path, extra: str
) -> None:
    engine = MemoryEngine()
    async with serve_config(engine, tmp_path, extra) as api:
        first = await api.post(order())
        same, other = await api.post(order()), await api.post(order("false"))
        elsewhere = await api.post(order(), "/job/x")
    assert (first.code, same.code, same.body["sameDocument"]) == (201, 200, True)
    for reply in (other, elsewhere):
        assert (reply.code, reply.body["error"]["reason"]) == (409, "DocumentConflict")
        assert "another document's job, which is Pending" in reply.body["error"]["message"]
    assert engine.names() == ("job-1",)


@pytest.mark.parametrize("pull", list(PullPolicy))
async def test_a_conflict_is_one_whatever_the_pull_policy(tmp_path: Path, pull: PullPolicy) -> None:
    engine = MemoryEngine()
    engine.published.add(IMAGE)
    async with serve_config(engine, tmp_path, pulling=Pulling(pull)) as api:
        replies = [await api.post(order(word)) for word in ("true", "true", "false")]
    assert [reply.code for reply in replies] == [201, 200, 409]


async def test_of_two_documents_posted_at_once_one_has_the_name(tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with serve_config(engine, tmp_path) as api:
        replies = await asyncio.gather(*(api.post(order(str(number))) for number in range(8)))
    assert sorted(reply.code for reply in replies) == [201] + [409] * 7
    assert engine.names() == ("job-1",)


async def test_a_renamed_job_still_has_its_name(tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with serve_config(engine, tmp_path) as api:
        uid = (await api.post(order())).body["uid"]
    engine.rename(uid, "other")
    async with serve_config(engine, tmp_path) as api:
        same, other = await api.post(order()), await api.post(order("false"))
    assert (same.code, same.body["uid"]) == (200, uid)
    assert (other.code, other.body["error"]["reason"]) == (409, "DocumentConflict")


async def test_a_name_is_free_again_once_its_job_has_been_removed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with serve_config(engine, tmp_path) as api:
        engine.destroy((await api.post(order())).body["uid"])
        assert (await api.post(order("false"))).code == 201


@pytest.mark.parametrize("extra", ["", EXISTING])
async def test_a_job_of_the_original_is_not_compared(tmp_path: Path, extra: str) -> None:
    engine = MemoryEngine()
    uid = engine.add("job-1", {**order(), "Labels": {NAMESPACE: "ns"}})
    async with serve_config(engine, tmp_path, extra) as api:
        reply = await api.post(order("false"))
    known = {"id": "job-1", "uid": uid, "sameDocument": None}
    assert (reply.code, reply.body) == (200, {**known, "phase": "Pending", "finished": False})


async def test_a_config_may_answer_with_the_existing_job(tmp_path: Path) -> None:
    engine = MemoryEngine()
    async with serve_config(engine, tmp_path, EXISTING) as api:
        first, other = await api.post(order()), await api.post(order("false"))
    assert (other.code, other.body["sameDocument"]) == (200, False)
    assert other.body["uid"] == first.body["uid"]


async def test_a_bare_program_answers_with_the_existing_job_as_the_original_does() -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        await api.post(order())
        assert (await api.post(order("false"))).body["sameDocument"] is False


@pytest.mark.parametrize(
    ("exit_code", "phase", "finished"),
    [(None, "Running", False), (0, "Succeeded", True), (3, "Failed", True)],
)
async def test_the_200_says_phase_and_finished(
    exit_code: int | None, phase: str, *, finished: bool
) -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        first = await api.post(order())
        assert set(first.body) == {"id", "uid"}
        engine.run("job-1")
        if exit_code is not None:
            engine.finish("job-1", exit_code)
        again = await api.post(order())
    expected = {**first.body, "sameDocument": True, "phase": phase, "finished": finished}
    assert (again.code, again.body) == (200, expected)
