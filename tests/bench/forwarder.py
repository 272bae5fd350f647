"""The least an HTTP service in front of a create call can do: no filter, no admission, no labels.

What a POST costs beyond this is ours; what this costs beyond a bare create is that of HTTP.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.bench.bare import BareEngine
from tests.bench.rig import Client, Rig
from tests.support.processes import find_free_port

_PATIENCE = 10.0


@asynccontextmanager
async def run_forwarder(rig: Rig) -> AsyncIterator[Client]:
    """Run one on the rig's engine for the length of the block; yield a client of it."""
    port = find_free_port()
    words = (sys.executable, "-m", "tests.bench.forwarder", str(rig.engine.socket), str(port))
    process = await asyncio.create_subprocess_exec(*words)
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


def _make_app(socket: Path) -> web.Application:
    async def open_engine(app: web.Application) -> AsyncIterator[None]:
        async with BareEngine(socket) as engine:
            app[_ENGINE] = engine
            yield

    app = web.Application()
    app.cleanup_ctx.append(open_engine)
    app.router.add_post("/job", _post)
    return app


_ENGINE = web.AppKey("engine", BareEngine)


async def _post(request: web.Request) -> web.Response:
    document = json.loads(await request.read())
    container_id = await request.app[_ENGINE].create(document["name"], document["command"])
    return web.json_response({"id": container_id}, status=201)


if __name__ == "__main__":
    web.run_app(
        _make_app(Path(sys.argv[1])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        print=None,
        access_log=None,
    )
