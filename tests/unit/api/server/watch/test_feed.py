"""A client that folds a stream knows at each ``synced`` what the index holds, whatever happened."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from api.informer.health import EngineStatus
from api.server.access.tokens import Grant
from api.server.jobs.index import Change
from api.server.jobs.query import JobFilter, Key
from api.server.watch import feed as feed_module
from api.server.watch import log as log_module
from api.server.watch.feed import Feed, Kind, Message
from api.server.watch.log import EventLog
from api.v1.job import Job, Phase, Reason
from api.v1.spec import JobSpec
from tests.support.jobs import make_job
from tests.unit.api.server.jobs.test_index import STATES, Shelf

UIDS = [f"u{number}" for number in range(6)]
FILTERS = [
    JobFilter(),
    JobFilter(phase=Phase.PENDING),
    JobFilter(reason=Reason.ENGINE_SILENT),
    JobFilter(path="/job/a"),
    JobFilter(Grant(paths=("/job/a",)), labels=(("k", "1"),)),
    JobFilter(phase=Phase.RUNNING, since=3),
]


class Origin(Shelf):
    """One process: a store, its index, and the log of what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.log = EventLog(self.render)
        self.index.tell = self.log.add

    def spell(self, job: Job) -> bytes:
        return json.dumps(self.index.view(job)).encode()

    def render(self, change: Change) -> bytes:
        job = change.new or change.seen
        assert job is not None
        return self.spell(job)

    def take_after(self, wanted: JobFilter, after: Key | None, most: int) -> list[Key]:
        return [*islice(self.index.walk(wanted, after=after), most)]

    def show(self, uid: str, wanted: JobFilter) -> bytes | None:
        job = self.store.known.get(uid)
        if job is None or not wanted.matches(
            job, self.index.judged_at(uid), is_silent=self.index.is_silent(uid)
        ):
            return None
        return self.spell(job)

    def shows(self, wanted: JobFilter) -> dict[str, Any]:
        """Return what a list shows."""
        return {job.uid: json.loads(self.spell(job)) for job in self.list_all(wanted)}

    def show_job(self, uid: str, order: int = 1, state: Any = None, **spec: Any) -> None:
        fields = state or STATES[0]
        self.store.invalidate(uid)
        self.store.fold_inspect(
            uid, make_job(uid, order=order, spec=JobSpec(**spec), detailed=True, **fields)
        )

    def set_up(self, *, up: bool) -> None:
        self.engine_status = EngineStatus(is_up=up)
        self.index.on_resync()


class Client:
    """Folds what it is told, and may come back."""

    def __init__(self, origin: Origin, wanted: JobFilter) -> None:
        self.origin = origin
        self.wanted = wanted
        self.known: dict[str, Any] = {}
        self.version = ""
        self.kinds: list[Kind] = []
        self.feed = Feed(origin.log, origin, wanted)

    def fold(self, message: Message) -> None:
        self.kinds.append(message.kind)
        if message.number or message.kind is Kind.RESET:
            self.version = self.origin.log.spell(message.number)
        job = json.loads(message.body) if message.body else None
        match message.kind:
            case Kind.ADDED | Kind.CHANGED:
                assert job is not None
                self.known[job["uid"]] = job
            case Kind.REMOVED:
                assert job is not None
                self.known.pop(job["uid"], None)
            case Kind.RESET:
                self.known.clear()
            case Kind.SYNCED | Kind.BOOKMARK:
                assert self.known == self.origin.shows(self.wanted)

    def take(self, most: int, *, folded: int = 10_000) -> None:
        for message in self.feed.take(most)[:folded]:
            self.fold(message)

    def come_back(self, origin: Origin) -> None:
        """Connect anew with the last version, perhaps to another process."""
        self.origin = origin
        after = origin.log.parse(self.version) if self.version else None
        if after is None:
            self.known.clear()
        self.feed = Feed(origin.log, origin, self.wanted, after=after)

    def settle(self) -> None:
        """Read until there is nothing more."""
        self.take(3)
        while self.feed.has_more:
            self.take(3)
        assert self.known == self.origin.shows(self.wanted)
        mark = self.feed.mark()
        assert mark is not None
        self.fold(mark)


