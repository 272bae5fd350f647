"""The controller's port: opened as soon as it can be had, closed at the end."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from controller import probes as probes_module
from controller.leader_lock import LeaderLock
from controller.metrics import Metrics
from controller.policy import Policy
from controller.probes import Probes
from controller.reconciler import Reconciler
from tests.fakes.engine.engine import MemoryEngine


async def test_a_port_in_use_is_waited_for_and_then_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_module, "_RETRY", 0.0)
    metrics, lock = Metrics(), LeaderLock(tmp_path, "ns")
    reconciler = Reconciler(MemoryEngine(), Policy(), lock, interval=30, patience=1)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        serving = asyncio.create_task(Probes(reconciler, metrics).serve("127.0.0.1", port))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not serving.done()
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health/live") as response:
                    assert response.status == 204
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
