import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from api.engine.errors import (
    ConflictError,
    EngineError,
    EngineInterruptedError,
    EngineRefusedError,
    EngineTimeoutError,
)
from api.informer.informer import Informer
from api.informer.store import JobStore
from api.server.admission.settings import Profile
from api.server.filters.service import PullPolicy, from_options
from api.server.filters.workers.limits import FilterLimits
from api.server.http.problem import Problem
from api.server.images.cache import ImageCache
from api.server.images.pulls import Pulls
from api.server.images.settings import Pulling
from api.server.jobs import recorder as recorder_module
from api.server.jobs.backlog import Backlog
from api.server.jobs.lookup import Jobs
from api.server.jobs.queues import Queues
from api.server.jobs.recorder import Recorder
from api.server.metrics import ApiMetrics
from api.server.settings import Settings
from api.v1.job import Status
from api.v1.labels import KEYS, NAMESPACE
from api.v1.spec import JobSpec, digest_document, encode
from tests.fakes.engine.engine import IMAGE, MemoryEngine
from tests.support.api import Api, serve
from tests.support.listeners import Nobody

CONFLICT = ConflictError(409, "Conflict. The container name is already in use")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_CONFLICT_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(recorder_module, "_SETTLE_PAUSES", (0.0, 0.0))


def order(name: str = "job-1", **members: object) -> dict[str, object]:
    return {"Name": name, "Image": IMAGE, "Cmd": ["true"], **members}


async def post(engine: MemoryEngine, document: object) -> tuple[int, dict[str, object]]:
    async with serve(engine, "ns") as api:
        reply = await api.post(document)
        return reply.code, reply.body.get("error", reply.body)


def count(engine: MemoryEngine) -> int:
    return len(engine.names())


async def test_a_recorded_job_carries_every_label_of_ours_and_is_not_started() -> None:
    engine = MemoryEngine()
    code, body = await post(engine, order(Labels={"team": "blue"}))
    container = engine.get(str(body["uid"]))
    assert code == 201
    assert body == {"id": "job-1", "uid": container.id}
    assert container.is_startable
    assert set(container.labels) == {*KEYS, "team"}
    assert container.labels[NAMESPACE] == "ns"
    expected = digest_document("/job", order(Labels={"team": "blue"}))
    assert container.labels["docker-job-dispatcher.document"] == expected


async def test_the_engines_warnings_of_a_create_are_told_and_logged() -> None:
    engine = MemoryEngine()
    engine.warnings = ("Weight discarded.",)
    with capture_logs() as log:
        code, body = await post(engine, order())
    assert (code, body["warnings"]) == (201, ["Weight discarded."])
    lines = [line for line in log if line.get("warnings")]
    assert [(line["warnings"], line["log_level"]) for line in lines] == [
        (("Weight discarded.",), "warning")
    ]


@asynccontextmanager
async def record_alone(engine: MemoryEngine) -> AsyncIterator[Recorder]:
    """Give a recorder whose informer has read everything once and then stands still."""
    one = FilterLimits(size=1)
    filters = from_options(filter_source=".", from_file=None, filter_env=(), environ={}, limits=one)
    informer, metrics = Informer(engine, Nobody(), interval=3600.0), ApiMetrics()
    recorder = Recorder(
        engine,
        filters,
        Settings("ns"),
        jobs=Jobs(engine, informer.store),
        pulls=Pulls(engine, Pulling(), metrics),
        images=ImageCache(engine),
        backlog=Backlog(1000, Queues(dict)),
        queues=Queues(dict),
        health=informer.health,
        metrics=metrics,
    )
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(60):
        while not informer.engine_status.is_up:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await filters.start()
    try:
        yield recorder
    finally:
        await filters.close()


async def test_success_costs_one_create_call_once_the_image_is_known() -> None:
    engine = MemoryEngine()
    async with record_alone(engine) as recorder:
        await recorder.record("/job", order(name="job-0"))
        before = engine.calls.copy()
        await recorder.record("/job", order())
        assert engine.calls - before == {"create": 1}


async def test_an_image_that_hands_on_too_much_makes_no_container() -> None:
    engine = MemoryEngine()
    engine.image_configs[IMAGE] = {"Labels": {"big": "x" * (17 << 10)}}
    code, body = await post(engine, order())
    assert (code, body["reason"]) == (400, "InvalidManifest")
    assert "its labels" in str(body["message"])
    assert count(engine) == 0


