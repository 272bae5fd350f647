"""The index shows and counts what a look at every job would, whatever happened to them."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.informer.health import EngineStatus
from api.informer.store import JobStore
from api.server.access.tokens import Grant
from api.server.jobs.index import Change, JobIndex, Page
from api.server.jobs.query import JobFilter, ListQuery, parse_continue
from api.v1.condition import derive_condition
from api.v1.job import Job, Phase, Reason, Status
from api.v1.spec import JobSpec
from tests.fakes.engine.engine import Script
from tests.support.jobs import make_job
from tests.support.virtual_time import VirtualLoop, on_virtual_time
from tests.unit.api.server.jobs.watching import open_desk


class Shelf:
    """A store that is told of jobs by hand, and its index."""

    def __init__(self) -> None:
        self.index = JobIndex(lambda: 0)
        self.store = JobStore(self.index, wants_finish=False)
        self.unresponsive: set[str] = set()
        self.engine_status = EngineStatus(is_up=True)
        self.changes: list[Change] = []
        self.index.attach(self)
        self.index.tell = self.changes.append
        self.index.on_resync()

    def put(self, job: Job) -> None:
        self.store.fold_inspect(job.uid, job)

    def remove(self, uid: str) -> None:
        self.store.fold_inspect(uid, None)

    def list_all(self, wanted: JobFilter) -> list[Job]:
        """Return what matches, the oldest first."""
        jobs = sorted(self.store.known.values(), key=lambda job: (job.order, job.uid))
        silent = self.unresponsive
        return [job for job in jobs if wanted.matches(job, is_silent=job.uid in silent)]

    def count_all(self, wanted: JobFilter) -> dict[str, int]:
        counts: Counter[str] = Counter(dict.fromkeys(map(str, Phase), 0))
        for job in self.list_all(replace(wanted, phase=None)):
            is_silent = job.uid in self.unresponsive
            counts[derive_condition(job, is_silent=is_silent).phase] += 1
        return dict(counts)


def find(shelf: Shelf, query: ListQuery) -> Page:
    return asyncio.run(shelf.index.find_page(query))


def read_all(shelf: Shelf, query: ListQuery) -> list[Job]:
    """Return the jobs of all pages."""
    jobs: list[Job] = []
    while True:
        page = find(shelf, query)
        assert len(page.jobs) <= query.limit
        jobs += page.jobs
        if page.token is None:
            return jobs
        after = parse_continue(page.token, newest_first=query.newest_first)
        assert after is not None
        query = replace(query, after=after)


PATHS = st.sampled_from(["", "/job", "/job/a", "/job/a/b", "/job/ab"])
FILTERS = st.builds(
    JobFilter,
    grant=st.sampled_from([Grant(), Grant(paths=("/job/a",))]),
    phase=st.none() | st.sampled_from(Phase),
    reason=st.none() | st.sampled_from([Reason.QUEUED, Reason.ERROR, Reason.ENGINE_SILENT]),
    queue=st.sampled_from([None, None, "default", "other"]),
    path=st.none() | st.sampled_from(["/job", "/job/a"]),
    labels=st.sampled_from([(), (("a", None),), (("a", "1"),)]),
    since=st.none() | st.integers(0, 9),
    until=st.none() | st.integers(0, 9),
)
STATES: list[dict[str, Any]] = [
    {"status": Status.CREATED},
    {"status": Status.RUNNING, "started": True},
    {"status": Status.EXITED, "started": True, "exit_code": 0},
    {"status": Status.EXITED, "started": True, "exit_code": 1},
    {"status": Status.EXITED, "started": True},
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("pppprs"),
        st.integers(0, 7),
        st.integers(0, 9),
        st.sampled_from(STATES),
        PATHS,
        st.sampled_from([(), (("a", "1"),), (("a", "2"),)]),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS, FILTERS, st.integers(1, 4), st.booleans())
def test_pages_and_counts_are_those_of_a_look_at_every_job(
    steps: list[Any], wanted: JobFilter, limit: int, newest: bool
) -> None:
    shelf = Shelf()
    for act, number, order, state, path, labels in steps:
        uid = f"u{number}"
        match act:
            case "p":
                spec = JobSpec(path, labels=labels)
                shelf.put(make_job(uid, order=order, spec=spec, detailed=True, **state))
            case "r":
                shelf.remove(uid)
            case "s":
                shelf.unresponsive = shelf.unresponsive ^ {uid}
                shelf.index.on_resync()
    expected = shelf.list_all(wanted)
    query = ListQuery(wanted, newest, limit)
    assert read_all(shelf, query) == (expected[::-1] if newest else expected)
    assert find(shelf, query).counts == shelf.count_all(wanted)
    told: dict[str, Job] = {}
    for change in shelf.changes:
        assert told.get(change.uid) == change.old
        if change.new is None:
            del told[change.uid]
        else:
            told[change.uid] = change.new
    assert told == shelf.store.known


def test_a_page_looks_at_no_more_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    for number in range(3000):
        shelf.put(make_job(f"u{number}", STATES[number % 5]["status"], number))
    looks = 0
    matches = JobFilter.matches

    def count(self: JobFilter, job: Job | None, *, is_silent: bool = False) -> bool:
        nonlocal looks
        looks += 1
        return matches(self, job, is_silent=is_silent)

    monkeypatch.setattr(JobFilter, "matches", count)
    for wanted in (JobFilter(), JobFilter(phase=Phase.PENDING), JobFilter(path="/job")):
        looks = 0
        assert len(find(shelf, ListQuery(wanted, limit=100)).jobs) == 100
        assert looks <= 101


def test_what_comes_between_two_pages_moves_nothing() -> None:
    shelf = Shelf()
    for number in range(0, 20, 2):
        shelf.put(make_job(f"u{number}", Status.CREATED, number))
    first = find(shelf, ListQuery(JobFilter(), limit=4))
    assert first.token is not None
    shelf.put(make_job("u99", Status.CREATED, 99))
    shelf.remove("u12")
    after = parse_continue(first.token, newest_first=True)
    rest = find(shelf, ListQuery(JobFilter(), limit=100, after=after))
    assert [job.uid for job in first.jobs] == ["u18", "u16", "u14", "u12"]
    assert [job.uid for job in rest.jobs] == ["u10", "u8", "u6", "u4", "u2", "u0"]


@on_virtual_time
async def test_an_engine_that_is_away_is_told_with_the_time_and_changes_what_waits() -> None:
    async with open_desk() as desk:
        desk.add("job-1")
        await asyncio.sleep(1)
        told: list[Change] = []
        desk.index.tell = told.append
        assert desk.index.describe_outage() is None
        desk.engine.go_down()
        await asyncio.sleep(5)
        since = desk.index.describe_outage()
        assert since is not None
        assert since["up"] is False
        assert str(since["since"]).startswith("2023-11-14T22:13:2")
        page = await desk.index.find_page(ListQuery(JobFilter()))
        waiting = desk.index.view(page.jobs[0])["waiting"]
        assert waiting is not None
        assert waiting["reason"] == "EngineDown"
        assert [change.new for change in told] == page.jobs
        desk.engine.heal()
        await asyncio.sleep(5)
        assert desk.index.describe_outage() is None
        assert len(told) == 2


@on_virtual_time
async def test_exact_times_are_read_once_and_only_of_what_is_shown() -> None:
    async with open_desk() as desk:
        uids = [desk.add(f"job-{number}", Script(seconds=1)) for number in range(20)]
        for uid in uids:
            desk.engine.run(uid)
        await asyncio.sleep(10)
        assert desk.engine.calls["inspect"] == 0
        query = ListQuery(JobFilter(), limit=5)
        for _ in range(3):
            page = await desk.index.find_page(query)
            await desk.details.fill(page.jobs)
        page = await desk.index.find_page(query)
        assert all(job.finished_at and job.started_at for job in page.jobs)
        assert desk.engine.calls["inspect"] == 5


@on_virtual_time
async def test_a_page_does_not_wait_for_an_engine_that_is_silent() -> None:
    async with open_desk() as desk:
        uid = desk.add("job-1", Script(seconds=1))
        desk.engine.run(uid)
        await asyncio.sleep(10)
        desk.engine.hang("inspect")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        began = loop.time()
        page = await desk.index.find_page(ListQuery(JobFilter()))
        assert await desk.details.fill(page.jobs)
        assert loop.time() - began == pytest.approx(1.0)
        await asyncio.sleep(15)
        assert not await desk.details.fill(page.jobs)


@on_virtual_time
async def test_a_list_waits_for_the_first_reading_but_not_for_long() -> None:
    from tests.unit.api.server.jobs.watching import Desk

    desk = Desk()
    began = desk.loop.time()
    await desk.index.wait_until_read()
    assert desk.loop.time() - began == 2.0
    await desk.index.wait_until_read()
    assert desk.loop.time() - began == 2.0
