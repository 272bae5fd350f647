import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.private_engine import PrivateEngine
from tests.support.registry import Registry


@pytest.fixture(scope="session")
def open_registry(private_engine: PrivateEngine) -> Iterator[Registry]:
    with Registry(private_engine) as running:
        yield running


@pytest.fixture(scope="session")
def guarded_registry(private_engine: PrivateEngine) -> Iterator[Registry]:
    with Registry(private_engine, port=5001, guarded=True) as running:
        yield running


@pytest.fixture
def registry(open_registry: Registry) -> Iterator[Registry]:
    """Return a registry that everybody may pull from, and that does what it should."""
    yield open_registry
    open_registry.proxy.heal()


@dataclass(frozen=True, slots=True)
class Remote:
    """An image that a registry has and the engine has not; ``path`` is its part of the name."""

    path: str
    name: str


@pytest.fixture
def image(registry: Registry) -> Remote:
    """Return an image of the open registry's, its name used by no other test."""
    path = f"team/{uuid.uuid4().hex[:12]}"
    return Remote(path, registry.publish(f"{path}:1"))


@pytest.fixture
def secret_image(guarded_registry: Registry) -> str:
    """Return the name of an image of the guarded registry's."""
    return guarded_registry.publish(f"team/{uuid.uuid4().hex[:12]}:1")


@pytest.fixture
def name(namespace: str) -> str:
    """Return a job's name that no other test uses."""
    return namespace.replace("test", "job")
