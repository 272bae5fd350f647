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
from api.v1.mark import Mark
from api.v1.spec import JobSpec
from api.v1.times import SECOND
from api.v1.wishes import NO_WISHES, Wishes
from tests.fakes.engine.engine import Script
from tests.support.jobs import make_job
from tests.support.virtual_time import VirtualLoop, on_virtual_time
from tests.unit.api.server.jobs.watching import open_desk


class Shelf:
    """A store that is told of jobs by hand, and its index."""

    def __init__(self) -> None:
        self.now = 0
        self.index = JobIndex(lambda: self.now)
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
        return [job for job in jobs if wanted.matches(job, self.now, is_silent=job.uid in silent)]

    def count_all(self, wanted: JobFilter) -> dict[str, int]:
        counts: Counter[str] = Counter(dict.fromkeys(map(str, Phase), 0))
        for job in self.list_all(replace(wanted, phase=None)):
            is_silent = job.uid in self.unresponsive
            counts[derive_condition(job, self.now, is_silent=is_silent).phase] += 1
        return dict(counts)


WISHES = [NO_WISHES, Wishes("etl"), Wishes(start_by=3), Wishes(run_for=3)]
"""Jobs of the tests below are recorded at 0 to 9 ns and begin at 5."""


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
    reason=st.none()
    | st.sampled_from([Reason.QUEUED, Reason.ERROR, Reason.ENGINE_SILENT, Reason.STOPPING]),
    queue=st.sampled_from([None, None, "default", "etl"]),
    path=st.none() | st.sampled_from(["/job", "/job/a"]),
    labels=st.sampled_from([(), (("a", None),), (("a", "1"),)]),
    since=st.none() | st.integers(0, 9),
    until=st.none() | st.integers(0, 9),
)
STATES: list[dict[str, Any]] = [
    {"status": Status.CREATED},
    {"status": Status.RUNNING, "started": True, "started_at": 5},
    {"status": Status.EXITED, "started": True, "exit_code": 0},
    {"status": Status.EXITED, "started": True, "exit_code": 1},
    {"status": Status.EXITED, "started": True},
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("pppprsmt"),
        st.integers(0, 7),
        st.integers(0, 9),
        st.sampled_from(STATES),
        PATHS,
        st.sampled_from([(), (("a", "1"),), (("a", "2"),)]),
        st.sampled_from(WISHES),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS, FILTERS, st.integers(1, 4), st.booleans())
def test_pages_and_counts_are_those_of_a_look_at_every_job(
    steps: list[Any], wanted: JobFilter, limit: int, newest: bool
) -> None:
    shelf = Shelf()
    for act, number, order, state, path, labels, wishes in steps:
        uid = f"u{number}"
        match act:
            case "p":
                spec = JobSpec(path, labels=labels, wishes=wishes)
                shelf.put(make_job(uid, order=order, spec=spec, detailed=True, **state))
            case "r":
                shelf.remove(uid)
            case "s":
                shelf.unresponsive = shelf.unresponsive ^ {uid}
                shelf.index.on_resync()
            case "m":
                shelf.store.marks.note(Mark(f"m{number}", uid, order))
            case "t":
                shelf.now += SECOND
                shelf.index.on_resync()
    expected = shelf.list_all(wanted)
    query = ListQuery(wanted, newest, limit)
    assert read_all(shelf, query) == (expected[::-1] if newest else expected)
    assert find(shelf, query).counts == shelf.count_all(wanted)
    told: dict[str, Job] = {}
    shown: dict[str, Job] = {}
    for change in shelf.changes:
        assert told.get(change.uid) == change.old
        # whoever follows with the filter has what it takes, and nothing else
        had = wanted.matches(change.old, change.old_at, is_silent=change.old_silent)
        assert had is (change.uid in shown)
        shown.pop(change.uid, None)
        if change.new and wanted.matches(change.new, change.new_at, is_silent=change.new_silent):
            shown[change.uid] = change.new
        if change.new is None:
            del told[change.uid]
        else:
            told[change.uid] = change.new
    assert told == shelf.store.known
    assert shown == {job.uid: job for job in expected}


def test_a_page_looks_at_no_more_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    for number in range(3000):
        shelf.put(make_job(f"u{number}", STATES[number % 5]["status"], number))
    looks = 0
    matches = JobFilter.matches

    def count(self: JobFilter, job: Job | None, now: int = 0, *, is_silent: bool = False) -> bool:
        nonlocal looks
        looks += 1
        return matches(self, job, now, is_silent=is_silent)

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


def test_a_job_whose_time_is_up_moves_though_nothing_tells_of_it() -> None:
    shelf, moves = Shelf(), list[tuple[Phase | None, Phase | None]]()
    shelf.index.tell_phase = lambda _job, before, after: moves.append((before, after))
    shelf.put(make_job("a", Status.CREATED, spec=JobSpec(wishes=Wishes(start_by=SECOND))))
    shelf.changes.clear()
    shelf.now = 2 * SECOND
    shelf.index.on_resync()
    assert shelf.changes == []
    shelf.now = 3 * SECOND
    shelf.index.on_resync()
    (change,) = shelf.changes
    assert (change.old_at, change.new_at) == (0, 3 * SECOND)
    assert moves == [(None, Phase.PENDING), (Phase.PENDING, Phase.FAILED)]
    failed = JobFilter(reason=Reason.START_DEADLINE_EXCEEDED)
    assert len(find(shelf, ListQuery(failed)).jobs) == 1
    shelf.remove("a")
    shelf.now = 9 * SECOND
    shelf.index.on_resync()
    assert moves[-1] == (Phase.FAILED, None)


def test_the_queue_of_a_job_is_a_filter_and_counts_like_its_path() -> None:
    shelf = Shelf()
    for number, queue in enumerate(("etl", "etl", "default")):
        spec = JobSpec(wishes=Wishes(queue))
        shelf.put(make_job(f"u{number}", Status.CREATED, number, spec=spec))
    page = find(shelf, ListQuery(JobFilter(queue="etl")))
    assert [job.uid for job in page.jobs] == ["u1", "u0"]
    assert page.counts["Pending"] == 2
    assert find(shelf, ListQuery(JobFilter(queue="other"))).jobs == []
