"""Images of another platform than the manifest's, on the engine and in a registry."""

import pytest

from api.engine.errors import NotFoundError
from api.server.filters.config import PullPolicy
from api.server.images.pulls import PullOutcome, explain_failure
from api.server.images.settings import Pulling
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.api import manifest, serve

NEVER, MISSING, ALWAYS = PullPolicy


@pytest.mark.parametrize(("policy", "pulled"), [(NEVER, 0), (MISSING, 0), (ALWAYS, 1)])
async def test_an_image_of_another_platform_is_pulled_by_always_alone(
    policy: PullPolicy, pulled: int
) -> None:
    engine = MemoryEngine()
    engine.published.add(IMAGE)
    text = f"image with reference {IMAGE} was found but does not match the specified platform"
    engine.fail("create", NotFoundError(404, text), times=None)
    async with serve(engine, "ns", pulling=Pulling(policy)) as api:
        reply = await api.post(manifest("job-1", Platform="linux/arm64"))
    assert (reply.code, reply.body["error"]["reason"]) == (400, "PlatformMismatch")
    assert engine.calls["pull"] == pulled


async def test_a_container_that_is_missing_has_no_image_pulled_whatever_it_is_called() -> None:
    engine = MemoryEngine()
    engine.fail("create", NotFoundError(404, "No such container: image-server"), times=None)
    async with serve(engine, "ns", pulling=Pulling(MISSING)) as api:
        reply = await api.post(manifest("job-1"))
    assert (reply.code, reply.body["error"]["reason"]) == (400, "EngineRefused")
    assert engine.calls["pull"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "no match for platform in manifest: not found",
        'image operating system "windows" cannot be used on this platform',
    ],
)
def test_a_registry_that_has_the_image_for_other_platforms_only_is_told_apart(text: str) -> None:
    outcome, problem = explain_failure(IMAGE, NotFoundError(404, text))
    assert outcome is PullOutcome.NOT_FOUND
    assert (problem.code, problem.reason, problem.message) == (400, "PlatformMismatch", text)
