"""The engine's API by plain HTTP on its socket: the suite's own eyes, sharing no code of ours."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

VERSION = "v1.41"


class SilentEngineError(Exception):
    """The engine gave no whole answer."""


class UnixConnection(HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class RawEngine:
    """Calls to the engine behind ``path``; raises ``SilentEngineError`` when there is no answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout: float = 10,
        **params: str,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the JSON of the answer."""
        connection = UnixConnection(self._path, timeout)
        try:
            content = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            target = f"/{VERSION}/{path}" + (f"?{urlencode(params)}" if params else "")
            connection.request(method, target, content, headers)
            response = connection.getresponse()
            payload = response.read()
            return response.status, json.loads(payload) if payload else None
        except (OSError, HTTPException, ValueError) as error:
            raise SilentEngineError(str(error)) from error
        finally:
            connection.close()

    def list_labelled(self, label: str, *, timeout: float = 10) -> list[dict[str, Any]]:
        """List all containers with a label."""
        filters = json.dumps({"label": [label]})
        status, rows = self.call(
            "GET", "containers/json", timeout=timeout, all="1", filters=filters
        )
        if status != 200:
            raise SilentEngineError(f"list: {status}")
        return list(rows)

    def inspect(self, container_id: str, *, timeout: float = 10) -> dict[str, Any] | None:
        """Inspect a container; ``None`` when it is gone."""
        status, facts = self.call("GET", f"containers/{container_id}/json", timeout=timeout)
        if status == 404:
            return None
        if status != 200:
            raise SilentEngineError(f"inspect: {status}")
        return dict(facts)

    def open_events(self, label: str, since: int) -> "EventStream":
        """Subscribe to container events from ``since`` (seconds since the epoch) on."""
        return EventStream(self._path, label, since)


class EventStream:
    """One subscription; iterating yields events until the engine ends it or ``close`` is called."""

    def __init__(self, path: Path, label: str, since: int) -> None:
        self._connection = UnixConnection(path, None)
        filters: Mapping[str, list[str]] = {"type": ["container"], "label": [label]}
        query = urlencode({"since": str(since), "filters": json.dumps(filters)})
        try:
            self._connection.request("GET", f"/{VERSION}/events?{query}")
            self._response = self._connection.getresponse()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise SilentEngineError(str(error)) from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with closing(self._connection), closing(self._response):
            while True:
                try:
                    line = self._response.readline()
                    if not line:
                        return
                    yield json.loads(line)
                except (OSError, HTTPException, ValueError):
                    return

    def close(self) -> None:
        """End the subscription, from any thread; who iterates closes it."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
