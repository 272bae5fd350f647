"""An engine for each module of the catalogue, which may be maltreated, and a stage on it."""

from collections.abc import Iterator

import pytest

from tests.chaos.stage import Stage
from tests.support.private_engine import PrivateEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """Return an engine of this module's own; each test leaves it serving."""
    with PrivateEngine({"shutdown-timeout": 3}) as engine:
        yield engine


@pytest.fixture(scope="module")
def module_stage(engine: PrivateEngine) -> Iterator[Stage]:
    """Return the stage that a module's tests share."""
    with Stage(engine) as stage:
        yield stage


@pytest.fixture
def stage(module_stage: Stage) -> Iterator[Stage]:
    """Return the stage with a sound proxy, and remove afterwards what a test left on it."""
    yield module_stage
    module_stage.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs against a real engine, so that it is counted."""
    for item in items:
        if {"engine", "stage"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("engine")
