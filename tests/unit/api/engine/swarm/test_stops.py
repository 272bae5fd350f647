"""Stops and ends: how a job ended is written down before its task has gone, and once."""

import asyncio
from typing import Any

import pytest

from api.engine.docker.clock import EngineClock
from api.engine.errors import EngineInterruptedError, EngineTimeoutError, NotFoundError
from api.engine.swarm.ends import Ends
from api.engine.swarm.labels import (
    END,
    LOSS,
    STOP,
    Loss,
    Stop,
    decode_end,
    decode_loss,
    decode_stop,
    encode_loss,
    encode_stop,
)
from api.engine.swarm.reader import Seen
from api.engine.swarm.stops import Stops
from api.engine.swarm.updates import Updates
from api.v1.spec import JobSpec
from api.v1.wishes import NodeLoss, Wishes
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, make_reader
from tests.unit.api.engine.swarm.scenes import (
    TASK,
    UID,
    make_service_data,
    make_task_data,
)

RERUN = JobSpec(wishes=Wishes(on_node_loss=NodeLoss.RERUN))
GRACE = {"StopTimeout": 3}


class Rig:
    """Stops and ends on a manager in memory."""

    def __init__(self, *, writes: bool = True) -> None:
        self.manager = Manager()
        self.reader = make_reader(self.manager)
        calls: Any = self.manager
        updates = Updates(calls, self.reader)
        self.ends = Ends(self.reader, updates, writes=writes)
        self.stops = Stops(self.reader, updates, self.ends, EngineClock(), timeout=10)

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.manager.services[UID]["Spec"]["Labels"]
        return labels

    async def look(self) -> Seen:
        seen = await self.reader.find(UID)
        assert seen is not None
        return seen

    def show(self, state: str, **facts: Any) -> None:
        """Have the job's task in a state."""
        self.manager.add(self.manager.services[UID], make_task_data(state, **facts))

    async def end(self, after: float, code: int | None, *, lasts: float = 0.26) -> None:
        """Have the task end some time after the stop, and go."""
        while STOP not in self.labels:
            await asyncio.sleep(0.01)
        self.show("pending" if code is None else "running", desired="remove")
        await asyncio.sleep(after)
        self.show("shutdown", desired="remove", code=code, has_container=code is not None)
        await asyncio.sleep(lasts)
        self.manager.tasks.clear()


@on_virtual_time
async def test_a_stop_returns_when_the_job_is_over_and_its_code_is_noted() -> None:
    rig, loop = Rig(), asyncio.get_running_loop()
    rig.manager.add(make_service_data(body=GRACE), make_task_data("running", at=4))
    began = loop.time()
    await asyncio.gather(rig.stops.stop(UID), rig.end(3.0, 137))
    assert 3.0 <= loop.time() - began < 3.5
    end = decode_end(rig.labels)
    assert end is not None
    assert (end.exit_code, end.node) == (137, "node-2")
    assert (await rig.look()).job.exit_code == 137


@on_virtual_time
async def test_the_code_is_noted_though_whoever_stopped_has_left() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(body=GRACE), make_task_data("running"))
    ending = asyncio.create_task(rig.end(3.0, 143))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await rig.stops.stop(UID)
    await ending
    end = decode_end(rig.labels)
    assert end is not None
    assert end.exit_code == 143


@pytest.mark.parametrize("keeps", [True, False])
@on_virtual_time
async def test_an_end_is_noted_later_where_the_swarm_keeps_its_task(keeps: bool) -> None:
    rig = Rig()
    rig.ends.keeps_tasks = keeps
    rig.manager.add(make_service_data(), make_task_data("failed", code=3, desired="shutdown"))
    for _ in range(2):
        rig.ends.note(await rig.look())
    await asyncio.sleep(4.9)
    assert (END in rig.labels) is not keeps
    await asyncio.sleep(0.2)
    end = decode_end(rig.labels)
    assert end is not None
    assert end.exit_code == 3
    assert len(rig.manager.sent) == 1


@on_virtual_time
async def test_ends_are_noted_one_by_one_and_one_that_is_being_stopped_by_its_stop() -> None:
    rig = Rig()
    rig.ends.keeps_tasks = True
    ids = [letter * 25 for letter in "abcd"]
    for uid in ids:
        ended = make_task_data("complete", desired="shutdown", service=uid)
        rig.manager.add(make_service_data(uid=uid, job_id=uid), ended)
    for seen in await rig.reader.read(ids):
        rig.ends.note(seen)
    rig.ends.hold(ids[3])
    written: list[int] = []
    for _ in range(4):
        await asyncio.sleep(5.25 if not written else 0.5)
        written.append(len(rig.manager.sent))
    assert written == [1, 2, 3, 3]
    assert END not in rig.manager.services[ids[3]]["Spec"]["Labels"]


