"""Runs these tests on virtual time; makes engines and benches: a reconciler on an engine each."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from controller.policy import Policy
from tests.fakes.engine.engine import MemoryEngine
from tests.support.virtual_time import VirtualLoop
from tests.unit.controller.rig import Bench

_REAL = {"test_probes_port.py"}  # opens a port: its loop must wait for real sockets


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the event loop of a test."""
    return {"loop": asyncio.new_event_loop if item.path.name in _REAL else VirtualLoop}


@pytest.fixture
async def virtual_loop(monkeypatch: pytest.MonkeyPatch) -> VirtualLoop:
    """Return the loop of this test; controller and informer measure by its clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    monkeypatch.setattr(time, "monotonic", loop.time)
    return loop


@pytest.fixture
def make_engine(virtual_loop: VirtualLoop) -> Callable[..., MemoryEngine]:
    """Return what makes an engine on virtual time; a call on it may take ``timeout`` seconds."""

    def build(timeout: float = 0.4, start_seconds: float = 0.0) -> MemoryEngine:
        return MemoryEngine(clock=virtual_loop.now_ns, timeout=timeout, start_seconds=start_seconds)

    return build


@pytest.fixture
def make(make_engine: Callable[..., MemoryEngine], tmp_path: Path) -> Callable[..., Bench]:
    """Return what makes a bench."""

    def build(
        policy: Policy | None = None,
        engine: MemoryEngine | None = None,
        tick: float = 30.0,
        folder: Path = tmp_path,
    ) -> Bench:
        return Bench(folder, policy or Policy(), engine or make_engine(), tick)

    return build
