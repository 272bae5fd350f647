"""Lists: order, rows and filters, the same on the in-memory engine and on a real one."""

from dataclasses import replace

import pytest

from api.engine.errors import NotFoundError
from api.engine.interface import Engine
from api.v1.job import ACTIVE, Job, Status
from api.v1.times import SECOND
from tests.contract.subject import RERUN, Difference, Subject


async def test_a_list_is_newest_first_within_a_second_too(subject: Subject) -> None:
    ids = [await subject.create() for _ in range(12)]
    rows = await subject.list()
    assert [row.uid for row in rows] == ids[::-1]


async def test_a_row_tells_what_inspect_tells(subject: Subject, sleeper: Job) -> None:
    ended = await subject.finish(["sh", "-c", "exit 3"])
    waiting = await subject.inspect(await subject.create())
    rows = await subject.list()
    if subject.differs(Difference.SHOWS_ALL):
        assert rows == [waiting, ended, sleeper]
        return
    for row, seen in zip(rows, (waiting, ended, sleeper), strict=True):
        second = seen.created // SECOND * SECOND
        assert row == Job(
            uid=seen.uid,
            id=seen.id,
            namespace=seen.namespace,
            spec=seen.spec,
            status=seen.status,
            created=second,
            order=second,
            started=seen.started,
            exit_code=seen.exit_code,
            text=row.text,
            likeness=seen.likeness,
        )
    assert rows[0].likeness[1:] == ("true", rows[1].likeness[2])
    assert rows[1].likeness[:2] == (rows[0].likeness[0], "sh")
    assert rows[0].text == "Created"
    assert rows[1].text.startswith("Exited (3) ")
    assert rows[2].text.startswith("Up ")


async def test_a_known_job_is_listed_as_it_stands_until_there_is_news(subject: Subject) -> None:
    uid = await subject.create(["sh", "-c", "exit 3"])
    [row] = await subject.list()

    async def find(**changes: object) -> Job:
        known = replace(row, health="known", text="", **changes)  # type: ignore[arg-type]
        [found] = await subject.engine.list(known={uid: known})
        return known if found is known else found

    assert (await find()).health == "known"
    for news in ({"status": Status.DEAD}, {"id": "renamed"}):
        assert await find(**news) == row
    await subject.start(uid)
    await subject.wait_for(uid, lambda seen: seen.status is Status.EXITED)
    [row] = await subject.list()
    assert (await find()).health == "known"
    assert (await find(exit_code=4)).exit_code == 3


async def test_a_job_is_listed_by_its_id_whatever_its_name(subject: Subject) -> None:
    name, other = subject.make_name(), subject.make_name()
    uid = await subject.create(name=name)
    await subject.create(name=other)
    if not subject.differs(Difference.NO_RENAME):
        await subject.rename(uid, subject.make_name())
    assert [row.uid for row in await subject.engine.list(job_id=name)] == [uid]
    assert await subject.engine.list(job_id=name[:-1]) == []


async def test_statuses_filter(subject: Subject, engine: Engine, sleeper: Job) -> None:
    ended = await subject.finish(["true"])
    waiting = await subject.create()

    async def find(*statuses: Status) -> list[str]:
        rows = await engine.list(statuses=statuses)
        return [row.uid for row in rows]

    assert await find(Status.CREATED) == [waiting]
    assert await find(Status.EXITED, Status.CREATED) == [waiting, ended.uid]
    assert await find(*sorted(ACTIVE)) == [sleeper.uid]
    if subject.differs(Difference.NO_PAUSE):
        return
    await subject.pause(sleeper.uid)
    assert await find(Status.RUNNING, Status.RESTARTING) == []
    assert await find(*sorted(ACTIVE)) == [sleeper.uid]
    await subject.unpause(sleeper.uid)


async def test_since_lists_what_was_created_later(subject: Subject, engine: Engine) -> None:
    ids = [await subject.create() for _ in range(4)]
    assert [row.uid for row in await engine.list(since=ids[1])] == [
        ids[3],
        ids[2],
    ]
    assert await engine.list(since=ids[3]) == []


async def test_ids_list_those_that_are_there(subject: Subject, engine: Engine) -> None:
    ids = [await subject.create() for _ in range(4)]
    await engine.start(ids[1])
    await engine.remove(ids[2])

    async def find(*wanted: str) -> list[str]:
        return [row.uid for row in await engine.list(uids=wanted)]

    assert await find(ids[0], ids[1], ids[2]) == [ids[1], ids[0]]
    assert await find(ids[2]) == []


async def test_since_someone_gone_is_not_found(subject: Subject, engine: Engine) -> None:
    gone = await subject.create()
    await subject.create()
    await engine.remove(gone)
    with pytest.raises(NotFoundError):
        await engine.list(since=gone)


async def test_a_restarting_container_is_active_and_shows_its_code(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 5}
    uid = await subject.create(["sh", "-c", "exit 4"], spec=RERUN, host={"RestartPolicy": policy})
    await subject.engine.start(uid)
    while True:
        [row] = await subject.list()
        assert row.status in ACTIVE
        if row.status is Status.RESTARTING:
            break
    assert row.exit_code == 4
    if not subject.differs(Difference.SHOWS_ALL):
        assert row.text.startswith("Restarting (4) ")
