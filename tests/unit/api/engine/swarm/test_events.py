"""A subscription: what services' events and looks at tasks tell, and what the looks cost."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from api.engine.errors import EngineError, EngineTimeoutError
from api.engine.interface import Event, EventKind
from api.engine.swarm.events import LONGEST, SHORTEST, EventStream
from api.engine.swarm.labels import END, End, encode_end
from api.engine.swarm.reader import Seen
from api.v1.times import SECOND
from tests.support.virtual_time import on_virtual_time
from tests.support.waiting import until
from tests.unit.api.engine.swarm.managers import Manager, make_reader
from tests.unit.api.engine.swarm.scenes import BEGIN, UID, make_service_data, make_task_data

WAITING = make_service_data(replicas=0, start=0)
STARTED = make_service_data()
RESTARTED = {"HostConfig": {"RestartPolicy": {"Name": "always"}}}
NAME = WAITING["Spec"]["Name"]


class Lines:
    """An open response: what is ``sent`` arrives, until it is closed."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.content = SimpleNamespace(readany=self._chunks.get)

    def send(self, action: str, *, uid: str = UID, name: str = NAME, at: int = BEGIN) -> None:
        actor = {"ID": uid, "Attributes": {"name": name}}
        data = {"Type": "service", "Action": action, "Actor": actor, "timeNano": at}
        self.write(json.dumps(data).encode() + b"\n")

    def write(self, chunk: bytes) -> None:
        self._chunks.put_nowait(chunk)


class Scene:
    """A stream of events, and those that have come."""

    def __init__(self, manager: Manager, shortest: float = SHORTEST) -> None:
        self.manager = manager
        self.lines = Lines()
        self.seen: list[Seen] = []
        self.events: list[Event] = []
        self.error: EngineError | None = None
        self.has_ended = False
        response: Any = self.lines
        self.stream = EventStream(
            response,
            make_reader(manager),
            lambda: BEGIN + 9,
            self.seen.append,
            shortest=shortest,
        )

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def count_looks(self) -> int:
        return self.manager.calls.count("tasks")

    async def gather(self) -> None:
        try:
            async for event in self.stream:
                self.events.append(event)
        except EngineError as error:
            self.error = error
        else:
            self.has_ended = True


@asynccontextmanager
async def subscribe(
    manager: Manager, former: Scene | None = None, *, shortest: float = SHORTEST
) -> AsyncIterator[Scene]:
    scene = Scene(manager, shortest)
    await scene.stream.begin(None if former is None else former.stream)
    manager.calls.clear()
    gathering = asyncio.create_task(scene.gather())
    try:
        yield scene
    finally:
        await scene.stream.close()
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)


@on_virtual_time
async def test_a_life_is_told_from_services_and_their_tasks() -> None:
    manager = Manager()
    async with subscribe(manager) as scene:
        manager.add(WAITING)
        scene.lines.send("create")
        await asyncio.sleep(1)
        manager.add(STARTED, make_task_data("starting"))
        scene.lines.send("update")
        await asyncio.sleep(1)
        manager.add(STARTED, make_task_data("running"))
        await asyncio.sleep(1)
        manager.add(STARTED, make_task_data("failed", code=3, desired="shutdown"))
        await asyncio.sleep(1)
        manager.services.clear()
        scene.lines.send("remove")
        await asyncio.sleep(1)
        assert scene.kinds == ["created", "changed", "started", "ended", "removed"]
        assert [event.exit_code for event in scene.events] == [None, None, None, 3, None]
        assert scene.events[0].job is not None
        assert [seen.job.status for seen in scene.seen][-1] == "exited"


@on_virtual_time
async def test_nothing_is_asked_while_nothing_is_active() -> None:
    manager = Manager()
    manager.add(WAITING)
    async with subscribe(manager) as scene:
        await asyncio.sleep(3_600)
        assert manager.calls == []
        manager.add(STARTED, make_task_data("running"))
        scene.lines.send("update")
        await asyncio.sleep(10)
        assert scene.count_looks() > 10
        manager.add(STARTED, make_task_data("complete", desired="shutdown"))
        await asyncio.sleep(1)
        assert scene.kinds[-1] is EventKind.ENDED
        manager.calls.clear()
        await asyncio.sleep(3_600)
        assert manager.calls == []