class Folding(RuleBasedStateMachine):
    """Changes of any kind, and clients that read, stop to read, break off and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.origin = Origin()
        self.clients: list[Client] = []

    @initialize(chosen=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3))
    def connect(self, chosen: list[JobFilter]) -> None:
        for number in range(3):
            self.origin.show_job(f"u{number}", number, path="/job/a")
        self.clients = [Client(self.origin, wanted) for wanted in (*chosen, chosen[0])]

    @rule(
        uid=st.sampled_from(UIDS),
        order=st.integers(0, 9),
        state=st.sampled_from(STATES),
        path=st.sampled_from(["/job", "/job/a"]),
        labels=st.sampled_from([(), (("k", "1"),)]),
    )
    def change(self, uid: str, order: int, state: Any, path: str, labels: Any) -> None:
        known = self.origin.store.known.get(uid)
        if known is not None:
            # neither ever changes; the place may, as the engine's list tells it
            path, labels = known.spec.path, known.spec.labels
        self.origin.show_job(uid, order, state, path=path, labels=labels)

    @rule(uid=st.sampled_from(UIDS), order=st.integers(0, 9))
    def move(self, uid: str, order: int) -> None:
        known = self.origin.store.known.get(uid)
        if known is not None:
            row = make_job(uid, known.status, order=order, created=order, spec=known.spec)
            self.origin.store.fold_all([row], self.origin.store.version())

    @rule(uid=st.sampled_from(UIDS))
    def remove(self, uid: str) -> None:
        self.origin.remove(uid)

    @rule(uid=st.sampled_from(UIDS))
    def silence(self, uid: str) -> None:
        self.origin.unresponsive ^= {uid}
        self.origin.index.on_resync()

    @rule(up=st.booleans())
    def flip(self, up: bool) -> None:
        self.origin.set_up(up=up)

    @rule(number=st.integers(0, 2), most=st.integers(1, 4))
    def read(self, number: int, most: int) -> None:
        if number < len(self.clients):
            self.clients[number].take(most)

    @rule(most=st.integers(1, 2))
    def share(self, most: int) -> None:
        """Have clients alike told the same, read from the log by the first of them."""
        told: dict[Any, Any] = {}
        for client in self.clients:
            cursor, head = client.feed.cursor, self.origin.log.head
            if cursor is None or cursor == head:
                continue
            last = min(head, cursor + most)
            key = client.wanted, cursor, last
            if key in told:
                client.feed.skip(last, told[key][1])
            else:
                told[key] = client.feed.take_changes(last)
            for message in told[key][0]:
                client.fold(message)

    @rule(number=st.integers(0, 2), most=st.integers(1, 4), folded=st.integers(0, 4))
    def break_off(self, number: int, most: int, folded: int) -> None:
        if number < len(self.clients):
            self.clients[number].take(most, folded=folded)
            self.clients[number].come_back(self.origin)

    @precondition(lambda self: self.clients)
    @rule()
    def restart(self) -> None:
        self.origin = Origin()
        self.origin.show_job("u0", 4, path="/job/a")
        for client in self.clients:
            client.come_back(self.origin)

    def teardown(self) -> None:
        for client in self.clients:
            client.settle()


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Have bounds that a short run reaches."""
    patch = pytest.MonkeyPatch()
    patch.setattr(log_module, "KEPT", 6)
    patch.setattr(feed_module, "_MOST_DUE", 2)
    patch.setattr(feed_module, "_STRETCH", 3)
    yield
    patch.undo()


TestFolding = Folding.TestCase
TestFolding.settings = settings(max_examples=50, stateful_step_count=30)


def read(feed: Feed, most: int = 100) -> list[tuple[str, str, str]]:
    """Return kind, id and phase of what is told."""
    messages = feed.take(most)
    while feed.has_more:
        messages += feed.take(most)
    jobs = [json.loads(each.body) if each.body else {"id": "", "phase": ""} for each in messages]
    return [
        (str(each.kind), job["id"], job["phase"]) for each, job in zip(messages, jobs, strict=True)
    ]