@on_virtual_time
async def test_an_end_whose_task_is_about_to_go_is_noted_at_once() -> None:
    rig = Rig()
    rig.ends.keeps_tasks = True
    ended = make_task_data("shutdown", desired="remove", code=143)
    rig.manager.add(make_service_data(replicas=0), ended)
    rig.ends.note(await rig.look())
    await asyncio.sleep(0.1)
    end = decode_end(rig.labels)
    assert end is not None
    assert end.exit_code == 143


@pytest.mark.parametrize(("start", "is_barred"), [(1, False), (2, True)])
@on_virtual_time
async def test_nothing_can_be_started_of_a_job_that_ran_after_an_earlier_start(
    start: int, is_barred: bool
) -> None:
    """Its rejected task was told of again by a node that was back: the label had it run again."""
    rig = Rig()
    rig.ends.keeps_tasks = True
    ended = make_task_data("complete", desired="shutdown", start=start)
    rig.manager.add(make_service_data(start=start), ended)
    rig.ends.note(await rig.look())
    await asyncio.sleep(0.1)
    assert (END in rig.labels) is is_barred
    await asyncio.sleep(6)
    assert END in rig.labels
    placement = rig.manager.sent[0]["TaskTemplate"].get("Placement") or {}
    assert bool(placement.get("Constraints")) is is_barred


@on_virtual_time
async def test_an_old_look_notes_no_end_of_a_job_that_never_ran() -> None:
    rig = Rig()
    unseen, unrun = ({STOP: encode_stop(Stop(7, ran=ran))} for ran in (None, False))
    rig.manager.add(make_service_data(replicas=0, labels=unseen))
    seen = await rig.look()
    assert seen.job.is_finished
    rig.manager.add(make_service_data(replicas=0, labels=unrun, version=8))
    await rig.ends.write(seen)
    assert END not in rig.labels


@on_virtual_time
async def test_a_loss_is_noted_at_once_and_nothing_of_a_job_that_is_gone() -> None:
    rig = Rig()
    rig.ends.keeps_tasks = True
    noted = {LOSS: encode_loss(Loss(1, "x" * 25, "node node-2 was lost"))}
    rig.manager.add(
        make_service_data(labels=noted, start=2),
        make_task_data("complete", desired="shutdown", start=2),
    )
    rig.ends.note(await rig.look())
    await asyncio.sleep(0.1)
    assert END in rig.labels
    rig.manager.sent.clear()
    rig.manager.add(make_service_data(), make_task_data("complete", desired="shutdown"))
    rig.ends.note(await rig.look())
    rig.ends.forget(UID)
    await asyncio.sleep(10)
    assert rig.manager.sent == []
    rig.manager.add(make_service_data(), make_task_data("running", desired="shutdown"))
    rig.manager.is_down = True
    rig.ends.note(await rig.look())
    await asyncio.sleep(0.1)
    assert len(rig.manager.sent) == 1


@on_virtual_time
async def test_two_stops_of_a_job_end_together() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(body=GRACE), make_task_data("running"))
    await asyncio.gather(rig.stops.stop(UID), rig.stops.stop(UID), rig.end(1.0, 137))
    assert len(rig.manager.sent) == 2  # one stop, one end


@on_virtual_time
async def test_what_never_ran_waits_again_after_its_stop() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(), make_task_data("pending"))
    await asyncio.gather(rig.stops.stop(UID), rig.end(0.05, None, lasts=0.01))
    stop = decode_stop(rig.labels)
    assert stop is not None
    assert stop.ran is False
    assert END not in rig.labels
    assert (await rig.look()).job.is_pending


@on_virtual_time
async def test_a_stop_ends_when_the_node_of_the_job_is_lost() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(), make_task_data("running"))
    stopping = asyncio.create_task(rig.stops.stop(UID))
    await asyncio.sleep(1)
    rig.show("running", desired="remove")
    await asyncio.sleep(5)
    assert not stopping.done()
    rig.manager.is_down = True
    await stopping
    end = decode_end(rig.labels)
    assert end is not None
    assert (end.lost, end.exit_code) == (True, None)


@on_virtual_time
async def test_a_job_that_does_not_end_is_a_timeout_and_what_waits_is_left_alone() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(body=GRACE), make_task_data("running"))
    with pytest.raises(EngineTimeoutError):
        await rig.stops.stop(UID)
    await rig.stops.close()
    rig.manager.sent.clear()
    rig.manager.add(make_service_data(replicas=0, start=0))
    await rig.stops.stop(UID)
    assert rig.manager.sent == []
    with pytest.raises(NotFoundError):
        await rig.stops.stop("o" * 25)