async def test_a_document_of_a_renamed_job_finds_it_and_records_no_second_one() -> None:
    engine = MemoryEngine()
    labels = encode(JobSpec(path="/job"), namespace="ns", job_id="job-1", labels={})
    uid = engine.add("job-1", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels})
    engine.rename(uid, "renamed")
    async with record_alone(engine) as recorder:
        recorded = await recorder.record("/job", order())
        assert (recorded.uid, recorded.id, recorded.is_new) == (uid, "job-1", False)
        assert engine.names() == ("renamed",)
        with pytest.raises(Problem) as problem:
            await recorder.record("/job", order("renamed"))
        assert (problem.value.code, problem.value.reason) == (409, "NameTaken")
        engine.destroy(uid)
        assert (await recorder.record("/job", order())).is_new


async def test_before_everything_was_read_once_a_renamed_job_is_found_by_a_list() -> None:
    engine = MemoryEngine()
    labels = encode(JobSpec(path="/job"), namespace="ns", job_id="job-1", labels={})
    engine.rename(engine.add("job-1", {"Image": IMAGE, "Cmd": ["true"], "Labels": labels}), "old")
    async with record_alone(engine) as recorder:
        recorder._jobs = Jobs(engine, JobStore(Nobody(), wants_finish=False))
        recorded = await recorder.record("/job", order())
    assert (recorded.is_new, engine.names()) == (False, ("old",))


async def test_a_rivals_create_that_fails_leaves_the_name_to_us() -> None:
    engine = MemoryEngine()
    engine.fail("create", CONFLICT, times=2)
    code, body = await post(engine, order())
    assert (code, count(engine)) == (201, 1)
    assert engine.get(str(body["uid"])).name == "job-1"


async def test_a_name_that_stays_taken_by_nothing_is_502() -> None:
    engine = MemoryEngine()
    engine.fail("create", CONFLICT, times=None)
    code, body = await post(engine, order())
    assert (code, body["reason"], count(engine)) == (502, "NameBusy", 0)


@pytest.mark.parametrize("pull", list(PullPolicy))
@pytest.mark.parametrize("is_same_process", [True, False])
async def test_a_document_whose_image_was_pruned_since_finds_its_job(
    pull: PullPolicy, is_same_process: bool
) -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        uid = (await api.post(order())).body["uid"]
        engine.remove_image(IMAGE)
        if is_same_process:
            assert ((await api.post(order())).code, count(engine)) == (200, 1)
    async with record_alone(engine) as recorder:
        # as in a process whose store has not heard of it yet
        recorder._jobs = Jobs(engine, JobStore(Nobody(), wants_finish=False))
        recorder._jobs._store.has_read_all = True
        recorder._settings = Settings("ns", pulling=Pulling(policy=pull))
        found = await recorder.record("/job", order())
        assert (found.uid, found.is_new, found.same_document) == (uid, False, True)
        with pytest.raises(Problem) as problem:
            await recorder.record("/job", order("other"))
        assert problem.value.reason == "ImageNotFound"


async def test_a_job_that_is_there_is_found_whatever_the_engine_would_refuse_now() -> None:
    engine = MemoryEngine()
    async with record_alone(engine) as recorder:
        uid = (await recorder.record("/job", order())).uid
        recorder._jobs = Jobs(engine, JobStore(Nobody(), wants_finish=False))
        recorder._jobs._store.has_read_all = True
        engine.fail("create", EngineRefusedError(400, "invalid reference format"), times=None)
        assert (await recorder.record("/job", order())).uid == uid
        engine.add("foreign", {"Image": IMAGE, "Cmd": ["true"]})
        with pytest.raises(Problem) as problem:
            await recorder.record("/job", order("foreign"))
        assert problem.value.reason == "EngineRefused"


@pytest.mark.parametrize("is_mute", [False, True])
async def test_a_job_removed_right_after_its_201_is_lost_at_once(is_mute: bool) -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        engine.is_mute = is_mute
        uid = (await api.post(order())).body["uid"]
        engine.destroy(uid)
        lost = await api.get("/job/job-1")
        assert (lost.code, lost.body["error"]["reason"]) == (404, "JobLost")
        # without the event of its removal, one of a start may be late
        count = "dispatcher_jobs_lost_total 0.0" if is_mute else "dispatcher_jobs_lost_total 1.0"
        assert count in (await api.get("/metrics")).body
        assert (await api.post(order())).code == 201
        assert (await api.get("/job/job-1")).code == 200


async def test_a_new_job_costs_no_reading() -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        await api.post(order())
        before = engine.calls.copy()
        await api.post(order("job-2"))
        await api.post(order("job-3"))
        ready = await api.get("/health/ready?verbose")
        assert ready.body["backlog"] == 3
        assert engine.calls - before == {"create": 2, "ping": 1}