def test_a_stream_is_a_snapshot_then_synced_then_what_changes() -> None:
    origin = Origin()
    origin.show_job("u1", 1)
    origin.show_job("u2", 2)
    feed = Feed(origin.log, origin, JobFilter())
    assert read(feed) == [
        ("added", "u1", "Pending"),
        ("added", "u2", "Pending"),
        ("synced", "", ""),
    ]
    assert read(feed) == []
    origin.show_job("u3", 3)
    origin.show_job("u1", 1, STATES[1])
    origin.remove("u2")
    assert read(feed) == [
        ("added", "u3", "Pending"),
        ("changed", "u1", "Running"),
        ("removed", "u2", "Pending"),
    ]


def test_a_job_that_leaves_the_filter_is_removed_and_one_that_enters_is_added() -> None:
    origin = Origin()
    origin.show_job("u1", 1)
    feed = Feed(origin.log, origin, JobFilter(phase=Phase.PENDING))
    read(feed)
    origin.show_job("u1", 1, STATES[1])
    assert read(feed) == [("removed", "u1", "Running")]
    origin.show_job("u1", 1, STATES[2])
    assert read(feed) == []
    origin.show_job("u2", 2)
    assert read(feed) == [("added", "u2", "Pending")]


def test_updates_of_one_job_coalesce() -> None:
    origin = Origin()
    origin.show_job("u1", 1)
    feed = Feed(origin.log, origin, JobFilter())
    read(feed)
    for state in (STATES[1], STATES[2], STATES[3]):
        origin.show_job("u1", 1, state)
    origin.show_job("u2", 2)
    origin.remove("u2")
    assert read(feed) == [("changed", "u1", "Failed")]
    assert feed.coalesced == 3


def test_without_a_snapshot_only_what_changes_is_told() -> None:
    origin = Origin()
    origin.show_job("u1", 1)
    feed = Feed(origin.log, origin, JobFilter(), wants_snapshot=False)
    assert read(feed) == [("synced", "", "")]
    origin.show_job("u1", 1, STATES[1])
    assert read(feed) == [("changed", "u1", "Running")]


def test_who_resumes_too_late_is_told_everything_anew() -> None:
    origin = Origin()
    origin.show_job("u1", 1)
    version = origin.log.head
    for order in range(2, 10):
        origin.show_job("u1", order)
    feed = Feed(origin.log, origin, JobFilter(), after=version)
    assert read(feed) == [("reset", "", ""), ("added", "u1", "Pending"), ("synced", "", "")]
    late = Feed(origin.log, origin, JobFilter(), after=0, wants_snapshot=False)
    assert read(late) == [("reset", "", ""), ("synced", "", "")]


@pytest.mark.parametrize(
    ("version", "number"),
    [("", None), ("x", None), ("e7f3", None), ("e7f3-4712", 0), ("e7f3--1", None), ("É-1", None)],
)
def test_a_version_is_of_this_process_or_of_another_or_none(
    version: str, number: int | None
) -> None:
    log = Origin().log
    assert log.parse(version) == number
    assert log.parse(log.spell(log.head)) == log.head
    assert log.parse(log.spell(log.head + 1)) is None


def test_a_job_is_spelt_once_for_all_streams() -> None:
    origin = Origin()
    feeds = [Feed(origin.log, origin, JobFilter()) for _ in range(3)]
    for feed in feeds:
        read(feed)
    origin.show_job("u1", 1)
    bodies = [feed.take(10)[0].body for feed in feeds]
    assert bodies[0] is bodies[1] is bodies[2]


def test_what_is_held_for_a_slow_reader_is_bounded() -> None:
    origin = Origin()
    feed = Feed(origin.log, origin, JobFilter(), wants_snapshot=False)
    read(feed)
    for number in range(1000):
        origin.show_job(f"v{number}", number)
    feed.take(1)
    assert len(feed._due) <= 2


def test_who_resumes_behind_a_line_that_said_more_than_its_version_keeps_no_ghost() -> None:
    origin = Origin()
    running, over = STATES[1], STATES[2]
    origin.show_job("u1", 1, running)
    wanted = JobFilter(phase=Phase.RUNNING)
    feed = Feed(origin.log, origin, wanted)
    read(feed)
    origin.show_job("u1", 1, over)
    first = origin.log.head
    origin.show_job("u1", 1, running)
    (told,) = feed.take(10)
    assert (told.kind, told.number) == (Kind.CHANGED, first)
    origin.remove("u1")
    resumed = Feed(origin.log, origin, wanted, after=told.number)
    assert read(resumed) == [("removed", "u1", "Running"), ("synced", "", "")]
