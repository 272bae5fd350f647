"""Fixtures that all suites share, and the count of tests that ran against a real engine."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import settings

from api.engine.docker.endpoint import Endpoint
from api.engine.docker.engine import DockerEngine
from tests.support.engine_versions import Differs, read_engine_version
from tests.support.private_engine import PrivateEngine

_REAL = frozenset({"private_engine", "private_manager"})

# The same examples every time, so that a failure is the change's; HYPOTHESIS_PROFILE=explore looks
# for new ones. No deadline: the machine is noisy.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_configure() -> None:
    """Take SIGINT as on a terminal: shells have what they start in the background ignore it.

    All that tests start would ignore it, too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def unfiltered_logs() -> None:
    """Undo what an earlier test in this process made of the logs: a command sets a level."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def private_engine() -> Iterator[PrivateEngine]:
    """Return a real engine, shared by the session: nobody may stop, freeze or fill it.

    A test that does such things starts one of its own. Without an engine tests fail, never skip.
    """
    with PrivateEngine() as engine:
        yield engine


@pytest.fixture(scope="session")
def private_manager() -> Iterator[PrivateEngine]:
    """Return a swarm of one node, shared by the session as the engine is."""
    with PrivateEngine() as engine:
        engine.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
        yield engine


@pytest.fixture
async def docker_engine(
    private_engine: PrivateEngine, namespace: str
) -> AsyncIterator[DockerEngine]:
    """Return the adapter on the shared real engine, for this test's namespace."""
    engine = DockerEngine(Endpoint(private_engine.host), namespace)
    yield engine
    await engine.close()


@pytest.fixture
def differs(request: pytest.FixtureRequest) -> Differs:
    """Return what a test asks where newer engines answer otherwise than the oldest."""

    def ask(since: int, reason: str) -> bool:
        is_so = read_engine_version()[0] >= since
        if is_so:
            request.node.user_properties.append(("difference", f"since {since}: {reason}"))
        return is_so

    return ask


@pytest.fixture
def namespace() -> str:
    """Return a namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever needs a real engine; what is slow comes first, or others wait for its end."""
    for item in items:
        if not _REAL.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("engine")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Carry the mark to where results are counted: another process under xdist."""
    if item.get_closest_marker("engine"):
        item.user_properties.append(("engine", "real"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran against a real engine."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call" and ("engine", "real") in report.user_properties
    ]
    terminalreporter.write_line(f"{len(reports)} tests ran against a real engine")
