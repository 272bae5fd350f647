"""After an error the caller knows: nothing happened, it was refused, or it may have happened."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.v1.job import Status
from tests.integration.api.engine.docker.conftest import inspect, make_body
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.proxy import FaultProxy

BODY = {"Image": IMAGE, "Cmd": ["true"]}


@pytest.mark.parametrize("leave_socket", [True, False], ids=["refused", "no-socket"])
async def test_an_engine_that_is_down_is_unavailable_and_found_again(
    engine: DockerEngine, proxy: FaultProxy, container: str, leave_socket: bool
) -> None:
    proxy.refuse(leave_socket=leave_socket)
    with pytest.raises(EngineUnavailableError):
        await engine.inspect(container)
    with pytest.raises(EngineUnavailableError):
        await engine.start(container)
    with pytest.raises(EngineUnavailableError):
        await engine.create("never", BODY)
    with pytest.raises(EngineUnavailableError):
        async with engine.events():
            pass
    proxy.listen()
    assert (await inspect(engine, container)).status is Status.CREATED


@contextmanager
def without_root() -> Iterator[None]:
    """Act as nobody, for whom files' modes count."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


async def test_a_socket_one_may_not_open_is_unavailable(proxy: FaultProxy) -> None:
    proxy.socket.chmod(0)
    stranger = DockerEngine(Endpoint(proxy.host), "ns")
    with without_root(), pytest.raises(EngineUnavailableError, match="Permission denied"):
        await stranger.ping()
    await stranger.close()


async def test_nothing_behind_an_address_is_unavailable() -> None:
    engine = DockerEngine(Endpoint("http://127.0.0.1:1"), "ns")
    with pytest.raises(EngineUnavailableError):
        await engine.ping()
    await engine.close()


