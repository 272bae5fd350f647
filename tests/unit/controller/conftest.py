"""Makes benches: a reconciler on an in-memory engine each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.policy import Policy
from tests.fakes.engine.engine import MemoryEngine
from tests.unit.controller.rig import Bench


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bench]:
    def build(
        policy: Policy | None = None,
        engine: MemoryEngine | None = None,
        tick: float = 30.0,
        folder: Path = tmp_path,
    ) -> Bench:
        return Bench(folder, policy or Policy(), engine or MemoryEngine(timeout=0.4), tick)

    return build
