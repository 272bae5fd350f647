"""Events: what is told, in which order, and that nothing falls into the seam of subscription."""

import asyncio
from dataclasses import replace

from api.engine.interface import EventKind
from api.v1.job import Job
from api.v1.labels import NAMESPACE
from api.v1.spec import encode
from tests.contract.subject import RERUN, SPEC, Difference, Subject

LIFE = [EventKind.CREATED, EventKind.STARTED, EventKind.ENDED, EventKind.REMOVED]


async def test_a_life_is_told_in_order(subject: Subject) -> None:
    async with subject.record() as recording:
        name = subject.make_name()
        uid = await subject.create(["sh", "-c", "exit 3"], name=name)
        await subject.start(uid)
        await recording.wait_for(EventKind.ENDED, uid)
        await subject.wait_for(uid, lambda seen: seen.exit_code == 3)
        await subject.engine.remove(uid)
        events = await recording.wait_for(EventKind.REMOVED, uid)
    assert recording.find_kinds(uid) == LIFE
    assert [event.exit_code for event in events if event.kind in LIFE] == [None, None, 3, None]
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert all(event.is_job for event in events)


async def test_a_refused_start_is_told_by_no_event(subject: Subject) -> None:
    async with subject.record() as recording:
        uid = await subject.create(["/no/such/command"])
        await subject.start_in_vain(uid)
        await subject.engine.remove(uid)
        await recording.wait_for(EventKind.REMOVED, uid)
    assert recording.find_kinds(uid) == [EventKind.CREATED, EventKind.REMOVED]


async def test_pause_and_rename_are_told(subject: Subject, sleeper: Job) -> None:
    async with subject.record() as recording:
        await subject.pause(sleeper.uid)
        if subject.differs(Difference.NO_PAUSE):
            await recording.wait_for(EventKind.CREATED, await subject.create())
            told = {event.kind for event in recording.events if event.uid == sleeper.uid}
            assert EventKind.CHANGED not in told
            return
        await recording.wait_for(EventKind.CHANGED, sleeper.uid)
        await subject.unpause(sleeper.uid)
        await recording.wait_for(EventKind.CHANGED, sleeper.uid, count=2)
        await subject.rename(sleeper.uid, subject.make_name())
        events = await recording.wait_for(EventKind.CHANGED, sleeper.uid, count=3)
    assert [event.kind for event in events][-3:] == [EventKind.CHANGED] * 3
    assert [event.is_job for event in events][-3:] == [True, True, False]


async def test_another_restart_policy_is_told_and_shown(subject: Subject, sleeper: Job) -> None:
    async with subject.record() as recording:
        await subject.update(sleeper.uid, "always")
        await recording.wait_for(EventKind.CHANGED, sleeper.uid)
        assert (await subject.inspect(sleeper.uid)).lingers
        await subject.update(sleeper.uid, "no")
        await recording.wait_for(EventKind.CHANGED, sleeper.uid, count=2)
        assert not (await subject.inspect(sleeper.uid)).lingers


