"""The three transports reach a real engine as DOCKER_HOST and DOCKER_CERT_PATH say."""

from pathlib import Path

import pytest

from api.engine.docker.endpoint import Endpoint, EndpointError, Transport, resolve_endpoint
from api.engine.docker.engine import DockerEngine
from api.engine.errors import EngineError, EngineUnavailableError
from tests.support.certificates import make_certificates, make_server_context
from tests.support.private_engine import PrivateEngine
from tests.support.proxy import FaultProxy


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


async def ask(endpoint: Endpoint) -> str:
    engine = DockerEngine(endpoint, "ns")
    try:
        await engine.ping()
        return (await engine.info()).id
    finally:
        await engine.close()


def identify(private_engine: PrivateEngine) -> str:
    return private_engine.docker("info", "--format", "{{.ID}} {{.DockerRootDir}}").stdout.strip()


async def test_a_socket_is_reached(private_engine: PrivateEngine) -> None:
    environ = {"DOCKER_HOST": private_engine.host}
    endpoint = resolve_endpoint(Transport.SOCKET, environ)
    assert await ask(endpoint) == identify(private_engine)


async def test_plain_http_is_reached(private_engine: PrivateEngine) -> None:
    with FaultProxy(private_engine.host, port=0) as proxy:
        endpoint = resolve_endpoint(Transport.HTTP, {"DOCKER_HOST": proxy.host})
        assert await ask(endpoint) == identify(private_engine)


async def test_tls_is_reached_with_both_sides_proven(
    private_engine: PrivateEngine, certificates: Path
) -> None:
    context = make_server_context(certificates)
    with FaultProxy(private_engine.host, port=0, tls=context) as proxy:
        environ = {"DOCKER_HOST": proxy.host, "DOCKER_CERT_PATH": str(certificates)}
        endpoint = resolve_endpoint(Transport.TLS, environ)
        assert await ask(endpoint) == identify(private_engine)
        async with (engine := DockerEngine(endpoint, "ns")).events():
            pass
        await engine.close()


async def test_an_engine_of_another_authority_is_not_trusted_unless_told_so(
    private_engine: PrivateEngine, certificates: Path, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    context = make_server_context(certificates)
    with FaultProxy(private_engine.host, port=0, tls=context) as proxy:
        environ = {"DOCKER_HOST": proxy.host, "DOCKER_CERT_PATH": str(tmp_path)}
        with pytest.raises(EngineUnavailableError):
            await ask(resolve_endpoint(Transport.TLS, environ))
        trusting = resolve_endpoint(Transport.TLS, environ | {"DOCKER_TLS_VERIFY": "0"})
        assert await ask(trusting) == identify(private_engine)


async def test_a_client_of_another_authority_is_turned_away(
    private_engine: PrivateEngine, certificates: Path, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    (tmp_path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    context = make_server_context(certificates)
    with FaultProxy(private_engine.host, port=0, tls=context) as proxy:
        environ = {"DOCKER_HOST": proxy.host, "DOCKER_CERT_PATH": str(tmp_path)}
        with pytest.raises(EngineError):
            await ask(resolve_endpoint(Transport.TLS, environ))
        assert not proxy.requests


async def test_plain_http_to_a_tls_port_is_an_error_of_the_port(
    private_engine: PrivateEngine, certificates: Path
) -> None:
    context = make_server_context(certificates)
    with FaultProxy(private_engine.host, port=0, tls=context) as proxy:
        with pytest.raises(EngineError):
            await ask(resolve_endpoint(Transport.HTTP, {"DOCKER_HOST": proxy.host}))
        assert not proxy.requests


async def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    endpoint = Endpoint("https://localhost:1", tmp_path)
    with pytest.raises(EndpointError, match=str(tmp_path)):
        DockerEngine(endpoint, "ns")
