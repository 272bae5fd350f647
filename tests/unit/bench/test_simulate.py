"""The simulation runs, and finds a figure for all it promises."""

import gc
from collections.abc import Iterator

import pytest

from tests.bench import simulate as simulation
from tests.support.virtual_time import VirtualLoop


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("collector")
def test_wake_ups_and_passes_are_timed_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_WAKES", 10)
    monkeypatch.setattr(simulation, "_PASSES", 2)
    loop = VirtualLoop()
    findings = loop.run(simulation.simulate(400))
    loop.close()
    names = [row.name for row in findings.rows]
    assert any("a wake-up: growth from 40 to 400 jobs" in name for name in names), names
    assert any("a full pass: growth from 40 to 400 jobs" in name for name in names), names
    assert all(row.value > 0 for row in findings.rows if row.measure == "ms")
