"""What GET shows of jobs on a real engine."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.server.jobs import lookup as jobs_module
from tests.support.api import Api, manifest, serve
from tests.support.private_engine import PrivateEngine
from tests.support.processes import Reply
from tests.support.proxy import FaultProxy


async def _until(look: Callable[[], Awaitable[Reply]], **expected: object) -> Reply:
    async with asyncio.timeout(30):
        while True:
            reply = await look()
            if expected.items() <= reply.body.items():
                return reply
            await asyncio.sleep(0.05)


async def _compare(api: Api, engine: PrivateEngine, name: str) -> str:
    """Return the status text once the API and ``docker ps -a`` agree.

    A second may turn between, and a job that restarts may have run between two equal readings.
    """
    async with asyncio.timeout(60):
        while True:
            words = ("ps", "-a", "--filter", f"name=^/{re.escape(name)}$", "--format")
            before = engine.docker(*words, "{{.Status}}").stdout.strip()
            shown: str = (await api.get(f"/job/{name}")).body["status"]
            after = engine.docker(*words, "{{.Status}}").stdout.strip()
            if shown == before == after:
                return shown


async def test_the_status_is_the_very_text_of_docker_ps(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    await api.post(manifest(name, "sleep", "60"))
    assert await _compare(api, private_engine, name) == "Created"
    private_engine.docker("start", name)
    assert (await _compare(api, private_engine, name)).startswith("Up ")
    private_engine.docker("pause", name)
    assert (await _compare(api, private_engine, name)).endswith("(Paused)")
    private_engine.docker("unpause", name)
    private_engine.docker("kill", name)
    assert (await _compare(api, private_engine, name)).startswith("Exited (137) ")


async def test_the_status_of_a_restarting_job_is_that_of_docker_ps(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 30}}
    await api.post(manifest(name, "false", HostConfig=policy))
    private_engine.docker("start", name)
    reply = await _until(lambda: api.get(f"/job/{name}"), reason="Restarting")
    assert (reply.body["phase"], reply.body["exitCode"]) == ("Running", 1)
    async with asyncio.timeout(60):
        while not (await _compare(api, private_engine, name)).startswith("Restarting (1) "):
            await asyncio.sleep(0.05)
    private_engine.docker("rm", "-f", name)


async def test_a_job_shows_its_life_from_end_to_end(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    posted = await api.post(manifest(name, "sh", "-c", "exit 3"))
    waiting = await api.get(f"/job/{name}")
    assert waiting.body["phase"] == "Pending"
    private_engine.docker("start", name)
    failed = await _until(lambda: api.get(f"/job/{name}"), phase="Failed")
    found = private_engine.inspect(name)
    assert (failed.body["reason"], failed.body["exitCode"]) == ("Error", 3)
    assert failed.body["uid"] == posted.body["uid"] == found["Id"]
    start, end = (found["State"][moment].rstrip("Z0") for moment in ("StartedAt", "FinishedAt"))
    assert failed.body["startedAt"].rstrip("Z0") == start
    # the engine may note an end before its start, and two moments of one form sort as text
    assert failed.body["finishedAt"].rstrip("Z0") == max(start, end)


@pytest.mark.parametrize("decoy", ["jobxa", "job.ab", "xjob.a"])
async def test_an_id_is_no_pattern(
    api: Api, private_engine: PrivateEngine, namespace: str, decoy: str
) -> None:
    name = f"{namespace}.a"
    other = decoy.replace("job", namespace)
    await api.post(manifest(other))
    assert (await api.get(f"/job/{name}")).code == 404
    await api.post(manifest(name))
    assert (await api.get(f"/job/{name}")).body["id"] == name
    assert (await api.get(f"/job/{name}/")).body["id"] == name
    private_engine.docker("rm", name, other)


async def test_parts_of_ids_and_paths_to_elsewhere_are_no_jobs(api: Api, name: str) -> None:
    uid = (await api.post(manifest(name))).body["uid"]
    assert (await api.get(f"/job/{uid}")).body["id"] == name
    paths = (
        uid[:12],
        f"{name}%0a",
        f"..%2fimages%2f{name}",
        f"{name}/json",
        "x",
        f"{name}%00",
    )
    for path in paths:
        reply = await api.get(f"/job/{path}")
        assert (reply.code, path) == (404, path)


async def test_a_get_is_one_inspect_by_exact_name(
    private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    with FaultProxy(private_engine.host) as proxy:
        async with serve(DockerEngine(Endpoint(proxy.host), namespace), namespace) as api:
            await api.post(manifest(name))
            proxy.requests.clear()
            await api.get(f"/job/{name}")
            asked = [request.line for request in proxy.requests if name in request.line]
            assert asked == [f"GET /v1.41/containers/{name}/json"]


async def test_a_container_that_hangs_is_unknown_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, private_engine: PrivateEngine, namespace: str, name: str
) -> None:
    with FaultProxy(private_engine.host) as proxy:
        async with serve(DockerEngine(Endpoint(proxy.host), namespace), namespace) as api:
            posted = await api.post(manifest(name))
            await api.post(manifest(f"{name}-2"))
            proxy.block(f"GET .*/containers/{name}/json")
            with monkeypatch.context() as impatient:
                impatient.setattr(jobs_module, "_PATIENCE", 0.3)
                silent = await api.get(f"/job/{name}")
            assert silent.code == 200
            assert (silent.body["phase"], silent.body["reason"]) == ("Unknown", "EngineSilent")
            assert (silent.body["status"], silent.body["uid"]) == ("Created", posted.body["uid"])
            assert (await api.get(f"/job/{name}-2")).body["phase"] == "Pending"
            proxy.heal()
            assert (await api.get(f"/job/{name}")).body["phase"] == "Pending"
