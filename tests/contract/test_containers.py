"""Create, inspect, start and remove: the same on the in-memory engine and on a real one."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.interface import Engine
from api.v1.job import Container, Status
from tests.contract.subject import Subject
from tests.support.private_engine import IMAGE

NOBODY = "f" * 64
COMMAND = {"Image": IMAGE, "Cmd": ["true"]}


async def test_a_created_container_has_not_happened_yet(subject: Subject) -> None:
    name = subject.make_name()
    container_id = await subject.create(name=name, labels={"k": "v"})
    seen = await subject.engine.inspect(container_id)
    key, _, value = subject.label.partition("=")
    assert seen == Container(
        id=container_id,
        name=name,
        labels={"k": "v", key: value},
        image=seen.image,
        created=seen.created,
        status=Status.CREATED,
    )
    assert len(container_id) == 64
    assert seen.image.startswith("sha256:")
    assert seen.is_startable


async def test_creation_times_ascend_to_the_nanosecond(subject: Subject) -> None:
    ids = [await subject.create() for _ in range(5)]
    created = [(await subject.engine.inspect(key)).created for key in ids]
    assert created == sorted(set(created))
    assert abs(subject.engine.now() - created[-1]) < 60_000_000_000


async def test_a_taken_name_is_a_conflict_until_it_is_free(
    subject: Subject, engine: Engine
) -> None:
    name = subject.make_name()
    first = await subject.create(name=name)
    with pytest.raises(ConflictError):
        await subject.create(name=name)
    await engine.remove(first)
    second = await subject.create(name=name)
    assert second != first
    assert (await engine.inspect(name)).id == second


async def test_of_parallel_creates_of_one_name_one_wins(subject: Subject) -> None:
    name = subject.make_name()
    made = await asyncio.gather(
        *(subject.create(name=name) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(item, str) for item in made) == 1
    assert sum(isinstance(item, ConflictError) for item in made) == 5


async def test_what_cannot_be_created_is_refused(subject: Subject, engine: Engine) -> None:
    with pytest.raises(NotFoundError):
        await subject.create(image="none:such")
    with pytest.raises(EngineRefusedError) as no_command:
        await engine.create(subject.make_name(), {"Image": IMAGE})
    with pytest.raises(EngineRefusedError) as bad_name:
        await engine.create("-name", COMMAND)
    assert (no_command.value.status, bad_name.value.status) == (400, 400)
    assert await subject.list() == []


async def test_a_container_is_found_by_id_name_and_prefix(subject: Subject, engine: Engine) -> None:
    name = subject.make_name()
    container_id = await subject.create(name=name)
    by_id = await engine.inspect(container_id)
    assert await engine.inspect(name) == by_id
    assert await engine.inspect(container_id[:20]) == by_id


async def test_a_name_wins_over_the_beginning_of_an_id(subject: Subject, engine: Engine) -> None:
    first = await subject.create()
    second = await subject.create(name=first[:12])
    assert (await engine.inspect(first[:12])).id == second
    assert (await engine.inspect(first)).id == first


async def test_what_several_ids_begin_with_is_not_found(subject: Subject, engine: Engine) -> None:
    digits = Counter([(await subject.create())[0] for _ in range(17)])
    digit, count = digits.most_common(1)[0]
    assert count > 1
    with pytest.raises(NotFoundError):
        await engine.inspect(digit)


@pytest.mark.parametrize("ref", [NOBODY, "nobody-at-all", "no.body"])
async def test_nobody_is_not_found(engine: Engine, ref: str) -> None:
    with pytest.raises(NotFoundError):
        await engine.inspect(ref)
    with pytest.raises(NotFoundError):
        await engine.start(ref)
    await engine.remove(ref)


async def test_a_started_container_runs_and_a_second_start_changes_nothing(
    engine: Engine, sleeper: Container
) -> None:
    assert sleeper.status is Status.RUNNING
    assert sleeper.started_at is not None
    assert sleeper.started_at >= sleeper.created
    assert sleeper.finished_at is None
    assert not sleeper.is_startable
    await engine.start(sleeper.id)
    assert await engine.inspect(sleeper.id) == sleeper


async def test_an_end_is_told_with_its_code(subject: Subject) -> None:
    good = await subject.finish(["true"])
    bad = await subject.finish(["sh", "-c", "exit 3"])
    assert (good.exit_code, bad.exit_code) == (0, 3)
    assert good.finished_at is not None
    assert bad.finished_at is not None
    assert not good.is_startable
    assert (good.error, good.oom_killed, good.restart_count) == ("", False, 0)
    assert not good.lingers


async def test_starting_an_exited_container_runs_it_again(subject: Subject) -> None:
    first = await subject.finish(["sh", "-c", "exit 3"])
    assert first.started_at is not None
    await subject.engine.start(first.id)
    again = await subject.wait_for(
        first.id,
        lambda seen: seen.status is Status.EXITED and seen.finished_at != first.finished_at,
    )
    assert again.started_at is not None
    assert again.started_at > first.started_at
    assert again == replace(first, started_at=again.started_at, finished_at=again.finished_at)


async def test_a_run_again_keeps_the_earlier_end_while_it_runs(subject: Subject) -> None:
    first = await subject.finish(["sleep", "0.5"])
    assert first.finished_at is not None
    await subject.engine.start(first.id)
    again = await subject.engine.inspect(first.id)
    assert again.status is Status.RUNNING
    assert again.started_at is not None
    assert again.finished_at == first.finished_at < again.started_at


@pytest.mark.parametrize("command", ["/no/such/command", "/tmp"])
async def test_a_refused_start_leaves_it_created_with_the_error(
    subject: Subject, command: str
) -> None:
    container_id = await subject.create([command])
    before = await subject.engine.inspect(container_id)
    for _ in range(2):
        with pytest.raises(EngineRefusedError) as refusal:
            await subject.engine.start(container_id)
        after = await subject.engine.inspect(container_id)
        assert after == replace(before, error=refusal.value.message, exit_code=after.exit_code)
        assert after.error
        assert after.exit_code != 0
        assert after.is_startable


async def test_a_start_may_be_not_found_though_the_container_is_there(subject: Subject) -> None:
    container_id = await subject.create(host={"NetworkMode": "no-such-network"})
    with pytest.raises(NotFoundError):
        await subject.engine.start(container_id)
    assert (await subject.engine.inspect(container_id)).is_startable


async def test_a_running_container_cannot_be_removed(engine: Engine, sleeper: Container) -> None:
    with pytest.raises(ConflictError):
        await engine.remove(sleeper.id)
    assert await engine.inspect(sleeper.id) == sleeper


async def test_a_removed_container_is_gone_and_removing_it_again_is_no_error(
    subject: Subject, engine: Engine
) -> None:
    waiting, ended = await subject.create(), (await subject.finish(["true"])).id
    await asyncio.gather(*(engine.remove(key) for key in (waiting, ended) for _ in range(3)))
    for key in (waiting, ended):
        with pytest.raises(NotFoundError):
            await engine.inspect(key)
    assert await subject.list() == []


async def test_a_paused_container_can_neither_be_started_nor_removed(
    subject: Subject, engine: Engine, sleeper: Container
) -> None:
    await subject.pause(sleeper.id)
    assert await engine.inspect(sleeper.id) == replace(sleeper, status=Status.PAUSED)
    with pytest.raises(ConflictError):
        await engine.start(sleeper.id)
    with pytest.raises(ConflictError):
        await engine.remove(sleeper.id)
    await subject.unpause(sleeper.id)
    assert await engine.inspect(sleeper.id) == sleeper


@pytest.mark.parametrize(
    "host",
    [{"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, {"PublishAllPorts": True}],
    ids=["a port", "all ports"],
)
async def test_what_publishes_a_port_lingers(subject: Subject, host: dict[str, object]) -> None:
    assert (await subject.engine.inspect(await subject.create(host=host))).lingers


async def test_a_restart_policy_runs_it_again_and_counts(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    container_id = await subject.create(["sh", "-c", "exit 4"], host={"RestartPolicy": policy})
    assert (await subject.engine.inspect(container_id)).lingers
    await subject.engine.start(container_id)
    waiting = await subject.wait_for(container_id, lambda seen: seen.status is Status.RESTARTING)
    assert waiting.exit_code == 4
    assert waiting.restart_count >= 1
    assert waiting.finished_at is not None
    await subject.engine.start(container_id)
    with pytest.raises(ConflictError):
        await subject.engine.remove(container_id)
    ended = await subject.wait_for(container_id, lambda seen: seen.status is Status.EXITED)
    assert (ended.exit_code, ended.restart_count) == (4, 2)


async def test_a_renamed_container_keeps_its_id_and_frees_its_name(
    subject: Subject, engine: Engine
) -> None:
    old, new = subject.make_name(), subject.make_name()
    container_id = await subject.create(name=old)
    await subject.rename(container_id, new)
    assert (await engine.inspect(container_id)).name == new
    assert (await engine.inspect(new)).id == container_id
    with pytest.raises(NotFoundError):
        await engine.inspect(old)


async def test_an_image_hands_its_labels_on(subject: Subject, engine: Engine) -> None:
    tag = await subject.add_image({"from": "image", "both": "image"})
    container_id = await subject.create(image=tag, labels={"both": "body"})
    seen = await engine.inspect(container_id)
    assert {key: seen.labels[key] for key in ("from", "both")} == {"from": "image", "both": "body"}
    assert await engine.image_labels(tag) == {"from": "image", "both": "image"}
    assert await engine.image_labels(seen.image) == {"from": "image", "both": "image"}
    assert await engine.image_labels(IMAGE) == {}
    assert await engine.image_labels("none:such") == {}


async def test_who_the_engine_is_stays_the_same(engine: Engine) -> None:
    await engine.ping()
    info = await engine.info()
    assert await engine.info() == info
    assert info.id
    assert info.version
    assert info.api_version >= (1, 41)
    assert info.cpus >= 1
