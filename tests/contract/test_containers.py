"""Create, inspect, start and remove: the same on the in-memory engine and on a real one."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from api.engine.errors import ConflictError, EngineRefusedError, NotFoundError
from api.engine.interface import Engine
from api.v1.job import Job, Status
from api.v1.labels import NAMESPACE
from api.v1.spec import JobSpec, encode
from tests.contract.subject import RERUN, SPEC, Difference, Subject
from tests.support.private_engine import IMAGE

NOBODY = "f" * 64
COMMAND = {"Image": IMAGE, "Cmd": ["true"]}


async def test_a_created_container_has_not_happened_yet(subject: Subject) -> None:
    name = subject.make_name()
    uid = await subject.create(name=name)
    seen = await subject.inspect(uid)
    assert seen == Job(
        uid=uid,
        id=name,
        namespace=subject.namespace,
        spec=SPEC,
        status=Status.CREATED,
        created=seen.created,
        order=seen.created,
        exact=True,
        made=True,
        detailed=True,
        lingers=False,
        likeness=seen.likeness,
        stop_timeout=10 if subject.differs(Difference.OWN_GRACE) else None,
    )
    assert len(uid) == (25 if subject.differs(Difference.UIDS) else 64)
    assert seen.is_pending


async def test_creation_times_ascend_to_the_nanosecond(subject: Subject) -> None:
    ids = [await subject.create() for _ in range(5)]
    created = [(await subject.inspect(key)).created for key in ids]
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
    assert (await subject.inspect(name)).uid == second


async def test_of_parallel_creates_of_one_name_one_wins(subject: Subject) -> None:
    name = subject.make_name()
    made = await asyncio.gather(
        *(subject.create(name=name) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(item, str) for item in made) == 1
    assert sum(isinstance(item, ConflictError) for item in made) == 5


async def test_what_cannot_be_created_is_refused(subject: Subject, engine: Engine) -> None:
    if subject.differs(Difference.CHECKED_AT_START):
        for uid in (await subject.create(image="none:such"), await subject.create([])):
            assert await subject.start_in_vain(uid)
        return
    with pytest.raises(NotFoundError):
        await subject.create(image="none:such")
    with pytest.raises(EngineRefusedError) as no_command:
        await engine.create(subject.make_name(), {"Image": IMAGE})
    with pytest.raises(EngineRefusedError) as bad_name:
        await engine.create("-name", COMMAND)
    assert (no_command.value.status, bad_name.value.status) == (400, 400)
    assert await subject.list() == []


async def test_a_job_is_found_by_uid_and_name_and_by_no_part_of_them(subject: Subject) -> None:
    name = subject.make_name()
    uid = await subject.create(name=name)
    by_uid = await subject.inspect(uid)
    assert await subject.inspect(name) == by_uid
    for ref in (uid[:20], uid[:12], name[:-1]):
        with pytest.raises(NotFoundError):
            await subject.inspect(ref)


async def test_a_name_wins_over_the_beginning_of_an_id(subject: Subject) -> None:
    first = await subject.create()
    second = await subject.create(name=first[:12])
    assert (await subject.inspect(first[:12])).uid == second
    assert (await subject.inspect(first)).uid == first


async def test_what_several_ids_begin_with_is_not_found(subject: Subject) -> None:
    digits = Counter([(await subject.create())[0] for _ in range(37)])
    digit, count = digits.most_common(1)[0]
    assert count > 1
    with pytest.raises(NotFoundError):
        await subject.inspect(digit)


@pytest.mark.parametrize("ref", [NOBODY, "nobody-at-all", "no.body"])
async def test_nobody_is_not_found(engine: Engine, ref: str) -> None:
    with pytest.raises(NotFoundError):
        await engine.inspect(ref)
    with pytest.raises(NotFoundError):
        await engine.start(ref)
    await engine.remove(ref)


async def test_a_started_container_runs_and_a_second_start_changes_nothing(
    subject: Subject, sleeper: Job
) -> None:
    assert sleeper.status is Status.RUNNING
    assert sleeper.started_at is not None
    assert sleeper.started_at >= sleeper.created
    assert sleeper.finished_at is None
    assert not sleeper.is_pending
    await subject.engine.start(sleeper.uid)
    assert await subject.inspect(sleeper.uid) == sleeper


async def test_an_end_is_told_with_its_code(subject: Subject) -> None:
    good = await subject.finish(["true"])
    bad = await subject.finish(["sh", "-c", "exit 3"])
    assert (good.exit_code, bad.exit_code) == (0, 3)
    assert good.finished_at is not None
    assert bad.finished_at is not None
    assert not good.is_pending
    assert (good.error, good.oom_killed, good.restarts) == ("", False, 0)
    assert not good.lingers


async def test_starting_an_exited_container_runs_it_again(subject: Subject) -> None:
    first = await subject.finish(["sh", "-c", "exit 3"])
    assert first.started_at is not None
    if subject.differs(Difference.RUNS_ONCE):
        with pytest.raises(ConflictError):
            await subject.engine.start(first.uid)
        assert await subject.inspect(first.uid) == first
        return
    await subject.engine.start(first.uid)
    again = await subject.wait_for(
        first.uid,
        lambda seen: seen.status is Status.EXITED and seen.finished_at != first.finished_at,
    )
    assert again.started_at is not None
    assert again.started_at > first.started_at
    assert again == replace(first, started_at=again.started_at, finished_at=again.finished_at)


async def test_a_run_again_keeps_the_earlier_end_while_it_runs(subject: Subject) -> None:
    first = await subject.finish(["sleep", "2"])
    if subject.differs(Difference.RUNS_ONCE):
        with pytest.raises(ConflictError):
            await subject.engine.start(first.uid)
        return
    assert first.finished_at is not None
    await subject.engine.start(first.uid)
    again = await subject.inspect(first.uid)
    assert again.status is Status.RUNNING
    assert again.started_at is not None
    assert again.finished_at == first.finished_at < again.started_at


@pytest.mark.parametrize("command", ["/no/such/command", "/tmp"])
async def test_a_refused_start_leaves_it_created_with_the_error(
    subject: Subject, command: str
) -> None:
    uid = await subject.create([command])
    before = await subject.inspect(uid)
    for _ in range(2):
        refusal = await subject.start_in_vain(uid)
        after = await subject.inspect(uid)
        assert after == replace(before, error=refusal)
        assert after.error
        assert after.is_pending


async def test_a_start_may_be_not_found_though_the_container_is_there(subject: Subject) -> None:
    if subject.differs(Difference.CHECKED_AT_START):
        # but for networks, of which the manager knows
        with pytest.raises(EngineRefusedError):
            await subject.create(host={"NetworkMode": "no-such-network"})
        return
    uid = await subject.create(host={"NetworkMode": "no-such-network"})
    with pytest.raises(NotFoundError):
        await subject.engine.start(uid)
    assert (await subject.inspect(uid)).is_pending


async def test_a_running_container_cannot_be_removed(subject: Subject, sleeper: Job) -> None:
    with pytest.raises(ConflictError):
        await subject.engine.remove(sleeper.uid)
    assert await subject.inspect(sleeper.uid) == sleeper


async def test_a_removed_container_is_gone_and_removing_it_again_is_no_error(
    subject: Subject, engine: Engine
) -> None:
    waiting, ended = await subject.create(), (await subject.finish(["true"])).uid
    await asyncio.gather(*(engine.remove(key) for key in (waiting, ended) for _ in range(3)))
    for key in (waiting, ended):
        with pytest.raises(NotFoundError):
            await subject.inspect(key)
    assert await subject.list() == []


async def test_a_paused_container_can_neither_be_started_nor_removed(
    subject: Subject, engine: Engine, sleeper: Job
) -> None:
    await subject.pause(sleeper.uid)
    if subject.differs(Difference.NO_PAUSE):
        assert await subject.inspect(sleeper.uid) == sleeper
    else:
        assert await subject.inspect(sleeper.uid) == replace(sleeper, status=Status.PAUSED)
        with pytest.raises(ConflictError):
            await engine.start(sleeper.uid)
    with pytest.raises(ConflictError):
        await engine.remove(sleeper.uid)
    await subject.unpause(sleeper.uid)
    assert await subject.inspect(sleeper.uid) == sleeper


@pytest.mark.parametrize(
    "host",
    [{"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, {"PublishAllPorts": True}],
    ids=["a port", "all ports"],
)
async def test_what_publishes_a_port_lingers(subject: Subject, host: dict[str, object]) -> None:
    lingers = (await subject.inspect(await subject.create(host=host))).lingers
    assert lingers is not subject.differs(Difference.NO_HOST_PORTS)


async def test_a_restart_policy_runs_it_again_and_counts(subject: Subject) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 4}
    uid = await subject.create(["sh", "-c", "exit 4"], spec=RERUN, host={"RestartPolicy": policy})
    assert (await subject.inspect(uid)).lingers
    await subject.engine.start(uid)
    waiting = await subject.wait_for(
        uid, lambda seen: seen.status is Status.RESTARTING and seen.restarts >= 3
    )
    assert waiting.exit_code == 4
    assert waiting.finished_at is not None
    await subject.engine.start(uid)
    with pytest.raises(ConflictError):
        await subject.engine.remove(uid)
    ended = await subject.wait_for(uid, lambda seen: seen.status is Status.EXITED)
    assert (ended.exit_code, ended.restarts) == (4, 4)


async def test_a_renamed_job_is_the_same_job_and_frees_its_name(subject: Subject) -> None:
    old, new = subject.make_name(), subject.make_name()
    uid = await subject.create(name=old)
    before = await subject.inspect(uid)
    if subject.differs(Difference.NO_RENAME):
        assert await subject.inspect(old) == before
        return
    await subject.rename(uid, new)
    assert await subject.inspect(uid) == before
    assert await subject.inspect(new) == before
    assert [row.id for row in await subject.list()] == [old]
    with pytest.raises(NotFoundError):
        await subject.inspect(old)


async def test_a_renamed_job_of_the_originals_is_called_as_its_container(subject: Subject) -> None:
    old, new = subject.make_name(), subject.make_name()
    uid = await subject.add(old, {NAMESPACE: subject.namespace})
    if subject.differs(Difference.NAMED_JOBS):
        assert await subject.engine.inspect(uid) is None
        assert await subject.list() == []
        return
    assert await subject.inspect(uid) == replace(
        await subject.inspect(old), id=old, spec=JobSpec(image=IMAGE)
    )
    await subject.rename(uid, new)
    assert (await subject.inspect(uid)).id == new
    assert [(row.id, row.spec) for row in await subject.list()] == [(new, JobSpec(image=IMAGE))]


async def test_a_job_shows_its_image_and_the_labels_of_its_manifest_alone(
    subject: Subject,
) -> None:
    image = await subject.add_image({"maintainer": "me", "stage": "test"})
    own = {"stage": "live", "team": "a"}
    uid = await subject.create(image=image, labels=own)
    expected = replace(SPEC, image=image, labels=tuple(own.items()))
    assert (await subject.inspect(uid)).spec == expected
    assert [row.spec for row in await subject.list()] == [expected]


async def test_what_an_image_makes_look_like_a_job_is_none(
    subject: Subject, engine: Engine
) -> None:
    """``docker commit`` of a job makes an image that hands the job's labels on."""
    name, copy, bare = (subject.make_name() for _ in range(3))
    labels = encode(SPEC, namespace=subject.namespace, job_id=name, labels={})
    committed = await subject.add_image(labels)
    labelled = await subject.add_image({NAMESPACE: subject.namespace})
    strangers = [
        await subject.add(copy, {}, image=committed),
        await subject.add(bare, {}, image=labelled),
        await subject.add(subject.make_name(), {NAMESPACE: f"{subject.namespace}-other"}),
        await subject.add(subject.make_name(), {}),
    ]
    for ref in (*strangers, copy, bare):
        assert await engine.inspect(ref) is None
    assert await subject.list() == []
    assert await engine.list(uids=strangers) == []


async def test_a_job_of_a_committed_image_is_one_under_any_name(subject: Subject) -> None:
    first, second = subject.make_name(), subject.make_name()
    labels = encode(SPEC, namespace=subject.namespace, job_id=first, labels={})
    uid = await subject.create(name=second, image=await subject.add_image(labels))
    assert (await subject.inspect(second)).id == second
    if subject.differs(Difference.NO_RENAME):
        return
    await subject.rename(uid, subject.make_name())
    assert (await subject.inspect(uid)).id == second


async def test_a_manifests_own_labels_make_no_job_of_another_namespace(
    subject: Subject, engine: Engine
) -> None:
    name = subject.make_name()
    labels = encode(SPEC, namespace=f"{subject.namespace}-other", job_id=name, labels={})
    assert await engine.inspect(await subject.add(name, labels)) is None


async def test_who_the_engine_is_stays_the_same(engine: Engine) -> None:
    await engine.ping()
    info = await engine.info()
    assert await engine.info() == info
    assert info.id
    assert info.version
    assert info.api_version >= (1, 41)
    assert info.cpus >= 1
