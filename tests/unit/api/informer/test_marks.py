"""Marks reach the jobs that they name, by events and by lists, and are counted as no job."""

import asyncio
from dataclasses import dataclass, field

import pytest

from api.engine.errors import EngineUnavailableError
from api.informer.informer import Informer
from api.informer.marks import Marks
from api.informer.resync import ReadKind, ResyncBudget
from api.informer.store import JobStore
from api.informer.versions import Versions
from api.v1.job import Job, Status
from api.v1.labels import CANCELS
from api.v1.mark import Mark, encode_mark, name_mark, name_purge
from tests.fakes.engine.engine import IMAGE
from tests.support.jobs import make_job
from tests.unit.api.informer.stage import OURS, Stage, open_stage

LATER = "f" * 64


@dataclass
class Witness:
    """Keeps what it is told."""

    changes: list[tuple[Job | None, Job | None]] = field(default_factory=list)

    def on_change(self, old: Job | None, new: Job | None) -> None:
        self.changes.append((old, new))

    def on_resync(self) -> None:
        """Look at nothing."""


def mark_by_hand(
    stage: Stage, uid: str, name: str = "", image: str = IMAGE, **fields: object
) -> str:
    """Create the mark of a job as its recorder does, and return its own uid."""
    mark = Mark("", uid, stage.engine.now(), **fields)  # type: ignore[arg-type]
    body = {"Image": image, "Cmd": ["x"], "Labels": encode_mark(mark, namespace="ns")}
    return stage.engine.add(name or name_mark(uid), body)


def test_a_marks_event_reaches_its_job_and_nothing_is_counted() -> None:
    with open_stage() as stage:
        uid = stage.add("aa")
        witness, events = Witness(), list[str]()

        async def story(informer: Informer) -> None:
            witness.changes.clear()
            events.clear()
            own = mark_by_hand(stage, uid, why="typo")
            await asyncio.sleep(0.2)
            assert informer.store.known.keys() == {uid}
            job = informer.store.known[uid]
            assert job.mark is not None
            assert (job.mark.uid, job.mark.why) == (own, "typo")
            assert informer.store.marks.by_job == {uid: job.mark}
            assert [(old and old.mark, new and new.mark) for old, new in witness.changes] == [
                (None, job.mark)
            ]
            assert events == []
            stage.engine.destroy(own)
            await asyncio.sleep(0.2)
            assert informer.store.known[uid].mark is None
            assert not informer.store.marks.known

        stage.play(story, witness, on_event=lambda event: events.append(event.uid))


def test_a_mark_of_an_image_that_was_seen_costs_no_reading() -> None:
    with open_stage() as stage:
        first, second = stage.add("aa"), stage.add("bb")
        mark_by_hand(stage, first)

        async def story(informer: Informer) -> None:
            lists = stage.engine.calls["list"]
            mark_by_hand(stage, second)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert informer.store.marks.by_job.keys() == {first, second}
            assert stage.engine.calls["list"] == lists

        stage.play(story)


def test_a_list_tells_what_a_deaf_stream_does_not() -> None:
    with open_stage() as stage:
        uid, other = stage.add("aa"), stage.add("bb")

        async def story(informer: Informer) -> None:
            stage.engine.is_mute = True
            own = mark_by_hand(stage, uid)
            await informer.reflector.read_new()
            assert informer.store.marks.by_job.keys() == {uid}
            stage.engine.destroy(own)
            mark_by_hand(stage, other)
            await informer.reflector.read_all()
            assert informer.store.marks.by_job.keys() == {other}
            assert informer.store.known[uid].mark is None

        stage.play(story)


def test_a_mark_that_a_cheap_reading_shows_has_its_jobs_end_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ResyncBudget, "choose", lambda *_, **__: ReadKind.CHEAP)
    with open_stage() as stage:
        uid = stage.add("aa")
        stage.engine.run(uid)
        stage.engine.finish(uid)
        stage.loop.jump(60.0)

        async def story(informer: Informer) -> None:
            assert not informer.store.known[uid].detailed
            stage.engine.is_mute = True
            mark_by_hand(stage, uid)
            await asyncio.sleep(2)
            assert informer.store.known[uid].mark is not None
            assert informer.store.known[uid].detailed

        stage.play(story, interval=1.0, wants_finish=False)


