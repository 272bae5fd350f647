"""Where the engine is: transport, ``DOCKER_HOST`` and ``DOCKER_CERT_PATH`` made into an address."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
_HTTP_PORT: Final = 2375
_TLS_PORT: Final = 2376


class Transport(StrEnum):
    """How to reach the engine."""

    SOCKET = "socket"
    HTTP = "http"
    TLS = "tls"


class EndpointError(ValueError):
    """The transport and the environment do not make an address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's address: ``unix:///path``, ``http://host:port`` or ``https://host:port``.

    ``certificates`` is the folder with ``ca.pem``, ``cert.pem`` and ``key.pem``, for TLS alone.
    """

    url: str
    certificates: Path | None = None
    verify: bool = True

    @property
    def socket_path(self) -> str | None:
        """The unix socket's path, if it is one."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    def make_ssl_context(self) -> ssl.SSLContext | None:
        """Read the certificates. Raises ``EndpointError`` when they cannot be read."""
        if self.certificates is None:
            return None
        context = ssl.create_default_context()
        try:
            if self.verify:
                context.load_verify_locations(cafile=self.certificates / "ca.pem")
            else:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(self.certificates / "cert.pem", self.certificates / "key.pem")
        except OSError as error:
            raise EndpointError(f"DOCKER_CERT_PATH {self.certificates}: {error}") from error
        return context


def resolve_endpoint(transport: Transport, environ: Mapping[str, str]) -> Endpoint:
    """Return the address the Docker command line would use, for the given transport.

    ``DOCKER_HOST`` must suit the transport: ``unix://`` for ``socket``, ``tcp://`` for the others.
    ``DOCKER_TLS_VERIFY`` set to an empty text, ``0`` or ``false`` turns the check of the engine's
    certificate off; unset means on, unlike the command line, because quiet is not safe.
    """
    host = environ.get("DOCKER_HOST", "").strip()
    match transport:
        case Transport.SOCKET:
            if host and not host.startswith("unix://"):
                raise EndpointError(
                    f"DOCKER_HOST is {host}, but the transport is socket: unix://PATH is expected"
                )
            return Endpoint(host or f"unix://{DEFAULT_SOCKET}")
        case Transport.HTTP:
            return Endpoint("http://" + _read_address(host, transport, _HTTP_PORT))
        case Transport.TLS:
            home = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME', '/root')}/.docker"
            folder = Path(environ.get("DOCKER_CERT_PATH") or home)
            verify = environ.get("DOCKER_TLS_VERIFY", "1").lower() not in {"", "0", "false"}
            return Endpoint("https://" + _read_address(host, transport, _TLS_PORT), folder, verify)


def _read_address(host: str, transport: Transport, default_port: int) -> str:
    if not host:
        return f"localhost:{default_port}"
    parts = urlsplit(host)
    try:
        port = parts.port or default_port
    except ValueError as error:
        raise EndpointError(f"DOCKER_HOST {host}: {error}") from error
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise EndpointError(
            f"DOCKER_HOST is {host}, but the transport is {transport}: tcp://HOST:PORT is expected"
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{name}:{port}"
