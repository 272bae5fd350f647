"""When an image is pulled, how often, and what those who wait for it are told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.engine.errors import (
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineUnavailableError,
    NotFoundError,
    OverloadedError,
)
from api.server.filters.config import PullPolicy
from api.server.http.problem import Problem
from api.server.images import pulls as pulls_module
from api.server.images.credentials import RegistryConfig
from api.server.images.pulls import PullOutcome, Pulls, explain_failure
from api.server.images.settings import Pulling
from api.server.metrics import ApiMetrics
from tests.fakes.engine.engine import MemoryEngine
from tests.support.api import Api, serve

IMAGE = "example.org/team/job:1"
NEVER, MISSING, ALWAYS = PullPolicy


def order(name: str = "job-1", image: str = IMAGE, **members: object) -> dict[str, object]:
    return {"Name": name, "Image": image, "Cmd": ["true"], **members}


def make_engine(*, published: bool = True) -> MemoryEngine:
    engine = MemoryEngine()
    if published:
        engine.published.add(IMAGE)
    return engine


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def read_pulls(api: Api) -> dict[str, float]:
    """Return how many pulls ended in each outcome, as the metrics tell."""
    text = (await api.get("/metrics")).body
    rows = [row for row in text.splitlines() if "dispatcher_pull_duration_seconds_count" in row]
    return {row.split('"')[1]: float(row.rpartition(" ")[2]) for row in rows}


@pytest.mark.parametrize(
    ("policy", "is_there", "code", "pulled"),
    [
        (NEVER, False, 400, 0),
        (NEVER, True, 201, 0),
        (MISSING, False, 201, 1),
        (MISSING, True, 201, 0),
        (ALWAYS, False, 201, 1),
        (ALWAYS, True, 201, 1),
    ],
)
async def test_the_policy_says_when_an_image_is_pulled(
    policy: PullPolicy, is_there: bool, code: int, pulled: int
) -> None:
    engine = make_engine()
    if is_there:
        engine.add_image(IMAGE)
    async with serve(engine, "ns", pulling=Pulling(policy)) as api:
        reply = await api.post(order())
        assert (reply.code, engine.calls["pull"]) == (code, pulled)
        assert await read_pulls(api) == ({"pulled": 1.0} if pulled else {})
    assert list(engine.names()) == (["job-1"] if code == 201 else [])


@pytest.mark.parametrize("policy", [NEVER, MISSING])
async def test_an_image_that_is_there_costs_one_create_call_and_nothing_else(
    policy: PullPolicy,
) -> None:
    engine = make_engine()
    engine.add_image(IMAGE)
    async with serve(engine, "ns", pulling=Pulling(policy)) as api:
        await api.post(order())
        before = engine.calls["create"], engine.calls["pull"]
        await api.post(order("job-2"))
        assert (engine.calls["create"], engine.calls["pull"]) == (before[0] + 1, before[1])


async def test_a_filter_configs_policy_wins(tmp_path: Path) -> None:
    head = "apiVersion: docker-job-dispatcher/v1\nkind: Filter\n"
    for name, pull in (("always", "  pull: IfNotPresent\n"), ("open", "")):
        text = f"metadata: {{name: {name}}}\nspec:\n  path: /job/{name}\n{pull}  filter: .\n"
        (tmp_path / f"{name}.yaml").write_text(head + text)
    for policy, expected in ((NEVER, (201, 400)), (MISSING, (201, 201))):
        engine = make_engine()
        pulling, folder = Pulling(policy), str(tmp_path)
        async with serve(engine, "ns", pulling=pulling, from_file=folder) as api:
            first = await api.post(order(), "/job/always")
            engine._images.pop(IMAGE)
            second = await api.post(order("job-2"), "/job/open")
        assert (first.code, second.code) == expected


async def test_a_job_that_is_there_is_found_without_a_pull() -> None:
    engine = make_engine()
    async with serve(engine, "ns", pulling=Pulling(ALWAYS)) as api:
        first = await api.post(order())
        engine.fail("pull", EngineRefusedError(500, "no route to host"), times=None)
        second = await api.post(order())
    assert (first.code, second.code) == (201, 200)
    assert second.body["uid"] == first.body["uid"]


async def test_what_admission_refuses_is_never_pulled() -> None:
    engine = make_engine()
    async with serve(engine, "ns", pulling=Pulling(ALWAYS)) as api:
        reply = await api.post(order(HostConfig={"Privileged": True}))
    assert (reply.code, engine.calls["pull"]) == (403, 0)


async def test_a_rehearsal_pulls_nothing() -> None:
    engine = make_engine()
    async with serve(engine, "ns", pulling=Pulling(ALWAYS)) as api:
        assert (await api.post(order(), "/job?dryRun=true")).code == 200
    assert engine.calls["pull"] == 0


@pytest.mark.parametrize("image", ["sha256:" + "0" * 64, "0" * 64, "sha256:0123abc"])
@pytest.mark.parametrize("policy", [MISSING, ALWAYS])
async def test_an_image_named_by_its_id_is_never_looked_for_in_a_registry(
    image: str, policy: PullPolicy
) -> None:
    engine = make_engine()
    engine.published.add(image)
    async with serve(engine, "ns", pulling=Pulling(policy)) as api:
        reply = await api.post(order(image=image))
    assert (reply.code, reply.body["error"]["reason"]) == (400, "ImageNotFound")
    assert engine.calls["pull"] == 0


@asynccontextmanager
async def pull_alone(engine: MemoryEngine, **settings: float) -> AsyncIterator[Pulls]:
    pulls = Pulls(engine, Pulling(MISSING, **settings), ApiMetrics())  # type: ignore[arg-type] # whole
    yield pulls
    await pulls.close()


@pytest.mark.parametrize("policy", [MISSING, ALWAYS])
async def test_many_requests_for_one_image_are_one_pull_and_are_all_answered(
    policy: PullPolicy,
) -> None:
    engine = make_engine()
    engine.hang("pull")
    async with serve(engine, "ns", pulling=Pulling(policy)) as api:
        tries = "image_config" if policy is MISSING else "inspect"
        before = engine.calls[tries]
        posts = [asyncio.create_task(api.post(order(f"job-{n}"))) for n in range(20)]
        await wait_for(lambda: engine.calls[tries] >= before + 20 and engine.calls["pull"])
        assert not any(post.done() for post in posts)
        engine.heal()
        replies = await asyncio.gather(*posts)
    assert {reply.code for reply in replies} == {201}
    assert (engine.calls["pull"], len(engine.names())) == (1, 20)


class _LateEngine(MemoryEngine):
    """Tells the first who asks for a missing image at once, and all others ``later``."""

    def __init__(self) -> None:
        super().__init__()
        self.later = asyncio.Event()
        self.missed = 0

    async def image_config(self, image: str) -> Mapping[str, Any]:
        try:
            return await super().image_config(image)
        except NotFoundError:
            self.missed += 1
            if self.missed > 1:
                await self.later.wait()
            raise


async def test_one_who_learns_after_a_pull_that_the_image_was_missing_does_not_pull_again() -> None:
    engine = _LateEngine()
    engine.published.add(IMAGE)
    engine.hang("pull")
    async with serve(engine, "ns", pulling=Pulling(MISSING)) as api:
        posts = [asyncio.create_task(api.post(order(f"job-{n}"))) for n in range(5)]
        await wait_for(lambda: engine.missed == len(posts))
        engine.heal()
        await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        engine.later.set()
        replies = await asyncio.gather(*posts)
    assert {reply.code for reply in replies} == {201}
    assert (engine.calls["pull"], len(engine.names())) == (1, 5)


async def test_an_image_that_was_removed_since_is_pulled_again() -> None:
    engine = make_engine()
    async with serve(engine, "ns", pulling=Pulling(MISSING)) as api:
        await api.post(order())
        engine.remove_image(IMAGE)
        assert (await api.post(order("job-2"))).code == 201
    assert engine.calls["pull"] == 2


async def test_a_pull_that_fails_is_told_to_all_who_wait_and_tried_again_by_the_next() -> None:
    engine = make_engine()
    async with pull_alone(engine) as pulls:
        engine.fail("pull", EngineRefusedError(500, "connection refused"))
        waiting = [pulls.pull(IMAGE, None) for _ in range(5)]
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(end, "reason", None) for end in ends] == ["PullFailed"] * 5
        await pulls.pull(IMAGE, None)
    assert engine.calls["pull"] == 2


async def test_one_who_leaves_does_not_end_the_pull_for_the_others() -> None:
    engine = make_engine()
    engine.hang("pull")
    async with pull_alone(engine) as pulls:
        first = asyncio.create_task(pulls.pull(IMAGE, None))
        second = asyncio.create_task(pulls.pull(IMAGE, None))
        await wait_for(lambda: engine.calls["pull"])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        engine.heal()
        await second
    assert engine.calls["pull"] == 1


async def test_platforms_of_one_image_are_pulled_apart() -> None:
    engine = make_engine()
    async with pull_alone(engine) as pulls:
        await asyncio.gather(pulls.pull(IMAGE, None), pulls.pull(IMAGE, "linux/arm64"))
    assert engine.calls["pull"] == 2


async def test_a_pull_ends_at_its_deadline_and_says_so() -> None:
    engine = make_engine()
    engine.hang("pull")
    async with serve(engine, "ns", pulling=Pulling(MISSING, timeout=0.05)) as api:
        reply = await api.post(order())
        assert (reply.code, reply.body["error"]["reason"]) == (502, "PullFailed")
        assert "in time" in reply.body["error"]["message"]
        assert int(reply.headers["retry-after"]) > 0
        assert await read_pulls(api) == {"timeout": 1.0}
        engine.heal()
        assert (await api.post(order())).code == 201


async def test_no_more_wait_for_pulls_than_may_and_other_jobs_go_on() -> None:
    engine = make_engine()
    engine.hang("pull")
    async with serve(engine, "ns", pulling=Pulling(MISSING, waiting=2)) as api:
        posts = [asyncio.create_task(api.post(order(f"job-{n}"))) for n in range(2)]
        await wait_for(lambda: engine.calls["image_config"] >= 2 and engine.calls["pull"])
        third = await api.post(order("job-3"))
        assert (third.code, third.body["error"]["reason"]) == (429, "TooManyRequests")
        assert int(third.headers["retry-after"]) > 0
        assert (await api.post(order("job-4", "busybox:job"))).code == 201
        engine.heal()
        assert {reply.code for reply in await asyncio.gather(*posts)} == {201}
        assert (await api.post(order("job-3"))).code == 201


async def test_the_end_of_service_ends_pulls() -> None:
    engine = make_engine()
    engine.hang("pull")
    metrics = ApiMetrics()
    pulls = Pulls(engine, Pulling(MISSING), metrics)
    waiting = asyncio.create_task(pulls.pull(IMAGE, None))
    await wait_for(lambda: engine.calls["pull"])
    async with asyncio.timeout(60):
        await pulls.close()
        await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert metrics.registry.get_sample_value(
        "dispatcher_pull_duration_seconds_count", {"outcome": "cancelled"}
    )


@pytest.mark.parametrize(
    ("error", "outcome", "code", "reason"),
    [
        (TimeoutError(), PullOutcome.TIMEOUT, 502, "PullFailed"),
        (EngineRefusedError(403, "secret"), PullOutcome.DENIED, 400, "PullDenied"),
        (NotFoundError(404, "unknown"), PullOutcome.NOT_FOUND, 400, "ImageNotFound"),
        (EngineRefusedError(400, "invalid reference"), PullOutcome.INVALID, 400, "EngineRefused"),
        (EngineRefusedError(429, "secret"), PullOutcome.FAILED, 502, "PullFailed"),
        (EngineRefusedError(500, "secret"), PullOutcome.FAILED, 502, "PullFailed"),
        (OverloadedError(503, "secret"), PullOutcome.FAILED, 502, "EngineUnavailable"),
        (EngineUnavailableError("secret"), PullOutcome.FAILED, 502, "EngineUnavailable"),
        (EngineInterruptedError("secret"), PullOutcome.FAILED, 502, "EngineUnavailable"),
    ],
)
def test_a_refusal_of_the_registry_is_told_apart_from_its_absence(
    error: EngineError | TimeoutError, outcome: PullOutcome, code: int, reason: str
) -> None:
    found, problem = explain_failure(IMAGE, error)
    assert (found, problem.code, problem.reason) == (outcome, code, reason)
    assert ("Retry-After" in problem.headers) == (code == 502)
    assert "secret" not in problem.message


async def test_credentials_that_cannot_be_read_fail_the_pull_and_stay_in_the_log(
    tmp_path: Path,
) -> None:
    engine = make_engine()
    config = RegistryConfig(tmp_path / "gone.json")
    pulls = Pulls(engine, Pulling(MISSING, config=config), ApiMetrics())
    with capture_logs() as log, pytest.raises(Problem) as caught:
        await pulls.pull(IMAGE, None)
    assert (caught.value.code, caught.value.reason) == (502, "PullFailed")
    assert "gone.json" not in caught.value.message
    assert "gone.json" in str(log)
    assert engine.calls["pull"] == 0


async def test_a_pull_is_told_at_its_start_while_it_lasts_and_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulls_module, "_TELL_EVERY", 0.01)
    engine = make_engine()
    engine.hang("pull")
    with capture_logs() as log:
        async with pull_alone(engine) as pulls:
            waiting = asyncio.create_task(pulls.pull(IMAGE, None))
            await wait_for(lambda: sum(line["event"] == "still pulling" for line in log) >= 2)
            engine.heal()
            await waiting
    events = [line["event"] for line in log]
    assert (events[0], events[-1]) == ("pulling", "pull ended")
    assert {line["image"] for line in log} == {IMAGE}
    assert (log[-1]["outcome"], log[-1]["layers"]) == ("pulled", "1/1")
