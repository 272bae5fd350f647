"""Jobs that wait are counted by owner, and none may wait beyond the limit or a token's share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api.server.clients import CLIENT, Client
from api.server.http.problem import Problem
from api.server.jobs.backlog import Backlog
from api.v1.job import Job, Status
from api.v1.spec import JobSpec
from tests.support.jobs import make_job
from tests.support.listeners import Nobody


@contextmanager
def asking(owner: str, *, is_sole: bool = False) -> Iterator[None]:
    token = CLIENT.set(Client(owner, owner=owner, is_sole=is_sole))
    try:
        yield
    finally:
        CLIENT.reset(token)


def wait(owner: str, uid: str, status: Status = Status.CREATED) -> Job:
    return make_job(uid, status, spec=JobSpec(owner=owner))


def fill(backlog: Backlog, owner: str, count: int) -> None:
    for number in range(count):
        backlog.on_change(None, wait(owner, f"{owner}{number}"))


def tell(problem: Problem | None) -> tuple[int, str]:
    assert problem is not None
    assert int(problem.headers["Retry-After"]) > 0
    return problem.code, problem.reason


@pytest.mark.parametrize("owner", ["", "a"])
def test_as_many_as_the_limit_wait_and_none_beyond(owner: str) -> None:
    backlog = Backlog(3, Nobody())
    with asking(owner, is_sole=True):
        fill(backlog, owner, 2)
        assert backlog.find_lack() is None
        backlog.on_change(None, wait(owner, "last"))
        assert tell(backlog.find_lack()) == (429, "QueueFull")
        assert backlog.size == 3


def test_of_several_tokens_one_has_half_and_another_finds_room() -> None:
    backlog = Backlog(4, Nobody())
    fill(backlog, "a", 2)
    with asking("a"):
        assert tell(backlog.find_lack()) == (429, "QueueFull")
    with asking("b"):
        assert backlog.find_lack() is None
        fill(backlog, "b", 2)
    for owner in ("a", "b", "c"):
        with asking(owner):
            assert tell(backlog.find_lack()) == (429, "QueueFull")


@pytest.mark.parametrize("status", [Status.RUNNING, Status.EXITED, Status.REMOVING, None])
def test_a_job_that_waits_no_more_makes_room(status: Status | None) -> None:
    backlog = Backlog(1, Nobody())
    job = wait("a", "x")
    backlog.on_change(None, job)
    assert backlog.find_lack() is not None
    new = None if status is None else wait("a", "x", status)
    backlog.on_change(job, new)
    backlog.on_change(new, None)
    assert backlog.find_lack() is None
    assert backlog.size == 0
    assert not backlog._waiting


def test_those_whose_posts_are_in_work_are_not_more_than_may_wait() -> None:
    backlog = Backlog(4, Nobody())
    with asking("a"), backlog.hold_place() as first, backlog.hold_place() as second:
        assert (first, second) == (None, None)
        with backlog.hold_place() as third:
            assert tell(third) == (429, "QueueFull")
        with asking("b"), backlog.hold_place() as other:
            assert other is None
    assert not backlog._coming


def test_what_it_is_told_is_told_on() -> None:
    told: list[object] = []

    class Listener:
        def on_change(self, old: Job | None, new: Job | None) -> None:
            told.append((old, new))

        def on_resync(self) -> None:
            told.append("resync")

    backlog, job = Backlog(1, Listener()), wait("a", "x")
    backlog.on_change(None, job)
    backlog.on_resync()
    assert told == [(None, job), "resync"]
