"""Marks and stops: the same on the in-memory engine and on a real one."""

import asyncio
from dataclasses import replace

import pytest

from api.engine.errors import ConflictError, NotFoundError
from api.engine.interface import Engine, EventKind
from api.v1.job import Job, Status
from api.v1.labels import CANCELS, NAMESPACE
from api.v1.mark import Mark, encode_mark, name_mark
from api.v1.spec import JobSpec, encode
from tests.contract.subject import RERUN, Difference, Subject
from tests.support.private_engine import IMAGE

NOBODY = "f" * 64


def mark(subject: Subject, uid: str) -> Mark:
    return Mark("", uid, subject.engine.now(), grace=3, purge=True, why="typo")


async def list_marks(engine: Engine, **wanted: list[str]) -> list[Mark]:
    marks: list[Mark] = []
    await engine.list(**wanted, on_mark=marks.append)  # type: ignore[arg-type]
    return marks


async def test_a_mark_is_found_and_listed_and_is_no_job(subject: Subject, engine: Engine) -> None:
    uid = await subject.create()
    wanted = mark(subject, uid)
    own = await engine.create_mark(name_mark(uid), wanted)
    made = replace(wanted, uid=own)
    assert await engine.find_mark(name_mark(uid)) == made
    assert await list_marks(engine) == [made]
    assert await list_marks(engine, uids=[own]) == [made]
    assert await list_marks(engine, uids=[uid]) == []
    assert [job.uid for job in await subject.list()] == [uid]
    assert await engine.inspect(own) is None


async def test_a_second_mark_of_a_name_is_a_conflict(subject: Subject, engine: Engine) -> None:
    uid = await subject.create()
    wanted = mark(subject, uid)
    made = await asyncio.gather(
        *(engine.create_mark(name_mark(uid), wanted) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(item, str) for item in made) == 1
    assert sum(isinstance(item, ConflictError) for item in made) == 3


async def test_a_mark_is_removed_as_a_job_is(subject: Subject, engine: Engine) -> None:
    job = NOBODY
    if subject.differs(Difference.MARKS_ARE_LABELS):
        with pytest.raises(NotFoundError):
            await engine.create_mark(name_mark(NOBODY), mark(subject, NOBODY))
        job = await subject.create()
    own = await engine.create_mark(name_mark(job), mark(subject, job))
    await engine.remove(own)
    await engine.remove(own)
    assert await engine.find_mark(name_mark(job)) is None


async def test_the_events_of_a_mark_say_so(subject: Subject, engine: Engine) -> None:
    job = NOBODY
    if subject.differs(Difference.MARKS_ARE_LABELS):
        job = await subject.create()
    else:
        await engine.create_mark("seen-before", mark(subject, job))
        await subject.list()  # a list shows its image
    async with subject.record() as recording:
        wanted = mark(subject, job)
        own = await engine.create_mark(name_mark(job), wanted)
        await recording.wait_for(EventKind.CREATED, own)
        await engine.remove(own)
        events = await recording.wait_for(EventKind.REMOVED, own)
    assert [event.kind for event in events] == [EventKind.CREATED, EventKind.REMOVED]
    assert all(event.is_mark and not event.is_job for event in events)
    assert [event.mark for event in events] == [replace(wanted, uid=own), None]


async def test_an_image_makes_no_mark(subject: Subject, engine: Engine) -> None:
    uid = await subject.create()
    labels = encode_mark(mark(subject, uid), namespace=subject.namespace)
    image = await subject.add_image(labels)
    await subject.add("forged", {NAMESPACE: subject.namespace}, image=image)
    own = labels | {CANCELS: NOBODY}
    real = await subject.add("by-hand", own, image=image)
    if subject.differs(Difference.MARKS_ARE_LABELS):
        assert await list_marks(engine) == []
        assert await engine.find_mark("by-hand") is None
        return
    assert [found.uid for found in await list_marks(engine)] == [real]
    assert await engine.find_mark("forged") is None
    found = await engine.find_mark("by-hand")
    assert found is not None
    assert found.job == NOBODY


async def test_what_is_no_mark_is_not_found_as_one(subject: Subject, engine: Engine) -> None:
    name = subject.make_name()
    uid = await subject.create(name=name)
    assert await engine.find_mark(name) is None
    assert await engine.find_mark(uid[:12]) is None
    assert await engine.find_mark(name_mark(uid)) is None


async def test_a_stop_ends_a_running_job(subject: Subject, engine: Engine, sleeper: Job) -> None:
    await engine.stop(sleeper.uid, 0)
    seen = await subject.inspect(sleeper.uid)
    assert (seen.status, seen.exit_code) == (Status.EXITED, 137)
    await engine.stop(sleeper.uid, 0)


async def test_a_stop_waits_for_its_grace(subject: Subject, engine: Engine, sleeper: Job) -> None:
    """The first process of a container heeds no signal that it has no handler for."""
    if subject.differs(Difference.OWN_GRACE):
        assert sleeper.stop_timeout == 1
    await engine.stop(sleeper.uid, 1)
    seen = await subject.inspect(sleeper.uid)
    assert seen.exit_code == 137
    assert seen.finished_at is not None
    assert seen.started_at is not None
    assert seen.finished_at - seen.started_at >= 1_000_000_000


async def test_a_stop_goes_on_when_its_caller_has_left(
    subject: Subject, engine: Engine, sleeper: Job
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await engine.stop(sleeper.uid, 1)
    await subject.wait_for(sleeper.uid, lambda seen: seen.exit_code == 137)


async def test_two_stops_at_once_do_no_harm(subject: Subject, engine: Engine, sleeper: Job) -> None:
    await asyncio.gather(engine.stop(sleeper.uid, 1), engine.stop(sleeper.uid, 0))
    assert (await subject.inspect(sleeper.uid)).exit_code == 137


async def test_a_paused_job_is_stopped(subject: Subject, engine: Engine, sleeper: Job) -> None:
    await subject.pause(sleeper.uid)
    await engine.stop(sleeper.uid, 0)
    assert (await subject.inspect(sleeper.uid)).exit_code == 137


async def test_a_job_that_is_to_be_restarted_ends_for_good(
    subject: Subject, engine: Engine
) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 9}}
    uid = await subject.create(["sh", "-c", "exit 3"], spec=RERUN, host=policy)
    await engine.start(uid)
    await subject.wait_for(uid, lambda seen: seen.status is Status.RESTARTING)
    await engine.stop(uid, 0)
    seen = await subject.inspect(uid)
    assert seen.status is Status.EXITED


async def test_what_does_not_run_is_left_as_it_is(subject: Subject, engine: Engine) -> None:
    uid = await subject.create()
    await engine.stop(uid, 0)
    assert (await subject.inspect(uid)).is_pending
    with pytest.raises(NotFoundError):
        await engine.stop(NOBODY, 0)


async def test_how_long_a_job_asks_for_is_shown(subject: Subject, engine: Engine) -> None:
    name = subject.make_name()
    labels = encode(JobSpec(), namespace=subject.namespace, job_id=name, labels={})
    body = {"Image": IMAGE, "Cmd": ["true"], "StopTimeout": 3, "Labels": labels}
    uid = (await engine.create(name, body)).uid
    assert (await subject.inspect(uid)).stop_timeout == 3
    own = 10 if subject.differs(Difference.OWN_GRACE) else None
    assert (await subject.inspect(await subject.create())).stop_timeout == own