@pytest.mark.parametrize(("cost", "most"), [(0.001, 2_400), (0.01, 310), (0.2, 90)])
def test_looks_take_a_twentieth_of_the_time_and_come_twice_a_second(cost: float, most: int) -> None:
    @on_virtual_time
    async def count() -> tuple[int, float]:
        manager = Manager(cost)
        manager.add(STARTED, make_task_data("running"))
        async with subscribe(manager) as scene:
            await asyncio.sleep(60)
            return scene.count_looks(), 60 / max(scene.count_looks(), 1)

    looks, interval = count()
    assert looks <= most
    assert interval <= 0.5 + 2 * cost


@pytest.mark.parametrize(("cost", "are_sooner"), [(0.01, True), (0.05, False)])
@on_virtual_time
async def test_looks_come_sooner_while_jobs_end_unless_the_manager_is_busy(
    cost: float, *, are_sooner: bool
) -> None:
    manager = Manager(0.01)
    manager.add(STARTED, make_task_data("running"))
    other = make_service_data(uid="o" * 25, job_id="other")
    manager.add(other, make_task_data("running", service="o" * 25, uid="u" * 25))
    async with subscribe(manager) as scene:

        async def count(seconds: float) -> float:
            manager.calls.clear()
            await asyncio.sleep(seconds)
            return scene.count_looks() / seconds

        usual = await count(10)
        manager.add(STARTED, make_task_data("complete", desired="shutdown"))
        await until(lambda: scene.kinds == [EventKind.ENDED])
        manager.seconds = cost
        assert (await count(0.8) > 1.5 * usual) is are_sooner
        manager.seconds = 0.01
        await asyncio.sleep(3)
        assert await count(10) == pytest.approx(usual, rel=0.05)


@on_virtual_time
async def test_one_that_only_shows_jobs_looks_twice_a_second() -> None:
    manager = Manager(0.001)
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager, shortest=LONGEST) as scene:
        await asyncio.sleep(60)
        assert 110 <= scene.count_looks() <= 120


@on_virtual_time
async def test_an_end_is_told_by_its_tasks_alone() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        manager.add(STARTED, make_task_data("failed", code=3, desired="shutdown"))
        await asyncio.sleep(1)
        assert [(event.kind, event.exit_code) for event in scene.events] == [("ended", 3)]
        assert [call for call in manager.calls if call.startswith("services")] == []


@pytest.mark.parametrize(
    ("changes", "task"),
    [
        ({"replicas": 0}, make_task_data("shutdown", desired="shutdown", code=143)),
        ({"start": 2}, make_task_data("complete", desired="shutdown", start=2)),
        ({"body": RESTARTED}, make_task_data("complete", desired="shutdown")),
        ({}, make_task_data("rejected", desired="shutdown")),
    ],
)
@on_virtual_time
async def test_any_other_end_is_told_by_the_service_as_it_is_by_then(
    changes: dict[str, Any], task: dict[str, Any]
) -> None:
    manager = Manager()
    manager.add(make_service_data(body=changes.get("body")), make_task_data("running"))
    async with subscribe(manager) as scene:
        manager.add(make_service_data(**changes), task)
        await asyncio.sleep(1)
        assert scene.seen[-1].service.spec == make_service_data(**changes)["Spec"]
        assert "services" in manager.calls


@on_virtual_time
async def test_what_ran_before_the_subscription_is_followed_and_not_told() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        await asyncio.sleep(5)
        assert scene.events == []
        manager.add(STARTED, make_task_data("complete", desired="shutdown"))
        await asyncio.sleep(1)
        assert scene.kinds == [EventKind.ENDED]


@on_virtual_time
async def test_what_ended_between_two_subscriptions_is_told_by_the_second() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as first:
        await asyncio.sleep(1)
    manager.add(STARTED, make_task_data("failed", code=3, desired="shutdown"))
    async with subscribe(manager, first) as second:
        await asyncio.sleep(1)
        assert [(event.kind, event.exit_code) for event in second.events] == [("ended", 3)]


@on_virtual_time
async def test_a_job_that_somebody_starts_without_an_event_is_seen_beside_others() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    other = make_service_data(uid="o" * 25, job_id="other")
    async with subscribe(manager) as scene:
        manager.add(other, make_task_data("running", service="o" * 25, uid="u" * 25))
        await asyncio.sleep(1)
        assert [(event.kind, event.uid) for event in scene.events] == [("started", "o" * 25)]


