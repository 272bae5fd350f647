"""Lists: order, rows and filters, the same on the in-memory engine and on a real one."""

import pytest

from api.engine.errors import NotFoundError
from api.engine.interface import Engine
from api.v1.job import ACTIVE, Container, Status
from tests.contract.subject import Subject


async def test_a_list_is_newest_first_within_a_second_too(subject: Subject) -> None:
    ids = [await subject.create() for _ in range(12)]
    rows = await subject.list()
    assert [row.id for row in rows] == ids[::-1]


async def test_a_row_tells_what_inspect_tells(subject: Subject, sleeper: Container) -> None:
    ended = await subject.finish(["sh", "-c", "exit 3"])
    waiting = await subject.engine.inspect(await subject.create(labels={"k": "v"}))
    rows = await subject.list()
    for row, seen in zip(rows, (waiting, ended, sleeper), strict=True):
        assert (row.id, row.name, row.image, row.status) == (
            seen.id,
            seen.name,
            seen.image,
            seen.status,
        )
        assert row.labels == seen.labels
        assert row.created == seen.created // 1_000_000_000
    assert [row.exit_code for row in rows] == [None, 3, None]
    assert rows[0].text == "Created"
    assert rows[1].text.startswith("Exited (3) ")
    assert rows[2].text.startswith("Up ")


async def test_labels_filter_by_key_and_by_exact_value(subject: Subject, engine: Engine) -> None:
    both = await subject.create(labels={"a": "1", "b": "x=y"})
    one = await subject.create(labels={"a": "2"})

    async def find(*labels: str) -> list[str]:
        return [row.id for row in await engine.list(labels=[subject.label, *labels])]

    assert await find("a") == [one, both]
    assert await find("a=1") == [both]
    assert await find("a=1", "b=x=y") == [both]
    assert await find("a", "b") == [both]
    assert await find("a=") == []
    assert await find("b=x") == []


async def test_statuses_filter(subject: Subject, engine: Engine, sleeper: Container) -> None:
    ended = await subject.finish(["true"])
    waiting = await subject.create()

    async def find(*statuses: Status) -> list[str]:
        rows = await engine.list(labels=[subject.label], statuses=statuses)
        return [row.id for row in rows]

    assert await find(Status.CREATED) == [waiting]
    assert await find(Status.EXITED, Status.CREATED) == [waiting, ended.id]
    assert await find(*sorted(ACTIVE)) == [sleeper.id]
    await subject.pause(sleeper.id)
    assert await find(Status.RUNNING, Status.RESTARTING) == []
    assert await find(*sorted(ACTIVE)) == [sleeper.id]
    await subject.unpause(sleeper.id)


async def test_since_lists_what_was_created_later(subject: Subject, engine: Engine) -> None:
    ids = [await subject.create() for _ in range(4)]
    assert [row.id for row in await engine.list(labels=[subject.label], since=ids[1])] == [
        ids[3],
        ids[2],
    ]
    assert await engine.list(labels=[subject.label], since=ids[3]) == []


async def test_ids_list_those_that_are_there(subject: Subject, engine: Engine) -> None:
    ids = [await subject.create() for _ in range(4)]
    await engine.start(ids[1])
    await engine.remove(ids[2])

    async def find(*wanted: str, label: str = subject.label) -> list[str]:
        return [row.id for row in await engine.list(labels=[label], ids=wanted)]

    assert await find(ids[0], ids[1], ids[2]) == [ids[1], ids[0]]
    assert await find(ids[2]) == []
    assert await find(ids[0], label=f"{subject.label}-other") == []


async def test_since_someone_gone_is_not_found(subject: Subject, engine: Engine) -> None:
    gone = await subject.create()
    await subject.create()
    await engine.remove(gone)
    with pytest.raises(NotFoundError):
        await engine.list(labels=[subject.label], since=gone)


async def test_a_limit_keeps_the_newest(subject: Subject, engine: Engine) -> None:
    ids = [await subject.create() for _ in range(3)]
    rows = await engine.list(labels=[subject.label], limit=2)
    assert [row.id for row in rows] == [ids[2], ids[1]]


async def test_a_restarting_container_is_active_and_shows_its_code(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 5}
    container_id = await subject.create(["sh", "-c", "exit 4"], host={"RestartPolicy": policy})
    await subject.engine.start(container_id)
    while True:
        [row] = await subject.list()
        assert row.status in ACTIVE
        if row.status is Status.RESTARTING:
            break
    assert row.exit_code == 4
    assert row.text.startswith("Restarting (4) ")
