"""The least an HTTP service in front of a create call can do: no filter and no admission.

What a POST costs beyond this is ours; what this costs beyond a bare create is that of HTTP.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.bench.bare import BareEngine
from tests.bench.rig import Client, Rig, name_body
from tests.support.processes import find_free_port

_PATIENCE = 10.0


@asynccontextmanager
async def run_forwarder(rig: Rig, body: Mapping[str, Any]) -> AsyncIterator[Client]:
    """Run one on the rig's engine for the length of the block; yield a client of it.

    It creates what ``body`` asks for, with each document's name and command.
    """
    port = find_free_port()
    words = (str(rig.engine.socket), str(port), json.dumps(body))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.forwarder", *words
    )
    try:
        async with Client(f"http://127.0.0.1:{port}") as client:
            await _wait_until_serving(client, rig.make_names("forwarded", 1)[0])
            yield client
    finally:
        process.kill()
        await process.wait()


async def _wait_until_serving(client: Client, name: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                await client.post(name)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
            else:
                return


def _make_app(socket: Path, body: dict[str, Any]) -> web.Application:
    async def open_engine(app: web.Application) -> AsyncIterator[None]:
        async with BareEngine(socket) as engine:
            app[_ENGINE] = engine
            yield

    app = web.Application()
    app[_BODY] = body
    app.cleanup_ctx.append(open_engine)
    app.router.add_post("/job", _post)
    return app


_BODY = web.AppKey("body", dict[str, Any])
_ENGINE = web.AppKey("engine", BareEngine)


async def _post(request: web.Request) -> web.Response:
    document = json.loads(await request.read())
    body = request.app[_BODY]
    name = document["name"]
    named = name_body(body, name, document["command"])
    container_id = await request.app[_ENGINE].create_as(name, named)
    return web.json_response({"id": container_id}, status=201)


if __name__ == "__main__":
    web.run_app(
        _make_app(Path(sys.argv[1]), json.loads(sys.argv[3])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        print=None,
        access_log=None,
    )