async def test_a_start_whose_answer_is_cut_off_is_ambiguous_and_was_sent_once(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.cut("/start")
    with pytest.raises(EngineInterruptedError):
        await engine.start(container)
    assert proxy.count("/start") == 1
    assert (await inspect(engine, container)).status is Status.RUNNING


async def test_a_start_whose_answer_is_lost_is_ambiguous_and_was_sent_once(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.lose_reply("/start")
    # the connection is this call's own, and the engine may close it once it has answered
    with pytest.raises((EngineTimeoutError, EngineInterruptedError)):
        await engine.start(container)
    assert proxy.count("/start") == 1
    assert (await inspect(engine, container)).status is Status.RUNNING


async def test_a_reset_before_the_engine_hears_is_ambiguous_all_the_same(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.reset("/start")
    with pytest.raises(EngineInterruptedError):
        await engine.start(container)
    assert (await inspect(engine, container)).status is Status.CREATED


async def test_a_create_is_never_repeated(
    engine: DockerEngine, proxy: FaultProxy, namespace: str
) -> None:
    proxy.cut("/containers/create")
    with pytest.raises(EngineInterruptedError):
        await engine.create(namespace, make_body(namespace, namespace))
    assert proxy.count("/containers/create") == 1
    await engine.remove((await inspect(engine, namespace)).uid)


SPOILED: dict[str, Callable[[FaultProxy], None]] = {
    "cut": lambda proxy: proxy.cut("/json", times=2),
    "reset": lambda proxy: proxy.reset("/json", times=2),
    "half-closed": lambda proxy: proxy.half_close("/json", times=2),
    "truncated": lambda proxy: proxy.truncate("/json", 300, times=2),
    "no head": lambda proxy: proxy.truncate("/json", 9, times=2),
    "garbled": lambda proxy: proxy.answer("/json", 200, '{"Id": ', times=2),
    "null": lambda proxy: proxy.answer("/json", 200, "null", times=2),
    "not an object": lambda proxy: proxy.answer("/json", 200, "[1]", times=2),
    "something else": lambda proxy: proxy.answer("/json", 200, '{"message": "hello"}', times=2),
    "empty": lambda proxy: proxy.answer("/json", 200, "", times=2),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
async def test_a_spoiled_reading_is_repeated_twice(
    engine: DockerEngine, proxy: FaultProxy, container: str, spoil: Callable[[FaultProxy], None]
) -> None:
    spoil(proxy)
    assert (await inspect(engine, container)).uid == container


@pytest.mark.parametrize("body", ["{", '{"message": "hello"}', "[1]"])
async def test_a_reading_that_stays_garbled_is_an_interruption(
    engine: DockerEngine, proxy: FaultProxy, body: str
) -> None:
    proxy.answer("", 200, body)
    for call in (engine.list(), engine.create("never", BODY), engine.inspect("f" * 64)):
        with pytest.raises(EngineInterruptedError):
            await call


async def test_a_removal_whose_answer_is_cut_off_is_done_by_repeating_it(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    proxy.cut("DELETE", times=1)
    await engine.remove(container)
    assert proxy.count("DELETE") == 2
    with pytest.raises(NotFoundError):
        await engine.inspect(container)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, EngineRefusedError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, EngineRefusedError),
        (503, OverloadedError),
    ],
)
async def test_a_refusal_carries_status_and_text_and_is_not_repeated(
    engine: DockerEngine, proxy: FaultProxy, status: int, kind: type[EngineRefusedError]
) -> None:
    proxy.answer("/json", status, '{"message": "because"}')
    with pytest.raises(EngineRefusedError) as refusal:
        await engine.inspect("f" * 64)
    assert type(refusal.value) is kind
    assert (refusal.value.status, refusal.value.message) == (status, "because")
    assert proxy.count("/json") == 1


@pytest.mark.parametrize("status", [404, 500, 502])
async def test_an_error_without_json_is_an_error_of_the_interface(
    engine: DockerEngine, proxy: FaultProxy, status: int
) -> None:
    proxy.answer("/json", status, "<html>")
    with pytest.raises(EngineError):
        await engine.inspect("f" * 64)


async def test_a_removal_already_under_way_counts_as_done(
    engine: DockerEngine, proxy: FaultProxy, container: str
) -> None:
    text = f"removal of container {container} is already in progress"
    proxy.answer("DELETE", 409, f'{{"message": "{text}"}}')
    await engine.remove(container)


@pytest.mark.parametrize("ref", ["../images/busybox:job", "a/../b", "", "a?b=c", "a\n", "a%2fb"])
async def test_what_is_no_reference_reaches_no_endpoint(
    engine: DockerEngine, proxy: FaultProxy, ref: str
) -> None:
    before = len(proxy.requests)
    for call in (engine.inspect(ref), engine.start(ref)):
        with pytest.raises(NotFoundError):
            await call
    await engine.remove(ref)
    assert len(proxy.requests) == before


async def test_the_platform_is_asked_of_the_engine(
    engine: DockerEngine, private_engine: PrivateEngine, namespace: str
) -> None:
    ours = private_engine.docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
    container_id = (await engine.create(namespace, BODY, platform=ours.stdout.strip())).uid
    await engine.remove(container_id)
    with pytest.raises(NotFoundError, match="platform"):
        await engine.create(namespace, BODY, platform="linux/mips64")


async def test_anonymous_volumes_go_with_their_container_and_named_ones_stay(
    docker_engine: DockerEngine, private_engine: PrivateEngine, namespace: str
) -> None:
    host = {"Binds": [f"{namespace}:/named"]}
    body = {**BODY, "Volumes": {"/anonymous": {}}, "HostConfig": host}
    container_id = (await docker_engine.create(namespace, body)).uid
    mounts = private_engine.inspect(container_id)["Mounts"]
    anonymous = [mount["Name"] for mount in mounts if mount["Destination"] == "/anonymous"]
    await docker_engine.remove(container_id)
    left = private_engine.docker("volume", "ls", "-q").stdout.split()
    private_engine.docker("volume", "rm", namespace)
    assert namespace in left
    assert len(anonymous) == 1
    assert anonymous[0] not in left
