"""Jobs that wait are counted by owner, and none may wait beyond the limit or a token's share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from api.server.clients import CLIENT, Client
from api.server.http.problem import Problem
from api.server.jobs.backlog import Backlog
from api.server.jobs.queues import Queues
from api.v1.job import Job, Phase, Status
from api.v1.queue import Queue
from api.v1.spec import JobSpec
from api.v1.wishes import Wishes
from tests.support.jobs import make_job


@contextmanager
def asking(owner: str, *, is_sole: bool = False) -> Iterator[None]:
    token = CLIENT.set(Client(owner, owner=owner, is_sole=is_sole))
    try:
        yield
    finally:
        CLIENT.reset(token)


def wait(owner: str, uid: str) -> Job:
    return make_job(uid, Status.CREATED, spec=JobSpec(owner=owner))


NO_QUEUES = Queues(dict)


def fill(backlog: Backlog, owner: str, count: int) -> None:
    for number in range(count):
        backlog.on_phase(wait(owner, f"{owner}{number}"), None, Phase.PENDING)


def tell(problem: Problem | None) -> tuple[int, str]:
    assert problem is not None
    assert int(problem.headers["Retry-After"]) > 0
    return problem.code, problem.reason


@pytest.mark.parametrize("owner", ["", "a"])
def test_as_many_as_the_limit_wait_and_none_beyond(owner: str) -> None:
    backlog = Backlog(3, NO_QUEUES)
    with asking(owner, is_sole=True):
        fill(backlog, owner, 2)
        assert backlog.find_lack() is None
        backlog.on_phase(wait(owner, "last"), None, Phase.PENDING)
        assert tell(backlog.find_lack()) == (429, "QueueFull")
        assert backlog.size == 3


def test_of_several_tokens_one_has_half_and_another_finds_room() -> None:
    backlog = Backlog(4, NO_QUEUES)
    fill(backlog, "a", 2)
    with asking("a"):
        assert tell(backlog.find_lack()) == (429, "QueueFull")
    with asking("b"):
        assert backlog.find_lack() is None
        fill(backlog, "b", 2)
    for owner in ("a", "b", "c"):
        with asking(owner):
            assert tell(backlog.find_lack()) == (429, "QueueFull")


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.CANCELLED, Phase.FAILED, None])
def test_a_job_that_waits_no_more_makes_room(phase: Phase | None) -> None:
    backlog, job = Backlog(1, NO_QUEUES), wait("a", "x")
    backlog.on_phase(job, None, Phase.PENDING)
    assert backlog.find_lack() is not None
    backlog.on_phase(job, Phase.PENDING, phase)
    if phase is not None:
        backlog.on_phase(job, phase, None)
    assert backlog.find_lack() is None
    assert backlog.size == 0
    assert not backlog._waiting


def test_those_whose_posts_are_in_work_are_not_more_than_may_wait() -> None:
    backlog = Backlog(4, NO_QUEUES)
    with asking("a"), backlog.hold_place() as first, backlog.hold_place() as second:
        assert (first, second) == (None, None)
        with backlog.hold_place() as third:
            assert tell(third) == (429, "QueueFull")
        with asking("b"), backlog.hold_place() as other:
            assert other is None
    assert not backlog._coming


def test_a_queue_takes_as_many_as_its_config_says() -> None:
    backlog = Backlog(1000, Queues(lambda: {"etl": Queue("etl", max_pending=2)}))
    job = make_job("a", Status.CREATED, spec=JobSpec(wishes=Wishes("etl")))
    backlog.on_phase(job, None, Phase.PENDING)
    with backlog.hold_place("etl") as first:
        assert first is None
        assert tell(backlog.find_lack("etl")) == (429, "QueueFull")
        assert backlog.find_lack("default") is None
    assert backlog.find_lack("etl") is None
    backlog.on_phase(replace(job, uid="b"), None, Phase.PENDING)
    assert tell(backlog.find_lack("etl")) == (429, "QueueFull")
    backlog.on_phase(job, Phase.PENDING, Phase.RUNNING)
    assert backlog.find_lack("etl") is None