async def test_every_end_of_a_restarted_container_is_told(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    async with subject.record() as recording:
        host = {"RestartPolicy": policy}
        uid = await subject.create(["sh", "-c", "exit 4"], spec=RERUN, host=host)
        await subject.engine.start(uid)
        await recording.wait_for(EventKind.ENDED, uid, count=2)
    begun, ended = EventKind.STARTED, EventKind.ENDED
    assert recording.find_kinds(uid) == [EventKind.CREATED, begun, ended, begun, ended]


async def test_only_what_carries_our_label_is_told(subject: Subject) -> None:
    other = {NAMESPACE: f"{subject.namespace}-other"}
    async with subject.record() as recording:
        stranger = await subject.add(subject.make_name(), other)
        await recording.wait_for(EventKind.CREATED, await subject.create())
        assert stranger not in {event.uid for event in recording.events}
        await subject.clear(stranger)


async def test_the_events_of_what_an_image_makes_look_like_a_job_prove_nothing(
    subject: Subject,
) -> None:
    labels = encode(SPEC, namespace=subject.namespace, job_id="a-job", labels={})
    image = await subject.add_image(labels)
    async with subject.record() as recording:
        copy = await subject.add(subject.make_name(), {}, image=image)
        bare = await subject.add(subject.make_name(), {NAMESPACE: subject.namespace})
        if subject.differs(Difference.NO_IMAGE_LABELS):
            await recording.wait_for(EventKind.CREATED, await subject.create())
            assert not {copy, bare} & {event.uid for event in recording.events}
            return
        for uid in (copy, bare):
            [event] = await recording.wait_for(EventKind.CREATED, uid)
            assert not event.is_job


async def test_nothing_falls_into_the_seam_of_subscription(subject: Subject) -> None:
    for _ in range(10):
        async with subject.record() as recording:
            uid = await subject.create()
            await recording.wait_for(EventKind.CREATED, uid)


async def test_a_wait_that_was_given_up_does_not_break_the_stream(subject: Subject) -> None:
    async with subject.engine.events() as events:
        given_up = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        uid = await subject.create()
        assert (await asyncio.wait_for(anext(events), 30)).uid == uid


async def test_what_comes_in_a_pause_is_told_after_it_in_order(subject: Subject) -> None:
    resting, over = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        resting.set()
        await over.wait()

    if subject.differs(Difference.OWN_PACE):
        over.set()
    async with subject.engine.events(pause=pause) as events:
        uids = [await subject.create()]
        assert (await asyncio.wait_for(anext(events), 30)).uid == uids[0]
        following = asyncio.ensure_future(anext(events))
        if not subject.differs(Difference.OWN_PACE):
            await asyncio.wait_for(resting.wait(), 30)
        async with subject.record() as recording:
            uids += [await subject.create() for _ in range(2)]
            await recording.wait_for(EventKind.CREATED, uids[-1])
        assert following.done() is subject.differs(Difference.OWN_PACE)
        over.set()
        told = [await asyncio.wait_for(following, 30), await asyncio.wait_for(anext(events), 30)]
        assert [event.uid for event in told] == uids[1:]


async def test_two_streams_are_told_the_same(subject: Subject) -> None:
    async with subject.record() as one, subject.record() as two:
        uid = await subject.create()
        assert await one.wait_for(EventKind.CREATED, uid) == await two.wait_for(
            EventKind.CREATED, uid
        )


async def test_the_event_of_a_creation_shows_the_job_once_a_list_has_shown_its_image(
    subject: Subject,
) -> None:
    await subject.create()
    await subject.list()
    async with subject.record() as recording:
        uid = await subject.create()
        told = (await recording.wait_for(EventKind.CREATED, uid))[0].job
    assert told is not None
    seen = await subject.inspect(uid)
    if subject.differs(Difference.SHOWS_ALL):
        assert told == seen
        return
    assert told == replace(
        seen,
        created=told.created,
        order=told.created,
        exact=False,
        detailed=False,
        told=True,
        lingers=True,
        likeness=(),
    )
    assert told.created >= seen.created


async def test_no_label_forges_the_name_or_the_image_of_an_event(subject: Subject) -> None:
    """Docker writes both over a container's labels, and labels over all else."""
    await subject.create()
    await subject.list()
    name = subject.make_name()
    own = {NAMESPACE: subject.namespace}
    if subject.differs(Difference.NAMED_JOBS):
        own = encode(SPEC, namespace=subject.namespace, job_id=name, labels={})
    labels = {**own, "name": "forged", "image": "forged"}
    async with subject.record() as recording:
        uid = await subject.add(name, labels)
        told = (await recording.wait_for(EventKind.CREATED, uid))[0].job
    assert told is not None
    assert told.id == name


async def test_the_event_of_what_may_be_a_stranger_shows_no_job(subject: Subject) -> None:
    """Of an image that nobody has seen, of one committed from a job, or called otherwise."""
    name, other = subject.make_name(), subject.make_name()
    await subject.create()
    labels = encode(SPEC, namespace=subject.namespace, job_id=name, labels={})
    image = await subject.add_image(labels)
    async with subject.record() as recording:
        unknown = await subject.add(other, {}, image=image)
        await subject.list()
        copy = await subject.add(name, {}, image=image)
        renamed = await subject.add(subject.make_name(), labels)
        if subject.differs(Difference.NO_IMAGE_LABELS):
            await recording.wait_for(EventKind.CREATED, await subject.create())
            assert not {unknown, copy, renamed} & {event.uid for event in recording.events}
            return
        for uid in (unknown, copy, renamed):
            event = (await recording.wait_for(EventKind.CREATED, uid))[0]
            assert event.job is None
