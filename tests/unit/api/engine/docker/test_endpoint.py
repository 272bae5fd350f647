"""DOCKER_HOST and DOCKER_CERT_PATH make the address that the Docker command line would use."""

from pathlib import Path

import pytest

from api.engine.docker.endpoint import Endpoint, EndpointError, Transport, resolve_endpoint


@pytest.mark.parametrize(
    ("transport", "host", "url"),
    [
        (Transport.SOCKET, None, "unix:///var/run/docker.sock"),
        (Transport.SOCKET, "", "unix:///var/run/docker.sock"),
        (Transport.SOCKET, "unix:///run/other.sock", "unix:///run/other.sock"),
        (Transport.HTTP, None, "http://localhost:2375"),
        (Transport.HTTP, "tcp://engine", "http://engine:2375"),
        (Transport.HTTP, "tcp://engine:99", "http://engine:99"),
        (Transport.HTTP, "http://engine:99/", "http://engine:99"),
        (Transport.HTTP, "tcp://[::1]:99", "http://[::1]:99"),
        (Transport.TLS, None, "https://localhost:2376"),
        (Transport.TLS, "tcp://engine", "https://engine:2376"),
        (Transport.TLS, " tcp://engine:99 ", "https://engine:99"),
    ],
)
def test_a_host_is_an_address(transport: Transport, host: str | None, url: str) -> None:
    environ = {} if host is None else {"DOCKER_HOST": host}
    assert resolve_endpoint(transport, environ).url == url


@pytest.mark.parametrize(
    ("transport", "host"),
    [
        (Transport.SOCKET, "tcp://engine:2375"),
        (Transport.SOCKET, "/var/run/docker.sock"),
        (Transport.HTTP, "unix:///var/run/docker.sock"),
        (Transport.HTTP, "engine:2375"),
        (Transport.HTTP, "tcp://"),
        (Transport.HTTP, "tcp://engine:port"),
        (Transport.HTTP, "tcp://engine:99999"),
        (Transport.TLS, "ssh://engine"),
    ],
)
def test_a_host_that_does_not_suit_the_transport_is_named(transport: Transport, host: str) -> None:
    with pytest.raises(EndpointError, match="DOCKER_HOST"):
        resolve_endpoint(transport, {"DOCKER_HOST": host})


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"DOCKER_CERT_PATH": "/certs"}, "/certs"),
        ({"DOCKER_CERT_PATH": "/certs", "DOCKER_CONFIG": "/config"}, "/certs"),
        ({"DOCKER_CONFIG": "/config"}, "/config"),
        ({"HOME": "/home/me"}, "/home/me/.docker"),
    ],
)
def test_certificates_lie_where_the_command_line_looks(
    environ: dict[str, str], folder: str
) -> None:
    assert resolve_endpoint(Transport.TLS, environ).certificates == Path(folder)


@pytest.mark.parametrize(
    ("value", "verify"),
    [(None, True), ("1", True), ("yes", True), ("", False), ("0", False), ("False", False)],
)
def test_the_engine_is_verified_unless_told_otherwise(value: str | None, verify: bool) -> None:
    environ = {} if value is None else {"DOCKER_TLS_VERIFY": value}
    assert resolve_endpoint(Transport.TLS, environ).verify is verify


def test_other_transports_have_no_certificates() -> None:
    environ = {"DOCKER_CERT_PATH": "/certs", "DOCKER_TLS_VERIFY": "1"}
    assert resolve_endpoint(Transport.SOCKET, environ).certificates is None
    assert resolve_endpoint(Transport.HTTP, environ).certificates is None
    assert Endpoint("http://localhost:1").make_ssl_context() is None


def test_only_a_unix_address_has_a_socket_path() -> None:
    assert Endpoint("unix:///run/d.sock").socket_path == "/run/d.sock"
    assert Endpoint("http://localhost:1").socket_path is None
