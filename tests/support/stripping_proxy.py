"""A proxy that makes an engine answer as API 1.52 does: what that version dropped is missing."""

import asyncio
import json
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from yarl import URL

OLDEST: Final = (1, 44)
NEWEST: Final = (1, 52)

_PATIENCE = 30.0
_VERSIONED: Final = re.compile(r"/v(\d+)\.(\d+)(/.*)")
_EVENT: Final = ("status", "id", "from")
_NETWORK: Final = (
    *("Bridge", "HairpinMode", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen"),
    *("SecondaryIPAddresses", "SecondaryIPv6Addresses", "EndpointID", "Gateway"),
    *("GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen", "IPv6Gateway"),
    "MacAddress",
)
_IMAGE: Final = ("Container", "ContainerConfig", "DockerVersion", "Parent", "VirtualSize")
_OF_THE_HOP: Final = frozenset(
    {"connection", "content-length", "transfer-encoding", "keep-alive", "host", "content-encoding"}
)


class StrippingProxy:
    """Stands in front of the engine at ``upstream`` (``unix:///path``); ``with`` runs it.

    It offers API 1.44 to 1.52, as engine 29.0 does, and speaks to the engine in the newest version
    that the engine knows. Dropped are ``status``, ``id`` and ``from`` of events, the first
    network's members of an inspect, and what image inspects no longer tell. ``spoken`` are the
    versions that clients asked in. It runs in a thread of its own.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removeprefix("unix://")
        self._folder = Path(tempfile.mkdtemp(prefix="stripping-proxy-"))
        self._version = ""
        self.spoken: set[tuple[int, int]] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    @property
    def host(self) -> str:
        """What ``DOCKER_HOST`` must be to go through the proxy."""
        return f"unix://{self._folder}/docker.sock"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(_PATIENCE), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_PATIENCE)
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _run(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # a client that leaves a stream is to leave the engine's too
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        connector = aiohttp.UnixConnector(self._upstream, limit=0)
        timeout = aiohttp.ClientTimeout()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            async with self._session.get("http://engine/version") as response:
                self._version = (await response.json())["ApiVersion"]
            await runner.setup()
            await web.UnixSite(runner, self._folder / "docker.sock").start()
            self._ready.set()
            await self._ended.wait()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        target = request.path_qs
        if match := _VERSIONED.fullmatch(target):
            asked = int(match[1]), int(match[2])
            self.spoken.add(asked)
            if not OLDEST <= asked <= NEWEST:
                return _refuse(asked)
            target = f"/v{self._version}{match[3]}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_THE_HOP}
        url = URL(f"http://engine{target}", encoded=True)
        async with self._session.request(
            request.method, url, data=await request.read(), headers=headers
        ) as response:
            return await _pass_on(request, response, url.path)


async def _pass_on(
    request: web.Request, response: aiohttp.ClientResponse, path: str
) -> web.StreamResponse:
    kept = {k: v for k, v in response.headers.items() if k.lower() not in _OF_THE_HOP}
    if "Api-Version" in kept:
        kept["Api-Version"] = _format(NEWEST)
    answer = web.StreamResponse(status=response.status, headers=kept)
    if path.endswith("/events"):
        await answer.prepare(request)
        async for line in response.content:
            await answer.write(json.dumps(_drop(json.loads(line), _EVENT)).encode() + b"\n")
        return answer
    payload = await response.read()
    if response.ok and response.content_type == "application/json":
        payload = json.dumps(_strip(json.loads(payload), path)).encode()
    answer.content_length = len(payload)
    await answer.prepare(request)
    await answer.write(payload)
    return answer


def _strip(data: Any, path: str) -> Any:
    """Return the answer to ``path`` as API 1.52 gives it."""
    if path.endswith("/version"):
        return {**data, "ApiVersion": _format(NEWEST), "MinAPIVersion": _format(OLDEST)}
    if re.fullmatch(r"/v[\d.]+/containers/[^/]+/json", path):
        return {**data, "NetworkSettings": _drop(data.get("NetworkSettings") or {}, _NETWORK)}
    if re.fullmatch(r"/v[\d.]+/images/.+/json", path):
        return _drop(data, _IMAGE)
    return data


def _drop(data: dict[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in members}


def _refuse(asked: tuple[int, int]) -> web.Response:
    word, bound = ("old", "Minimum") if asked < OLDEST else ("new", "Maximum")
    limit = _format(OLDEST if asked < OLDEST else NEWEST)
    text = (
        f"client version {_format(asked)} is too {word}. {bound} supported API version is {limit}"
    )
    return web.json_response({"message": text}, status=400)


def _format(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
