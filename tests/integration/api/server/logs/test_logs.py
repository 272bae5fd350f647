"""Logs of jobs on a real engine: the bytes of ``docker logs``, over rotations, ends and resumes."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.v1.times import SECOND, parse_time
from tests.support.api import Api, manifest, serve
from tests.support.private_engine import PrivateEngine

PATIENCE = 60
UNTIL_IT_ENDS = 3.0
LINES, EVENTS = {"Accept": "application/x-ndjson"}, {"Accept": "text/event-stream"}
BOTH = (
    "i=0; while [ $i -lt 40 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done;"
    " printf '%100000s\\n' x; head -c 50000 /dev/zero >&2; echo; printf last"
)


def count(lines: int, pace: str) -> str:
    """Return a program that writes numbered lines of 100 bytes and more, some of them at once."""
    return (
        f"i=0; while [ $i -lt {lines} ]; do printf '%d %99s\\n' $i x; i=$((i+1));"
        f" [ $((i % 20)) -eq 0 ] && sleep {pace}; done; printf end"
    )


def expect(lines: int) -> bytes:
    return b"".join(b"%d %99s\n" % (number, b"x") for number in range(lines)) + b"end"


async def submit(api: Api, name: str, program: str, **members: Any) -> None:
    host = {"NetworkMode": "none", **members.pop("host", {})}
    reply = await api.post(manifest(name, "sh", "-c", program, HostConfig=host, **members))
    assert reply.code == 201, reply


async def read(
    api: Api, name: str, query: str = "", headers: Mapping[str, str] | None = None
) -> bytes:
    async with (
        asyncio.timeout(PATIENCE),
        api.client.get(f"/job/{name}/log{query}", headers=headers) as reply,
    ):
        assert reply.status == 200
        return await reply.read()


async def start(engine: PrivateEngine, name: str) -> None:
    await asyncio.to_thread(engine.docker, "start", name)


def read_reference(engine: PrivateEngine, name: str) -> tuple[bytes, bytes]:
    """Return what ``docker logs`` prints of each stream."""
    done = subprocess.run(
        ["docker", "--host", engine.host, "logs", name], check=True, capture_output=True
    )
    return done.stdout, done.stderr


async def check_end(engine: PrivateEngine, name: str, clock: DockerEngine) -> None:
    """Check that the follow which has just ended did so soon after its job."""
    now = clock.now()
    ended = parse_time(engine.inspect(name)["State"]["FinishedAt"])
    assert ended is not None
    # replies tell the engine's clock in whole seconds
    assert now - ended < (UNTIL_IT_ENDS + 1) * SECOND


def rotate(driver: str, files: int) -> dict[str, object]:
    options = {"max-size": "64k", "max-file": str(files)}
    if driver == "local":
        options["compress"] = "false"
    return {"LogConfig": {"Type": driver, "Config": options}}


@pytest.mark.parametrize(
    ("driver", "has_terminal"),
    [
        ("json-file", False),
        ("local", True),
        pytest.param("json-file", True, marks=pytest.mark.thorough),
        pytest.param("local", False, marks=pytest.mark.thorough),
    ],
)
async def test_the_bytes_are_those_of_docker_logs(
    api: Api, private_engine: PrivateEngine, name: str, driver: str, has_terminal: bool
) -> None:
    await submit(api, name, BOTH, Tty=has_terminal, host={"LogConfig": {"Type": driver}})
    await start(private_engine, name)
    followed = await read(api, name, "?follow=true")
    out, err = read_reference(private_engine, name)
    assert len(out) + len(err) > 150_000
    assert await read(api, name) == followed
    assert await read(api, name, "?stream=stdout") == out
    assert await read(api, name, "?stream=stderr") == err


@pytest.mark.parametrize("driver", ["json-file", pytest.param("local", marks=pytest.mark.thorough)])
async def test_a_rotation_doubles_and_loses_nothing_and_the_end_ends_it(
    api: Api, docker_engine: DockerEngine, private_engine: PrivateEngine, name: str, driver: str
) -> None:
    await submit(api, name, count(1500, "0.02"), host=rotate(driver, 2))
    following = asyncio.create_task(read(api, name, "?follow=true"))
    await start(private_engine, name)
    found = await following
    await check_end(private_engine, name, docker_engine)
    assert found == expect(1500)
    assert len(read_reference(private_engine, name)[0]) < len(found), "nothing was rotated away"


@pytest.mark.thorough
@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize(
    ("files", "lines", "pace"), [(2, 3000, "0.02"), (3, 6000, "0.02"), (5, 1000, "0.1")]
)
async def test_many_rotations_double_and_lose_nothing(  # noqa: PLR0917 - a test's parameters
    api: Api,
    private_engine: PrivateEngine,
    name: str,
    driver: str,
    files: int,
    lines: int,
    pace: str,
) -> None:
    await submit(api, name, count(lines, pace), host=rotate(driver, files))
    following = asyncio.create_task(read(api, name, "?follow=true"))
    await start(private_engine, name)
    assert await following == expect(lines)


async def test_a_resume_doubles_and_loses_no_line(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    """A browser that comes again and again names the last event that it has."""
    await submit(api, name, count(300, "0.01") + "; echo x >&2")
    await start(private_engine, name)
    lines: list[str] = []
    ids = [""]
    has_ended = False
    async with asyncio.timeout(PATIENCE):
        while not has_ended:
            headers = EVENTS | ({"Last-Event-ID": ids[-1]} if ids[-1] else {})
            async with api.client.get(f"/job/{name}/log?follow=true", headers=headers) as reply:
                for _ in range(70):
                    event = (await reply.content.readuntil(b"\n\n")).decode()
                    head, _, data = event.strip().rpartition("data: ")
                    item = json.loads(data)
                    if has_ended := "end" in item:
                        break
                    lines.append(item["line"])
                    ids.append(head.removeprefix("id: ").strip())
    expected = expect(300).decode().split("\n")
    assert [line for line in lines if line != "x"] == expected
    assert lines.count("x") == 1


async def test_a_restarted_job_is_followed_over_its_runs(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    await submit(api, name, "printf begun; sleep 0.1; echo; echo ended; exit 3", host=policy)
    await start(private_engine, name)
    items = (await read(api, name, "?follow=true", LINES)).splitlines()
    found: list[dict[str, Any]] = [*map(json.loads, items)]
    assert [item["line"] for item in found[:-1]] == ["begun", "ended"] * 3
    assert found[-1]["end"]["exitCode"] == 3


async def test_a_driver_that_keeps_nothing_is_named(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    await submit(api, name, "echo", host={"LogConfig": {"Type": "none"}})
    await start(private_engine, name)
    reply = await api.get(f"/job/{name}/log")
    assert (reply.code, reply.body["error"]["driver"]) == (409, "none")
    assert (await api.get(f"/job/{name}/log?tail=x")).code == 400
    assert (await api.get(f"/job/{name}-other/log")).code == 404
    assert 'dispatcher_watchers{kind="log"} 0.0' in (await api.get("/metrics")).body


@asynccontextmanager
async def serve_alone(
    namespace: str, options: Mapping[str, object]
) -> AsyncIterator[tuple[PrivateEngine, Api]]:
    with PrivateEngine(options) as host:
        engine = DockerEngine(Endpoint(host.host), namespace)
        async with serve(engine, namespace) as api:
            yield host, api


@pytest.mark.thorough
@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_an_engine_that_is_killed_and_started_again_breaks_no_follow(
    namespace: str, name: str, driver: str
) -> None:
    async with serve_alone(namespace, {"live-restore": True}) as (host, api):
        await submit(api, name, count(2000, "0.1"), host=rotate(driver, 5))
        await start(host, name)
        following = asyncio.create_task(read(api, name, "?follow=true"))
        await asyncio.sleep(2)
        await asyncio.to_thread(host.kill)
        await asyncio.to_thread(host.start)
        assert await following == expect(2000)


@pytest.mark.thorough
async def test_an_engine_that_stays_away_is_told_and_its_return_resumed(
    namespace: str, name: str
) -> None:
    async with serve_alone(namespace, {}) as (host, api):
        await submit(api, name, "echo one; sleep 600")
        await start(host, name)
        async with api.client.get(f"/job/{name}/log?follow=true", headers=LINES) as reply:
            first = json.loads(await reply.content.readline())
            await asyncio.to_thread(host.kill)
            last = json.loads(await reply.content.readline())
        assert last["error"]["reason"] == "EngineUnavailable"
        await asyncio.to_thread(host.start)
        again = await read(api, name, f"?follow=true&since={first['t']}", LINES)
        found: list[dict[str, Any]] = [*map(json.loads, again.splitlines())]
        assert found[0] == first
        assert found[1]["end"]["exitCode"] in {137, 143, 255}


@pytest.mark.thorough
async def test_a_reader_that_reads_nothing_holds_up_no_job(
    api: Api, private_engine: PrivateEngine, name: str
) -> None:
    await submit(
        api, name, "head -c 30000000 /dev/zero | tr '\\0' x; echo", host=rotate("local", 5)
    )
    async with api.client.get(f"/job/{name}/log?follow=true"):
        await start(private_engine, name)
        done = await asyncio.to_thread(private_engine.docker, "wait", name)
        assert done.stdout.strip() == "0"