@on_virtual_time
async def test_a_job_that_is_removed_while_it_is_stopped_is_not_found() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(), make_task_data("running"))
    stopping = asyncio.create_task(rig.stops.stop(UID))
    await asyncio.sleep(1)
    rig.manager.services.clear()
    rig.manager.tasks.clear()
    with pytest.raises(NotFoundError):
        await stopping


@on_virtual_time
async def test_an_end_is_noted_once_and_by_the_controller_alone() -> None:
    for writes in (True, False):
        rig = Rig(writes=writes)
        rig.manager.add(make_service_data(), make_task_data("complete", desired="shutdown"))
        for _ in range(3):
            rig.ends.note(await rig.look())
            await asyncio.sleep(1)
        assert len(rig.manager.sent) == int(writes)


@on_virtual_time
async def test_an_end_that_could_not_be_noted_is_noted_when_it_is_seen_again() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(), make_task_data("complete", desired="shutdown"))
    seen = await rig.look()
    rig.manager.failure = EngineInterruptedError("cut")
    rig.ends.note(seen)
    await asyncio.sleep(1)
    assert END not in rig.labels
    rig.manager.failure = None
    rig.ends.note(seen)
    await asyncio.sleep(1)
    assert END in rig.labels


@on_virtual_time
async def test_an_old_look_notes_no_end_of_a_job_that_was_started_again() -> None:
    rig = Rig()
    lost = make_task_data("running", desired="shutdown")
    rig.manager.add(make_service_data(), lost)
    rig.manager.is_down = True
    seen = await rig.look()
    rig.manager.add(make_service_data(start=2, version=8), lost)
    rig.ends.note(seen)
    await asyncio.sleep(1)
    assert END not in rig.labels


@on_virtual_time
async def test_an_old_look_calls_no_later_run_one_that_never_was() -> None:
    """It would be run again: a job that never ran waits."""
    rig, stop = Rig(), {STOP: encode_stop(Stop(7))}
    rig.manager.add(make_service_data(replicas=0, labels=stop), make_task_data("rejected"))
    seen = await rig.look()
    rig.manager.add(make_service_data(replicas=0, labels=stop, start=2, version=8))
    await rig.ends.write(seen)
    assert decode_stop(rig.labels) == Stop(7)


@on_virtual_time
async def test_a_lost_run_that_is_repeated_is_noted_too() -> None:
    rig = Rig()
    rig.manager.add(make_service_data(spec=RERUN), make_task_data("running", desired="shutdown"))
    rig.manager.is_down = True
    for _ in range(3):
        rig.ends.note(await rig.look())
        await asyncio.sleep(1)
    assert decode_loss(rig.labels) == Loss(1, TASK, "node node-2 was lost")
    assert LOSS in rig.labels
    assert len(rig.manager.sent) == 1


@on_virtual_time
async def test_what_is_being_stopped_is_left_to_its_stop() -> None:
    """An event's look may come after the task has gone, and know no code."""
    rig = Rig()
    rig.manager.add(make_service_data(body=GRACE), make_task_data("running"))
    stopping = asyncio.create_task(rig.stops.stop(UID))
    await asyncio.sleep(0.05)
    gone = rig.manager.tasks.copy()
    rig.manager.tasks.clear()
    rig.ends.note(await rig.look())
    rig.manager.tasks = gone
    await asyncio.gather(stopping, rig.end(0.5, 137))
    end = decode_end(rig.labels)
    assert end is not None
    assert end.exit_code == 137


@on_virtual_time
async def test_no_end_is_missed_while_others_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is gone a quarter of a second after its end, and its exit code with it."""
    rig, uids = Rig(), [f"{number:025}" for number in range(20)]
    update = rig.manager.update

    async def update_slowly(*told: Any) -> None:
        await asyncio.sleep(0.05)
        await update(*told)

    def end(*ended: str) -> None:
        rig.manager.tasks = [
            make_task_data("shutdown", desired="remove", service=uid, uid=uid, code=143)
            if uid in ended
            else task
            for task in rig.manager.tasks
            for uid in [task["ServiceID"]]
        ]

    monkeypatch.setattr(rig.manager, "update", update_slowly)
    for uid in uids:
        task = make_task_data("running", desired="remove", service=uid, uid=uid)
        rig.manager.add(make_service_data(uid=uid, job_id=f"job-{uid}", body=GRACE), task)
    stops = [asyncio.create_task(rig.stops.stop(uid)) for uid in uids]
    await asyncio.sleep(1)
    end(*uids[1:])
    await asyncio.sleep(0.2)
    end(uids[0])
    await asyncio.sleep(0.26)
    rig.manager.tasks.clear()
    await asyncio.gather(*stops)
    ends = [decode_end(rig.manager.services[uid]["Spec"]["Labels"]) for uid in uids]
    assert [None if end is None else end.exit_code for end in ends] == [143] * 20
