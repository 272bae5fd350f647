"""Events: what is told, in which order, and that nothing falls into the seam of subscription."""

import asyncio

from api.v1.job import Container
from tests.contract.subject import Subject


async def test_a_life_is_told_in_order(subject: Subject) -> None:
    async with subject.record() as recording:
        name = subject.make_name()
        container_id = await subject.create(["sh", "-c", "exit 3"], name=name, labels={"k": "v"})
        await subject.engine.start(container_id)
        await recording.wait_for("die", container_id)
        await subject.wait_for(container_id, lambda seen: seen.exit_code == 3)
        await subject.engine.remove(container_id)
        events = await recording.wait_for("destroy", container_id)
    assert [event.action for event in events] == ["create", "start", "die", "destroy"]
    assert [event.exit_code for event in events] == [None, None, 3, None]
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert all(event.labels["k"] == "v" and event.labels["name"] == name for event in events)


async def test_a_refused_start_is_told_by_no_event(subject: Subject) -> None:
    async with subject.record() as recording:
        container_id = await subject.create(["/no/such/command"])
        await asyncio.gather(subject.engine.start(container_id), return_exceptions=True)
        await subject.engine.remove(container_id)
        events = await recording.wait_for("destroy", container_id)
    assert [event.action for event in events] == ["create", "destroy"]


async def test_pause_and_rename_are_told(subject: Subject, sleeper: Container) -> None:
    async with subject.record() as recording:
        await subject.pause(sleeper.id)
        await subject.unpause(sleeper.id)
        await subject.rename(sleeper.id, subject.make_name())
        events = await recording.wait_for("rename", sleeper.id)
    assert [event.action for event in events][-3:] == ["pause", "unpause", "rename"]


async def test_another_restart_policy_is_told_and_shown(
    subject: Subject, sleeper: Container
) -> None:
    async with subject.record() as recording:
        await subject.update(sleeper.id, "always")
        await recording.wait_for("update", sleeper.id)
        assert (await subject.engine.inspect(sleeper.id)).lingers
        await subject.update(sleeper.id, "no")
        await recording.wait_for("update", sleeper.id, count=2)
        assert not (await subject.engine.inspect(sleeper.id)).lingers


async def test_every_end_of_a_restarted_container_is_told(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    async with subject.record() as recording:
        container_id = await subject.create(["sh", "-c", "exit 4"], host={"RestartPolicy": policy})
        await subject.engine.start(container_id)
        events = await recording.wait_for("die", container_id, count=2)
    assert [event.action for event in events] == ["create", "start", "die", "start", "die"]


async def test_only_what_carries_the_label_is_told(subject: Subject) -> None:
    async with subject.engine.events([f"{subject.label}-other"]) as events:
        await subject.create()
        foreign = asyncio.ensure_future(anext(events))
        async with subject.record() as recording:
            await recording.wait_for("create", await subject.create())
        assert not foreign.done()
        foreign.cancel()
        await asyncio.gather(foreign, return_exceptions=True)


async def test_nothing_falls_into_the_seam_of_subscription(subject: Subject) -> None:
    for _ in range(10):
        async with subject.record() as recording:
            container_id = await subject.create()
            await recording.wait_for("create", container_id)


async def test_a_wait_that_was_given_up_does_not_break_the_stream(subject: Subject) -> None:
    async with subject.engine.events([subject.label]) as events:
        given_up = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        container_id = await subject.create()
        assert (await asyncio.wait_for(anext(events), 30)).id == container_id


async def test_two_streams_are_told_the_same(subject: Subject) -> None:
    async with subject.record() as one, subject.record() as two:
        container_id = await subject.create()
        assert await one.wait_for("create", container_id) == await two.wait_for(
            "create", container_id
        )
