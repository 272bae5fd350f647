"""Pulls of a real engine from a real registry; what they leave is read from the engine."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from structlog.testing import capture_logs

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from api.server.filters.config import PullPolicy
from api.server.images.credentials import RegistryConfig
from api.server.images.settings import Pulling
from tests.integration.api.server.images.conftest import Remote
from tests.support.api import Api, serve
from tests.support.private_engine import PrivateEngine
from tests.support.processes import Reply
from tests.support.proxy import FaultProxy
from tests.support.registry import PASSWORD, Registry

MISSING, ALWAYS = PullPolicy.IF_NOT_PRESENT, PullPolicy.ALWAYS
Serve = Callable[[Pulling], AbstractAsyncContextManager[Api]]


@pytest.fixture
def serving(private_engine: PrivateEngine, namespace: str) -> Serve:
    """Serve the application on the real engine; documents are manifests."""
    endpoint = Endpoint(private_engine.host)
    return lambda pulling: serve(DockerEngine(endpoint, namespace), namespace, pulling=pulling)


def order(name: str, image: str) -> dict[str, object]:
    return {"Name": name, "Image": image}


def told(reply: Reply) -> tuple[int, str]:
    return reply.code, reply.body["error"]["reason"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("policy", [MISSING, ALWAYS])
async def test_a_missing_image_is_pulled_and_its_job_is_recorded(
    serving: Serve, private_engine: PrivateEngine, image: Remote, name: str, policy: PullPolicy
) -> None:
    async with serving(Pulling(policy)) as api:
        reply = await api.post(order(name, image.name))
    assert reply.code == 201
    found = private_engine.inspect(name)
    assert (found["Id"], found["Config"]["Image"]) == (reply.body["uid"], image.name)
    assert found["State"]["Status"] == "created"


async def test_never_leaves_the_registry_alone(
    serving: Serve, registry: Registry, image: Remote, name: str
) -> None:
    before = registry.proxy.count("")
    async with serving(Pulling()) as api:
        assert told(await api.post(order(name, image.name))) == (400, "ImageNotFound")
    assert registry.proxy.count("") == before


async def test_a_newer_image_of_the_same_name_is_taken_by_always_alone(
    serving: Serve, private_engine: PrivateEngine, registry: Registry, image: Remote, name: str
) -> None:
    async with serving(Pulling(MISSING)) as api:
        assert (await api.post(order(f"{name}-1", image.name))).code == 201
        old = private_engine.inspect(f"{name}-1")["Image"]
        private_engine.docker("tag", old, f"{name}:kept")
        registry.publish(f"{image.path}:1")
        private_engine.docker("tag", old, image.name)
        assert (await api.post(order(f"{name}-2", image.name))).code == 201
    async with serving(Pulling(ALWAYS)) as api:
        assert (await api.post(order(f"{name}-3", image.name))).code == 201
    second, third = (private_engine.inspect(f"{name}-{n}")["Image"] for n in (2, 3))
    assert second == old
    assert third != old


async def test_an_image_of_another_platform_is_told_and_its_tag_moved_by_always_alone(
    serving: Serve, private_engine: PrivateEngine, registry: Registry, image: Remote, name: str
) -> None:
    def read_id() -> str:
        return private_engine.docker("image", "inspect", "-f", "{{.Id}}", image.name).stdout

    async with serving(Pulling(MISSING)) as api:
        assert (await api.post(order(name, image.name))).code == 201
        old = private_engine.inspect(name)["Image"]
        private_engine.docker("tag", old, f"{name}:kept")
        registry.publish(f"{image.path}:1")
        private_engine.docker("tag", old, image.name)
        other = order(f"{name}-2", image.name) | {"Platform": "linux/mips64"}
        before = registry.proxy.count("")
        assert told(await api.post(other)) == (400, "PlatformMismatch")
        local = other | {"Image": f"{name}:kept"}
        assert told(await api.post(local)) == (400, "PlatformMismatch")
    assert (registry.proxy.count(""), read_id().strip()) == (before, old)
    async with serving(Pulling(ALWAYS)) as api:
        # one image and no list of them: the engine takes it and says only then what it is
        assert told(await api.post(other)) == (400, "PlatformMismatch")
    assert read_id().strip() != old


async def test_without_a_tag_one_image_is_pulled_and_not_all(
    serving: Serve, private_engine: PrivateEngine, registry: Registry, image: Remote, name: str
) -> None:
    registry.publish(f"{image.path}:latest")
    repository = f"{registry.address}/{image.path}"
    async with serving(Pulling(MISSING)) as api:
        assert (await api.post(order(name, repository))).code == 201
    tags = private_engine.docker("images", repository, "--format", "{{.Tag}}").stdout.split()
    assert tags == ["latest"]


async def test_twenty_requests_at_once_are_one_pull_and_twenty_jobs(
    serving: Serve, private_engine: PrivateEngine, registry: Registry, image: Remote, name: str
) -> None:
    registry.proxy.block("/blobs/")
    async with serving(Pulling(MISSING)) as api:
        posts = [
            asyncio.create_task(api.post(order(f"{name}-{number}", image.name)))
            for number in range(20)
        ]
        await until(lambda: registry.proxy.count(f"GET /v2/{image.path}/blobs/"))
        assert not any(post.done() for post in posts)
        registry.proxy.heal()
        replies = await asyncio.gather(*posts)
    assert {reply.code for reply in replies} == {201}
    assert registry.count_pulls(image.name) == 1
    assert registry.proxy.count(f"^HEAD /v2/{image.path}/manifests/1") <= 1
    assert len([n for n in private_engine.names() if n.startswith(f"{name}-")]) == 20


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_a_refusal_of_our_credentials_is_400_and_its_words_stay_in_the_log(
    serving: Serve,
    guarded_registry: Registry,
    secret_image: str,
    name: str,
    password: str | None,
) -> None:
    config = RegistryConfig(guarded_registry.write_credentials(password)) if password else None
    with capture_logs() as log:
        async with serving(Pulling(MISSING, config=config)) as api:
            reply = await api.post(order(name, secret_image))
    assert told(reply) == (400, "PullDenied")
    assert "auth" not in reply.body["error"]["message"]
    assert any("auth" in str(line.get("cause")) for line in log)


async def test_the_right_credentials_open_a_registry_and_are_never_logged(
    serving: Serve, guarded_registry: Registry, secret_image: str, name: str
) -> None:
    config = RegistryConfig(guarded_registry.write_credentials())
    with capture_logs() as log:
        async with serving(Pulling(MISSING, config=config)) as api:
            assert (await api.post(order(name, secret_image))).code == 201
    assert PASSWORD not in str(log)


@pytest.mark.parametrize("policy", [MISSING, ALWAYS])
async def test_an_unknown_tag_or_repository_is_400(
    serving: Serve, private_engine: PrivateEngine, image: Remote, name: str, policy: PullPolicy
) -> None:
    async with serving(Pulling(policy)) as api:
        for wrong in (f"{image.name}-unknown", image.name.replace("team/", "nobody/")):
            reply = await api.post(order(name, wrong))
            assert told(reply) == (400, "ImageNotFound")
            assert wrong in reply.body["error"]["message"]
    assert name not in private_engine.names()


async def test_a_name_that_no_image_can_have_is_400(serving: Serve, name: str) -> None:
    async with serving(Pulling(ALWAYS)) as api:
        reply = await api.post(order(name, "127.0.0.1:5000/UPPER/job"))
    assert told(reply) == (400, "EngineRefused")


async def test_a_registry_where_nothing_listens_is_502(
    serving: Serve, private_engine: PrivateEngine, name: str
) -> None:
    async with serving(Pulling(MISSING)) as api:
        reply = await api.post(order(name, "127.0.0.1:5999/job:1"))
    assert told(reply) == (502, "PullFailed")
    assert int(reply.headers["retry-after"]) > 0
    assert "refused" not in reply.body["error"]["message"]
    assert name not in private_engine.names()


async def test_a_registry_that_fails_is_502(
    serving: Serve, registry: Registry, image: Remote, name: str
) -> None:
    async with serving(Pulling(MISSING)) as api:
        for status, text in ((503, "{}"), (429, '{"errors": [{"code": "TOOMANYREQUESTS"}]}')):
            registry.proxy.answer("/manifests/", status, text)
            assert told(await api.post(order(name, image.name))) == (502, "PullFailed")
            registry.proxy.heal()
        assert (await api.post(order(name, image.name))).code == 201


@pytest.mark.parametrize("silent", ["", "/blobs/"])
async def test_a_registry_that_hangs_is_502_in_time_and_can_be_asked_again(
    serving: Serve, private_engine: PrivateEngine, registry: Registry, image: Remote, silent: str
) -> None:
    name = f"job-{image.path.replace('/', '-')}"
    registry.proxy.block(silent)
    async with serving(Pulling(MISSING, timeout=1.0)) as api:
        reply = await api.post(order(name, image.name))
        assert told(reply) == (502, "PullFailed")
        assert "in time" in reply.body["error"]["message"]
        assert name not in private_engine.names()
    registry.proxy.heal()
    async with serving(Pulling(MISSING)) as api:
        assert (await api.post(order(name, image.name))).code == 201


async def test_trouble_in_the_course_of_a_pull_is_told_as_trouble_at_its_start(
    private_engine: PrivateEngine, namespace: str, image: Remote, name: str
) -> None:
    """The engine has said 200 by then, and tells the rest within the stream."""
    with FaultProxy(private_engine.host) as proxy:
        async with serve(
            DockerEngine(Endpoint(proxy.host), namespace), namespace, pulling=Pulling(MISSING)
        ) as api:
            for text, expected in (
                ("unauthorized: authentication required", (400, "PullDenied")),
                ("manifest unknown", (400, "ImageNotFound")),
                ("unexpected EOF", (502, "PullFailed")),
            ):
                line = f'{{"errorDetail": {{"message": "{text}"}}, "error": "{text}"}}\n'
                proxy.answer("/images/create", 200, '{"status": "Pulling"}\n' + line, times=1)
                assert told(await api.post(order(name, image.name))) == expected
            proxy.truncate("/images/create", 100, times=1)
            assert told(await api.post(order(name, image.name))) == (502, "EngineUnavailable")
            assert name not in private_engine.names()
            assert (await api.post(order(name, image.name))).code == 201
