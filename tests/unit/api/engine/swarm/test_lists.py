"""Lists: the newest first, and nothing made anew of what has not changed."""

from typing import Any

import pytest

from api.engine.errors import NotFoundError
from api.engine.swarm.labels import CANCEL_MARK, END, End, encode_end, encode_mark
from api.engine.swarm.lists import Lists
from api.engine.swarm.reader import Seen
from api.v1.job import ACTIVE, Status
from api.v1.mark import Mark
from tests.support.virtual_time import on_virtual_time
from tests.unit.api.engine.swarm.managers import Manager, make_reader
from tests.unit.api.engine.swarm.scenes import make_service_data, make_task_data, stamp

DONE = {END: encode_end(End(3, None, None))}
WAITING, RUNNING, ENDED = (letter * 25 for letter in "wre")


class Rig:
    """Three jobs, the newest of which waits, and what was read anew of them."""

    def __init__(self) -> None:
        self.manager = Manager()
        self.seen: list[Seen] = []
        self.lists = Lists(make_reader(self.manager), self.seen.append)
        self.add(ENDED, 1, labels=DONE)
        self.add(RUNNING, 2, make_task_data("running", service=RUNNING))
        self.add(WAITING, 3, replicas=0, start=0)

    def add(self, uid: str, created: int, *tasks: dict[str, Any], **facts: Any) -> None:
        data = make_service_data(uid=uid, job_id=f"job-{uid[0]}", **facts)
        self.manager.add({**data, "CreatedAt": stamp(created)}, *tasks)

    async def find(self, **wanted: Any) -> list[str]:
        return [job.uid for job in await self.lists.list(**wanted)]


@on_virtual_time
async def test_the_newest_comes_first_and_filters_hold() -> None:
    rig = Rig()
    assert await rig.find() == [WAITING, RUNNING, ENDED]
    assert await rig.find(statuses=[Status.EXITED, Status.CREATED]) == [WAITING, ENDED]
    assert await rig.find(statuses=sorted(ACTIVE)) == [RUNNING]
    assert await rig.find(uids=[ENDED, WAITING, "x" * 25]) == [WAITING, ENDED]
    assert await rig.find(since=ENDED) == [WAITING, RUNNING]
    with pytest.raises(NotFoundError):
        await rig.find(since="x" * 25)


@on_virtual_time
async def test_what_has_not_changed_is_listed_as_it_was() -> None:
    rig = Rig()
    first = await rig.lists.list()
    rig.seen.clear()
    second = await rig.lists.list()
    assert [one is other for one, other in zip(first, second, strict=True)] == [True, False, True]
    # only of what runs more than its service tells
    assert [seen.job.uid for seen in rig.seen] == [RUNNING]


@on_virtual_time
async def test_what_has_changed_is_read_anew_and_what_is_gone_is_left_out() -> None:
    rig = Rig()
    await rig.lists.list()
    del rig.manager.services[ENDED]
    service = rig.manager.services[WAITING]
    await rig.manager.update(
        WAITING, 7, {**service["Spec"], "Labels": {**service["Spec"]["Labels"], **DONE}}
    )
    jobs = {job.uid: job.status for job in await rig.lists.list()}
    assert jobs == {WAITING: Status.EXITED, RUNNING: Status.RUNNING}


@on_virtual_time
async def test_marks_are_shown_by_each_list_and_by_their_own_uids() -> None:
    rig = Rig()
    mark = {CANCEL_MARK: encode_mark(Mark("", WAITING, 5))}
    rig.add(WAITING, 3, replicas=0, start=0, labels=mark)

    async def find(**wanted: Any) -> list[str]:
        marks: list[Mark] = []
        await rig.lists.list(on_mark=marks.append, **wanted)
        return [found.uid for found in marks]

    own = f"{WAITING}.cancel"
    for _ in range(2):
        assert await find() == [own]
    assert await find(since=WAITING) == [own]
    assert await find(uids=[own]) == [own]
    assert await find(uids=[WAITING]) == []
    assert await rig.find(uids=[own]) == []
