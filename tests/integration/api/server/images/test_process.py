"""The API's process in the middle of a pull, and where its credentials go."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.api.server.images.conftest import Remote
from tests.support.private_engine import PrivateEngine
from tests.support.processes import ApiProcess
from tests.support.registry import PASSWORD, Registry
from tests.support.waiting import wait_until


def order(name: str, image: str) -> dict[str, object]:
    return {"Name": name, "Image": image}


def test_a_kill_in_the_middle_of_a_pull_leaves_nothing_half_made(
    private_engine: PrivateEngine, registry: Registry, namespace: str, image: Remote, name: str
) -> None:
    registry.proxy.block("/blobs/")
    with (
        ApiProcess(private_engine.host, namespace, "--pull", "IfNotPresent", ".") as api,
        ThreadPoolExecutor(1) as pool,
    ):
        posting = pool.submit(api.post, order(name, image.name))
        wait_until(
            lambda: registry.proxy.count(f"GET /v2/{image.path}/blobs/"), "the pull is under way"
        )
        api.kill()
        assert posting.exception(timeout=30) is not None
        assert name not in private_engine.names()
        registry.proxy.heal()
        api.start()
        assert api.get(f"/job/{name}").code == 404
        assert api.post(order(name, image.name)).code == 201
    assert private_engine.names().count(name) == 1


def test_an_end_in_good_order_does_not_wait_for_a_pull(
    private_engine: PrivateEngine, registry: Registry, namespace: str, image: Remote, name: str
) -> None:
    registry.proxy.block("/blobs/")
    with (
        ApiProcess(private_engine.host, namespace, "--pull", "always", ".") as api,
        ThreadPoolExecutor(1) as pool,
    ):
        posting = pool.submit(api.post, order(name, image.name))
        wait_until(
            lambda: registry.proxy.count(f"GET /v2/{image.path}/blobs/"), "the pull is under way"
        )
        assert api.terminate() == 0
        reply = posting.result(timeout=30)
        assert (reply.code, reply.body["error"]["reason"]) == (503, "ShuttingDown")
    assert name not in private_engine.names()


@pytest.mark.parametrize("variable", ["REGISTRY_CONFIG", "DOCKER_CONFIG"])
def test_credentials_serve_pulls_and_nothing_else_sees_them(
    private_engine: PrivateEngine,
    guarded_registry: Registry,
    secret_image: str,
    namespace: str,
    variable: str,
) -> None:
    name = namespace.replace("test", "job")
    path = guarded_registry.write_credentials()
    env = {
        variable: str(path if variable == "REGISTRY_CONFIG" else path.parent),
        "PULL_POLICY": "IfNotPresent",
    }
    spy = ". + {Labels: {seen: ($ENV | tostring)}}"
    with ApiProcess(private_engine.host, namespace, "--log-level", "trace", spy, env=env) as api:
        assert api.post(order(name, secret_image)).code == 201
        ended = api.events("pull ended")
        text = api.log() + api.get("/metrics").body
    assert [line["outcome"] for line in ended] == ["pulled"]
    seen = private_engine.inspect(name)["Config"]["Labels"]["seen"]
    secret = path.read_text().split('"auth": "')[1].split('"')[0]
    for place in (text, seen):
        assert PASSWORD not in place
        assert secret not in place
    assert str(path.parent) not in seen


def test_no_job_may_mount_the_credentials(
    private_engine: PrivateEngine, registry: Registry, namespace: str, name: str, tmp_path: Path
) -> None:
    credentials = registry.write_credentials()
    config = tmp_path / "filters" / "mounts.yaml"
    config.parent.mkdir()
    config.write_text(
        "apiVersion: docker-job-dispatcher/v1\nkind: Filter\nmetadata: {name: mounts}\n"
        "spec:\n  path: /job\n  filter: .\n"
        f'  admission: {{allow: {{hostPaths: ["{credentials.parent}"]}}}}\n'
    )
    options = ("--from-file", str(config), "--registry-config", str(credentials))
    with ApiProcess(private_engine.host, namespace, *options) as api:
        for source in (credentials, credentials.parent):
            host = {"Binds": [f"{source}:/stolen"]}
            reply = api.post(order(name, "busybox:job") | {"HostConfig": host})
            assert (reply.code, reply.body["error"]["reason"]) == (403, "Denied")
    assert name not in private_engine.names()