@pytest.mark.parametrize("status", [Status.REMOVING, Status.DEAD])
@pytest.mark.parametrize("pull", list(PullPolicy))
async def test_a_document_whose_job_is_on_its_way_out_is_502_until_it_is_gone(
    status: Status, pull: PullPolicy
) -> None:
    engine = MemoryEngine()
    engine.published.add(IMAGE)
    async with serve(engine, "ns", pulling=Pulling(policy=pull)) as api:
        uid = (await api.post(order())).body["uid"]
        engine.edit(uid, status=status)
        busy = await api.post(order())
        assert (busy.code, busy.body["error"]["reason"]) == (502, "NameBusy")
        assert "retry-after" in busy.headers
        engine.destroy(uid)
        again = await api.post(order())
    assert again.code == 201
    assert again.body["uid"] != uid


@pytest.mark.parametrize("error", [EngineInterruptedError("cut"), EngineTimeoutError("no answer")])
async def test_a_create_whose_reply_is_lost_is_found_and_never_repeated(
    error: EngineError,
) -> None:
    engine = MemoryEngine()
    engine.fail("create", error, takes_effect=True)
    code, body = await post(engine, order())
    assert (code, count(engine)) == (201, 1)
    assert engine.get(str(body["uid"])).name == "job-1"
    assert engine.calls["create"] == 1


@pytest.mark.parametrize("error", [EngineInterruptedError("cut"), EngineTimeoutError("no answer")])
async def test_a_create_without_reply_that_left_nothing_is_502_and_is_not_repeated(
    error: EngineError,
) -> None:
    engine = MemoryEngine()
    engine.fail("create", error)
    code, body = await post(engine, order())
    assert (code, body["reason"], count(engine)) == (502, "EngineUnavailable", 0)
    assert engine.calls["create"] == 1


async def test_a_lost_reply_about_a_strangers_name_is_409() -> None:
    engine = MemoryEngine()
    engine.add("job-1", {"Image": IMAGE, "Cmd": ["true"]})
    engine.fail("create", EngineTimeoutError("no answer"))
    code, body = await post(engine, order())
    assert (code, body["reason"]) == (409, "NameTaken")


async def test_a_500_for_a_taken_name_is_a_conflict() -> None:
    engine = MemoryEngine()
    async with serve(engine, "ns") as api:
        first = await api.post(order())
        engine.fail("create", EngineRefusedError(500, "the container name is already in use"))
        second = await api.post(order())
    assert (second.code, second.body["uid"]) == (200, first.body["uid"])


async def test_a_500_of_the_engines_own_is_502_without_its_text() -> None:
    engine = MemoryEngine()
    engine.fail("create", EngineRefusedError(500, "mkdir /var/lib: no space left on device"))
    code, body = await post(engine, order())
    assert (code, body["reason"]) == (502, "EngineFailed")
    assert "space" not in str(body)


async def test_an_engine_that_was_never_reached_is_502_and_work_goes_on_when_it_comes() -> None:
    engine = MemoryEngine()
    engine.is_down = True
    async with serve(engine, "ns") as api:
        reply = await api.post(order())
        assert (reply.code, reply.body["error"]["reason"]) == (502, "EngineUnavailable")
        assert "retry-after" in reply.headers
        engine.heal()
        assert (await api.post(order())).code == 201


async def test_a_key_newer_than_the_engine_is_refused_until_the_engine_knows_it() -> None:
    engine = MemoryEngine()
    document = order(HostConfig={"Annotations": {"a": "b"}})
    async with serve(engine, "ns", profile=Profile.PRIVILEGED) as api:
        assert (await api.post(document)).code == 400
    engine.facts = replace(engine.facts, api_version=(1, 51))
    async with serve(engine, "ns", profile=Profile.PRIVILEGED) as api:
        assert (await api.post(document)).code == 201


async def test_a_request_that_fails_in_an_unforeseen_way_is_500_in_the_one_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("secret")

    engine = MemoryEngine()
    monkeypatch.setattr(engine, "inspect", explode)
    async with serve(engine, "ns") as api:
        reply = await _get(api)
    assert (reply["code"], reply["reason"]) == (500, "InternalError")
    assert "secret" not in str(reply)


async def _get(api: Api) -> dict[str, object]:
    reply = await api.get("/job/some-job")
    error: dict[str, object] = reply.body["error"]
    assert error["requestId"] == reply.headers["x-request-id"]
    return error
