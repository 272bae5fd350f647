"""Jobs that wait are counted by owner, and none may wait beyond the limit or a token's share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api.server.clients import CLIENT, Client
from api.server.http.problem import Problem
from api.server.jobs.backlog import Backlog
from api.v1.job import Job, Phase, Status
from api.v1.spec import JobSpec
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


def fill(backlog: Backlog, owner: str, count: int) -> None:
    for number in range(count):
        backlog.on_phase(wait(owner, f"{owner}{number}"), None, Phase.PENDING)


def tell(problem: Problem | None) -> tuple[int, str]:
    assert problem is not None
    assert int(problem.headers["Retry-After"]) > 0
    return problem.code, problem.reason


@pytest.mark.parametrize("owner", ["", "a"])
def test_as_many_as_the_limit_wait_and_none_beyond(owner: str) -> None:
    backlog = Backlog(3)
    with asking(owner, is_sole=True):
        fill(backlog, owner, 2)
        assert backlog.find_lack() is None
        backlog.on_phase(wait(owner, "last"), None, Phase.PENDING)
        assert tell(backlog.find_lack()) == (429, "QueueFull")
        assert backlog.size == 3


def test_of_several_tokens_one_has_half_and_another_finds_room() -> None:
    backlog = Backlog(4)
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
    backlog, job = Backlog(1), wait("a", "x")
    backlog.on_phase(job, None, Phase.PENDING)
    assert backlog.find_lack() is not None
    backlog.on_phase(job, Phase.PENDING, phase)
    if phase is not None:
        backlog.on_phase(job, phase, None)
    assert backlog.find_lack() is None
    assert backlog.size == 0
    assert not backlog._waiting


def test_those_whose_posts_are_in_work_are_not_more_than_may_wait() -> None:
    backlog = Backlog(4)
    with asking("a"), backlog.hold_place() as first, backlog.hold_place() as second:
        assert (first, second) == (None, None)
        with backlog.hold_place() as third:
            assert tell(third) == (429, "QueueFull")
        with asking("b"), backlog.hold_place() as other:
            assert other is None
    assert not backlog._coming
