"""A real image registry on a private engine's own loopback, behind a proxy that can spoil it."""

import asyncio
import base64
import ctypes
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Self

from tests.support.private_engine import PrivateEngine
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_until

USER = "builder"
PASSWORD = "let me in"
# its bcrypt, at the lowest cost: the registry takes no other hash, and Python makes none
_HASH = "$2y$05$abcdefghijklmnopqrstuu4h2R.N3/mVBA7Xh7aLzKSJDAsK61n52"
_CLONE_NEWNET = 0x40000000


class Registry:
    """Debian's docker-registry for ``engine``, at ``address``; its images are gone when it ends.

    The engine takes registries of 127.0.0.0/8 without TLS. ``proxy`` stands before it: requests
    are counted there by lines like ``GET /v2/team/job/manifests/1``, and can be held, cut, or
    answered in the registry's place. With ``guarded`` it asks for ``USER`` and ``PASSWORD``.
    """

    def __init__(self, engine: PrivateEngine, *, port: int = 5000, guarded: bool = False) -> None:
        self.address = f"127.0.0.1:{port}"
        self._engine = engine
        self._guarded = guarded
        self._folder = Path(tempfile.mkdtemp(prefix="registry-"))
        self._socket = self._folder / "socket"
        self.proxy: FaultProxy = _Door(str(self._socket), port, engine.pid)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
            self.proxy.__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "images")}},
            "http": {"net": "unix", "addr": str(self._socket)},
        }
        if self._guarded:
            users = self._folder / "htpasswd"
            users.write_text(f"{USER}:{_HASH}\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
        path = self._folder / "config.yml"
        path.write_text(json.dumps(config))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._socket.exists, "the registry listens")

    def publish(self, image: str) -> str:
        """Store a new image as ``image`` here alone; return its name as the engine pulls it."""
        name = f"{self.address}/{image}"
        client = self.write_credentials().parent if self._guarded else self._folder
        self._engine.docker("import", "-c", 'CMD ["true"]', "-", name, stdin=_make_layer())
        self._engine.docker("--config", str(client), "push", "--quiet", name)
        self.forget(name)
        return name

    def forget(self, name: str) -> None:
        """Remove an image from the engine."""
        self._engine.docker("rmi", "--force", name)

    def write_credentials(self, password: str = PASSWORD) -> Path:
        """Write a Docker config file for this registry and return its path."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        word = base64.b64encode(f"{USER}:{password}".encode()).decode()
        path = folder / "config.json"
        path.write_text(json.dumps({"auths": {self.address: {"auth": word}}}))
        path.chmod(0o600)
        return path

    def count_pulls(self, name: str) -> int:
        """Return how often the engine has pulled ``name``, by its latest 256 events."""
        options = ("--filter", "type=image", "--filter", "event=pull", "--format", "{{.Actor.ID}}")
        # events of a second are told when it is over
        end = str(int(time.time()) + 1)
        done = self._engine.docker("events", "--since", "1", "--until", end, *options)
        return done.stdout.split().count(name)


class _Door(FaultProxy):
    """A proxy that listens inside the network namespace of a process."""

    def __init__(self, upstream: str, port: int, pid: int) -> None:
        super().__init__(upstream, port=port)
        self._address = ("127.0.0.1", port)
        self._pid = pid

    async def _start_listening(self) -> None:
        listener = listen_inside(self._pid, self._address)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Plain(self._serve), sock=listener
        )


class _Plain(asyncio.StreamReaderProtocol):
    """Ends connections that begin with TLS, which the engine tries first, as HTTP servers do."""

    def __init__(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        super().__init__(asyncio.StreamReader(), serve)
        self._fresh: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._fresh = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._fresh is not None and data.startswith(b"\x16"):
            self._fresh.close()
            return
        self._fresh = None
        super().data_received(data)


def _make_layer() -> bytes:
    """Return a tar that no other image holds: layers that the engine has are not fetched."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = 1000
        tar.addfile(entry, BytesIO(os.urandom(entry.size)))
    return buffer.getvalue()


def listen_inside(pid: int, address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at ``address`` in the network namespace of process ``pid``.

    A socket stays in the namespace of the thread that made it, which may end.
    """
    listeners: list[socket.socket] = []

    def listen() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(namespace, _CLONE_NEWNET):
                return
        finally:
            os.close(namespace)
        listeners.append(socket.create_server(address))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    if not listeners:
        raise OSError(f"no listener at {address} inside the network namespace of {pid}")
    return listeners[0]