def test_a_list_without_a_job_and_its_mark_shows_the_job_gone_with_it() -> None:
    """Events may be read later: the cancel, then the removal of the job, then that of the mark."""
    witness = Witness()
    store = JobStore(witness, wants_finish=False)
    store.fold_all([make_job("job", Status.CREATED, 1)], store.version())
    store.marks.note(Mark("m", "job", 1))
    store.fold_all([], store.version())
    assert not store.marks.known
    old, new = witness.changes[-1]
    assert old is not None
    assert (old.mark, new) == (Mark("m", "job", 1), None)


def test_a_list_that_is_older_than_an_event_changes_no_mark() -> None:
    told = list[str]()
    versions = Versions()
    marks = Marks(versions, told.append)
    here, gone = Mark("h", "job", 1), Mark("g", "job", 2, purge=True)
    asked = versions.version()
    marks.note(here)
    marks.note(gone)
    marks.note_gone("g")
    assert marks.fold_all([gone], asked) == []
    assert marks.by_job == {"job": here}
    marks.fold(gone, asked)
    assert marks.by_job == {"job": here}
    assert told == ["job", "job", "job"]
    marks.drop(marks.fold_all([], versions.version()))
    assert not marks.by_job
    assert not marks.known


def test_a_purge_that_comes_later_counts_too() -> None:
    with open_stage() as stage:
        uid = stage.add("aa")
        mark_by_hand(stage, uid, grace=3)

        async def story(informer: Informer) -> None:
            mark_by_hand(stage, uid, name_purge(uid), purge=True, grace=9)
            await asyncio.sleep(0.2)
            mark = informer.store.known[uid].mark
            assert mark is not None
            assert (mark.grace, mark.purge) == (3, True)
            assert len(informer.store.marks.known) == 2

        stage.play(story)


def test_an_image_makes_no_mark() -> None:
    with open_stage() as stage:
        uid = stage.add("aa")
        stage.engine.add_image("forged:1", OURS | {CANCELS: uid})

        async def story(informer: Informer) -> None:
            stage.engine.add("bb", {"Image": "forged:1", "Cmd": ["x"]})
            await asyncio.sleep(0.2)
            await informer.reflector.read_all()
            assert not informer.store.marks.known
            assert informer.store.known.keys() == {uid}

        stage.play(story)


def test_a_mark_may_be_known_before_its_job() -> None:
    with open_stage() as stage:
        mark_by_hand(stage, LATER)

        async def story(informer: Informer) -> None:
            assert informer.store.marks.by_job.keys() == {LATER}
            informer.store.fold_created(make_job(LATER, Status.CREATED))
            assert informer.store.known[LATER].mark is not None

        stage.play(story)


def test_the_exact_end_of_a_job_is_read_when_its_mark_comes() -> None:
    """Whether it was cancelled or had ended before only its times tell."""
    with open_stage() as stage:
        uid = stage.add("aa")
        stage.engine.run(uid)
        stage.engine.finish(uid)
        stage.loop.jump(10.0)  # no event tells of it any more

        async def story(informer: Informer) -> None:
            assert informer.store.known[uid].finished_at is None
            mark_by_hand(stage, uid, purge=True)
            await asyncio.sleep(0.2)
            assert informer.store.known[uid].finished_at is not None

        stage.play(story, delay=0.5)


def test_a_mark_that_cannot_be_read_at_once_is_read_by_the_next_list() -> None:
    with open_stage() as stage:
        uid = stage.add("aa")

        async def story(informer: Informer) -> None:
            stage.engine.add_image("unseen:1")
            stage.engine.fail("list", EngineUnavailableError("gone"), times=1)
            mark_by_hand(stage, uid, image="unseen:1")
            await asyncio.sleep(0.2)
            assert not informer.store.marks.by_job
            await informer.reflector.read_all()
            assert informer.store.marks.by_job.keys() == {uid}

        stage.play(story)