@on_virtual_time
async def test_a_task_called_off_is_followed_until_its_node_is_down_for_five_seconds() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        manager.add(STARTED, make_task_data("running", desired="shutdown"))
        await asyncio.sleep(5)
        assert scene.events == []
        # a new leader has not heard of it at once, and one that is back soon tells of an end
        manager.is_down, manager.down_since = True, 4.5
        await asyncio.sleep(5)
        assert scene.events == []
        manager.down_since = 4.0
        await asyncio.sleep(1)
        assert [(event.kind, event.exit_code) for event in scene.events] == [("ended", None)]
        assert scene.seen[-1].job.lost


@on_virtual_time
async def test_a_called_off_job_that_a_list_shows_is_followed() -> None:
    """Its task was called off before this process began, and its node is found lost later."""
    manager = Manager()
    manager.is_down, manager.down_since = True, 8.0
    async with subscribe(manager) as scene:
        manager.add(STARTED, make_task_data("running", desired="shutdown"))
        (seen,) = await make_reader(manager).read([UID])
        scene.stream.follow(seen)
        await asyncio.sleep(1)
        assert scene.events == []
        manager.down_since = 3.0
        await asyncio.sleep(1)
        assert [(event.kind, event.exit_code) for event in scene.events] == [("ended", None)]


@on_virtual_time
async def test_a_stop_that_takes_its_time_is_no_loss_of_the_node() -> None:
    """Its signal sets the task's stamp anew, and only the nodes tell that from a loss."""
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        for at in (6, 7):
            manager.add(STARTED, make_task_data("running", desired="remove", at=at))
            await asyncio.sleep(1)
        assert scene.events == []
        assert not any(seen.job.lost for seen in scene.seen)
        manager.add(STARTED, make_task_data("shutdown", desired="remove", code=143, at=8))
        await asyncio.sleep(1)
        assert [(event.kind, event.exit_code) for event in scene.events] == [("ended", 143)]


@on_virtual_time
async def test_services_of_others_are_neither_read_nor_told() -> None:
    manager = Manager()
    async with subscribe(manager) as scene:
        scene.lines.send("create", name="web")
        await asyncio.sleep(1)
        assert manager.calls == []
        # of another namespace: its name tells nothing
        manager.add(make_service_data(uid="o" * 25, namespace="other"))
        scene.lines.send("create", uid="o" * 25)
        scene.lines.send("remove", uid="o" * 25)
        await asyncio.sleep(1)
        assert scene.events == []


@on_virtual_time
async def test_a_line_that_cannot_be_read_is_told_of_and_keeps_no_other() -> None:
    manager = Manager()
    manager.add(WAITING)
    async with subscribe(manager) as scene:
        for line in (b"no JSON\n", b"[]\n", b'{"Actor": 7}\n', b"[" * 99_999 + b"\n", b"\xff\n"):
            scene.lines.write(line)
        scene.lines.write(b'{"Actor": {"ID": "a", "Attributes"')
        scene.lines.write(b': {"name": "web"}}, "Action": "create"}\n')
        scene.lines.send("create")
        await asyncio.sleep(1)
        assert scene.kinds == [EventKind.UNREADABLE] * 5 + [EventKind.CREATED]


@on_virtual_time
async def test_the_end_of_the_stream_is_that_of_the_subscription() -> None:
    async with subscribe(Manager()) as scene:
        scene.lines.write(b"")
        await asyncio.sleep(1)
        assert scene.has_ended


@on_virtual_time
async def test_a_look_that_fails_breaks_the_subscription() -> None:
    manager = Manager()
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        manager.failure = EngineTimeoutError("no answer")
        await asyncio.sleep(1)
        assert isinstance(scene.error, EngineTimeoutError)


@on_virtual_time
async def test_a_task_of_a_job_that_is_over_and_waits_for_ever_is_read_up_once() -> None:
    """As the label of an end after a second start leaves it."""
    manager = Manager()
    end = End(0, BEGIN, BEGIN + SECOND, "node-2", "", lost=False, ran=True)
    other, labels = "o" * 25, {END: encode_end(end)}
    over = make_service_data(uid=other, job_id="over", start=2, labels=labels)
    manager.add(over, make_task_data("pending", service=other, uid="p" * 25))
    manager.add(STARTED, make_task_data("running"))
    async with subscribe(manager) as scene:
        await asyncio.sleep(1)
        assert scene.count_looks() > 20
        assert manager.calls.count("services") == 1
