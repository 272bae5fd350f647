"""A job's log is read whole and once to the job's end, whatever becomes of readings and engine."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.engine.errors import (
    EngineInterruptedError,
    EngineRefusedError,
    EngineUnavailableError,
    NoLogError,
)
from api.engine.interface import LogFrame, LogStream
from api.server.logs.loss import measure
from api.server.logs.place import Place
from api.server.logs.query import LogQuery
from api.server.logs.reader import JobLog
from api.v1.job import Job, Status
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from tests.fakes.engine.engine import IMAGE, MemoryEngine, Script
from tests.support.virtual_time import VirtualLoop, on_virtual_time

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
FOLLOW = LogQuery(follow=True)
UNTIL_IT_ENDS = 3.0


class Stage:
    """One job on an engine in memory, and what is read of its log."""

    def __init__(self, query: LogQuery = FOLLOW, *, Tty: bool = False, **host: object) -> None:  # noqa: N803 - the engine's word
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.engine = MemoryEngine(clock=loop.now_ns, behave=lambda _: Script())
        labels = encode(JobSpec(), namespace="ns", job_id="job", labels={})
        body = {"Image": IMAGE, "Cmd": ["x"], "Labels": labels, "HostConfig": host, "Tty": Tty}
        self.uid = self.engine.add("job", body)
        self.query = query
        self.frames: list[LogFrame] = []
        self.gaps: list[int] = []
        """Before which frames others may be missing."""
        self.pause = 0.0
        """Seconds that the reader takes for what it has read."""
        self.known: dict[str, Job] = {}
        self.news = asyncio.Event()

    @property
    def log(self) -> list[LogFrame]:
        return self.engine.get_log(self.uid).frames

    async def begin(self, *, knows: bool = False, count: int = 1, is_exact: bool = True) -> None:
        """Read the log, one of ``count``; the store ``knows`` the job, or does not."""
        job = await self.learn()
        known = self.known.get if knows else lambda _: None
        self.reader = JobLog(
            *(self.engine, job, self.query, known),
            news=self.news,
            count=lambda: count,
            is_exact=is_exact,
        )
        self.reading = asyncio.create_task(self._read())

    async def learn(self) -> Job:
        """Have the store know of the job what an inspect shows."""
        job = await self.engine.inspect(self.uid)
        assert job is not None
        self.known[self.uid] = job
        self.news.set()
        return job

    def keep_two(self) -> None:
        """Have the log keep two entries, and one in any case."""
        log = self.engine.get_log(self.uid)
        log.most, log.room = 2, 2 * measure(b"1\n")

    async def _read(self) -> None:
        try:
            while not self.reader.has_ended:
                frames = await self.reader.read()
                self.gaps += [len(self.frames)] * self.reader.has_gap
                self.frames += frames
                if frames and self.pause:
                    await self.reader.fall_behind()
                    await asyncio.sleep(self.pause)
        finally:
            await self.reader.suspend()

    async def finish(self, exit_code: int = 0) -> None:
        """End the job, and wait for what that has to end."""
        self.engine.finish(self.uid, exit_code)
        async with asyncio.timeout(UNTIL_IT_ENDS):
            await self.reading

    def deafen(self) -> None:
        for reading in self.engine.get_log(self.uid).readings:
            reading.is_deaf = True

    def act(self, step: tuple[LogStream, bytes] | str) -> None:
        """Have something happen; what needs a running job does not happen without one."""
        engine = self.engine
        acts: dict[str, Callable[[], object]] = {
            "cut": engine.cut_streams,
            "end": engine.end_streams,
            "deafen": self.deafen,
            "down": self._go_down,
            "refuse": lambda: engine.fail("logs", EngineRefusedError(500, "no such file")),
        }
        if isinstance(step, str) and step in acts:
            acts[step]()
        elif not engine.get(self.uid).is_running:
            return
        elif step == "restart":
            engine.finish(self.uid, 1)
        elif isinstance(step, str):
            engine.write(self.uid, b"".join(b"%d\n" % number for number in range(500)))
        else:
            engine.write(self.uid, step[1], step[0])

    def _go_down(self) -> None:
        self.engine.go_down()
        self.loop.call_later(4.0, self.engine.heal)


def staged(
    test: Callable[[Stage], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """Return a test that is given a running job whose log is followed, and whose end it awaits."""

    async def run() -> None:
        stage = Stage()
        stage.engine.run(stage.uid)
        await stage.begin()
        await test(stage)
        await stage.finish()
        assert stage.frames == stage.log

    run.__name__ = test.__name__
    return on_virtual_time(run)


writes = st.tuples(
    st.sampled_from(LogStream),
    st.sampled_from([b"", b"\n", b"a\n", b"no newline", b"x" * (1 << 14), b"y" * 40_000, b"\n\nz"]),
)
acts = st.sampled_from(["cut", "end", "deafen", "down", "restart", "suspend", "refuse", "many"])
pauses = st.sampled_from([0.0, 0.01, 0.3, 1.1, 5.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(writes | acts, pauses), max_size=12), st.booleans())
def test_every_entry_is_read_once_whatever_happens(
    steps: list[tuple[tuple[LogStream, bytes] | str, float]], is_exact: bool
) -> None:
    @on_virtual_time
    async def run() -> None:
        stage = Stage(RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 99})
        stage.engine.get_log(stage.uid).is_exact = is_exact
        stage.engine.run(stage.uid)
        await stage.begin()
        for step, pause in steps:
            if step == "suspend":
                await stage.reader.suspend()
            else:
                stage.act(step)
            await asyncio.sleep(pause)
        stage.engine.heal()
        await asyncio.sleep(1)
        await stage.finish()
        assert stage.frames == stage.log

    run()


sizes = st.sampled_from([0, 1, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 3 << 14, 1 << 20, 10 << 20])


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.sampled_from(LogStream), sizes), max_size=4),
    st.sampled_from([1 << 30, 1_000_003, 16_384, 9_999]),
    st.booleans(),
    st.booleans(),
)
def test_the_bytes_are_those_written_for_any_split(
    lines: list[tuple[LogStream, int]], size: int, has_terminal: bool, has_newline: bool
) -> None:
    @on_virtual_time
    async def run() -> None:
        stage = Stage(Tty=has_terminal)
        stage.engine.run(stage.uid)
        await stage.begin()
        written = {OUT: b"", ERR: b""}
        for number, (stream, length) in enumerate(lines):
            is_last = number == len(lines) - 1
            line = bytes([97 + number]) * length + b"\n" * (has_newline or not is_last)
            written[stream] += line
            for begin in range(0, len(line), size):
                stage.engine.write(stage.uid, line[begin : begin + size], stream)
                if number % 2:
                    await asyncio.sleep(0)
            stage.engine.cut_streams()
        await stage.finish()
        found = {
            stream: b"".join(f.data for f in stage.frames if f.stream is stream)
            for stream in LogStream
        }
        if has_terminal:
            whole = b"".join(frame.data for frame in stage.log)
            assert found == {OUT: whole, ERR: b""}
            assert len(whole) == sum(len(w) + w.count(b"\n") for w in written.values())
        else:
            assert found == written

    run()


@staged
async def test_an_end_that_the_engine_tells_too_early_ends_nothing(stage: Stage) -> None:
    for number in range(3):
        stage.engine.write(stage.uid, b"%d\n" % number)
        stage.engine.end_streams()
        await asyncio.sleep(2)


@on_virtual_time
async def test_an_end_that_the_engine_never_tells_is_found() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin()
    await asyncio.sleep(100)
    log = stage.engine.get_log(stage.uid)
    readings, log.readings = log.readings, set()
    stage.engine.write(stage.uid, b"last")
    await stage.finish()
    assert readings
    assert [frame.data for frame in stage.frames] == [b"last"]


@on_virtual_time
async def test_a_follow_gone_deaf_is_opened_anew() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin()
    await asyncio.sleep(0.1)
    stage.engine.write(stage.uid, b"heard\n")
    await asyncio.sleep(0.1)
    stage.deafen()
    stage.engine.write(stage.uid, b"not heard\n")
    await asyncio.sleep(2)
    assert [frame.data for frame in stage.frames] == [b"heard\n", b"not heard\n"]
    stage.engine.write(stage.uid, b"heard again\n")
    await asyncio.sleep(0.1)
    assert stage.frames == stage.log
    assert stage.reader.reopened == 1
    await stage.finish()


@on_virtual_time
async def test_the_engine_is_asked_for_an_idle_log_ever_less_often() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin()
    await asyncio.sleep(300)
    stage.engine.calls.clear()
    await asyncio.sleep(60)
    # the store knows nothing here: else an inspect every other second
    assert stage.engine.calls["inspect"] <= 60
    assert stage.engine.calls["logs"] <= 3
    await stage.finish()


@on_virtual_time
async def test_a_pending_job_is_waited_for_and_never_followed_before() -> None:
    stage = Stage(LogQuery(follow=True, tail=1))
    await stage.begin()
    await asyncio.sleep(30)
    assert not stage.engine.calls["logs"]
    stage.engine.run(stage.uid)
    stage.engine.write(stage.uid, b"one\ntwo\n")
    await asyncio.sleep(2)
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"one\n", b"two\n"]


@pytest.mark.parametrize("is_exact", [True, False])
@on_virtual_time
async def test_a_start_that_the_store_learns_of_opens_the_log_at_that_moment(
    is_exact: bool,
) -> None:
    """What a job writes first is soon rotated away: no inspect and no pause comes between."""
    stage = Stage()
    log = stage.engine.get_log(stage.uid)
    log.is_exact, log.most = is_exact, 2
    await stage.begin(knows=True, is_exact=is_exact)
    for pause in (0.3, 1.4, 0.1):
        await asyncio.sleep(pause)
        assert not stage.engine.calls["logs"]
    stage.engine.run(stage.uid)
    stage.engine.write(stage.uid, b"one\n")
    await stage.learn()
    stage.engine.calls.clear()
    begun = stage.loop.time()
    while not stage.frames:
        await asyncio.sleep(0)
    assert stage.loop.time() == begun
    assert stage.engine.calls == {"logs": 1 if is_exact else 2}
    stage.engine.write(stage.uid, b"two\nthree\n")
    await asyncio.sleep(1)
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"one\n", b"two\n", b"three\n"]


@on_virtual_time
async def test_the_log_of_a_job_that_is_over_at_once_is_read_at_once() -> None:
    stage = Stage()
    await stage.begin(knows=True)
    await asyncio.sleep(0.1)
    stage.engine.run(stage.uid)
    stage.engine.write(stage.uid, b"one\n")
    stage.engine.finish(stage.uid, 3)
    await stage.learn()
    begun = stage.loop.time()
    await stage.reading
    assert stage.loop.time() == begun
    assert [frame.data for frame in stage.frames] == [b"one\n"]
    assert stage.reader.job.exit_code == 3


@on_virtual_time
async def test_an_end_that_the_store_tells_wrongly_ends_nothing() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin(knows=True)
    stage.known[stage.uid] = replace(stage.known[stage.uid], status=Status.EXITED)
    stage.news.set()
    await asyncio.sleep(2)
    stage.engine.end_streams()
    await asyncio.sleep(2)
    assert not stage.reading.done()
    stage.engine.write(stage.uid, b"one\n")
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"one\n"]


@on_virtual_time
async def test_lines_that_were_rotated_away_between_two_readings_are_told_of() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    stage.keep_two()
    await stage.begin()
    stage.engine.write(stage.uid, b"1\n2\n")
    await asyncio.sleep(1)
    assert (stage.gaps, stage.reader.is_torn) == ([], False)
    stage.engine.cut_streams()
    stage.engine.write(stage.uid, b"3\n4\n5\n6\n")
    await asyncio.sleep(2)
    stage.engine.write(stage.uid, b"7\n")
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"1\n", b"2\n", b"5\n", b"6\n", b"7\n"]
    assert (stage.gaps, stage.reader.is_torn) == ([2], True)


@pytest.mark.parametrize(("written", "is_torn"), [(1, False), (2, True), (4, True)])
@on_virtual_time
async def test_a_beginning_that_may_have_been_rotated_away_is_told_of(
    written: int, is_torn: bool
) -> None:
    stage = Stage()
    stage.keep_two()
    await stage.begin(knows=True)
    await asyncio.sleep(0.1)
    stage.engine.run(stage.uid)
    for number in range(written):
        stage.engine.write(stage.uid, b"%d\n" % number)
    await asyncio.sleep(0.1)
    await stage.learn()
    await asyncio.sleep(1)
    for _ in range(9):
        stage.engine.write(stage.uid, b"later\n")
        await asyncio.sleep(0.01)
    await stage.finish()
    begun = [b"%d\n" % number for number in range(written)][-2:]
    assert [frame.data for frame in stage.frames] == begun + [b"later\n"] * 9
    assert (stage.gaps, stage.reader.is_torn) == ([], is_torn)


@on_virtual_time
async def test_what_a_slow_reader_has_yet_to_read_is_not_followed() -> None:
    """A follow that is not read skips files that are rotated meanwhile, and does not say so."""
    stage = Stage()
    stage.engine.run(stage.uid)
    stage.engine.get_log(stage.uid).ahead = 10
    await stage.begin()
    await asyncio.sleep(1)
    stage.pause = 0.3
    for number in range(1000):
        stage.engine.write(stage.uid, b"%d\n" % number)
        await asyncio.sleep(0.01)
    stage.pause = 0
    await asyncio.sleep(2)
    stage.engine.write(stage.uid, b"last\n")
    await stage.finish()
    assert len(stage.log) == 1001
    assert stage.frames == stage.log
    assert not stage.reader.is_torn


@pytest.mark.parametrize("runs", [False, True])
@on_virtual_time
async def test_two_hundred_logs_cost_the_engine_ten_inspects_a_second_while_there_is_no_news(
    runs: bool,
) -> None:
    stage = Stage()
    if runs:
        stage.engine.run(stage.uid)
    await stage.begin(knows=True, count=200)
    await asyncio.sleep(5)
    stage.engine.calls.clear()
    await asyncio.sleep(100)
    assert stage.engine.calls["inspect"] <= 5
    if not runs:
        stage.engine.run(stage.uid)
        await stage.learn()
    stage.engine.write(stage.uid, b"one\n")
    await asyncio.sleep(2)
    assert [frame.data for frame in stage.frames] == [b"one\n"]
    await stage.finish()


@on_virtual_time
async def test_a_pending_job_that_is_not_followed_has_an_empty_log() -> None:
    stage = Stage(LogQuery())
    await stage.begin()
    await stage.reading
    assert stage.frames == []


@on_virtual_time
async def test_what_comes_after_a_tail_is_read_whole() -> None:
    for tail in (0, 2):
        stage = Stage(LogQuery(follow=True, tail=tail))
        stage.engine.run(stage.uid)
        stage.engine.write(stage.uid, b"1\n2\n3\n")
        await asyncio.sleep(1)
        await stage.begin()
        await asyncio.sleep(1)
        stage.engine.cut_streams()
        stage.engine.write(stage.uid, b"4\n5\n6\n")
        await asyncio.sleep(3)
        await stage.finish()
        assert (
            b"".join(frame.data for frame in stage.frames) == b"1\n2\n3\n4\n5\n6\n"[6 - 2 * tail :]
        )


@on_virtual_time
async def test_a_follow_without_a_past_that_breaks_off_at_once_loses_nothing() -> None:
    stage = Stage(LogQuery(follow=True, tail=0))
    stage.engine.run(stage.uid)
    stage.engine.write(stage.uid, b"before\n")
    await asyncio.sleep(1)
    await stage.begin()
    await asyncio.sleep(0.1)
    stage.engine.cut_streams()
    for line in (b"meanwhile\n", b"after\n"):
        stage.engine.write(stage.uid, line)
        await asyncio.sleep(1.2)
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"meanwhile\n", b"after\n"]


@on_virtual_time
async def test_of_one_stream_only_that_is_read() -> None:
    stage = Stage(LogQuery(follow=True, stream=ERR))
    stage.engine.run(stage.uid)
    await stage.begin()
    stage.engine.write(stage.uid, b"out\n")
    stage.engine.write(stage.uid, b"err\n", ERR)
    await asyncio.sleep(1)
    stage.engine.cut_streams()
    await asyncio.sleep(1)
    await stage.finish()
    assert [frame.data for frame in stage.frames] == [b"err\n"]


@on_virtual_time
async def test_a_follow_until_a_time_ends_soon_after_it() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    stage = Stage(LogQuery(follow=True, until=loop.now_ns() + 10 * SECOND))
    stage.engine.run(stage.uid)
    await stage.begin()
    stage.engine.write(stage.uid, b"before\n")
    await asyncio.sleep(10.1)
    assert not stage.reading.done()
    stage.engine.write(stage.uid, b"after\n")
    async with asyncio.timeout(UNTIL_IT_ENDS):
        await stage.reading
    assert [frame.data for frame in stage.frames] == [b"before\n"]


@on_virtual_time
async def test_a_log_until_a_time_that_is_opened_anew_loses_nothing_to_what_came_later() -> None:
    """The engine takes a tail first, and of that what is not later."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    stage = Stage(LogQuery(until=loop.now_ns() + 10 * SECOND))
    stage.engine.run(stage.uid)
    for line in (b"one\n", b"two\n"):
        stage.engine.write(stage.uid, line)
        await asyncio.sleep(1)
    wanted = [*stage.log]
    await asyncio.sleep(20)
    for number in range(500):
        stage.engine.write(stage.uid, b"%d\n" % number)
    place = Place(stage.engine, await stage.learn(), stage.query)
    place.note(wanted[:1])
    opened = await place.open(follow=False)
    assert await opened.read() == wanted[1:]
    await opened.close()


@on_virtual_time
async def test_a_job_that_is_collected_ends_its_log_with_its_last_state() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin()
    stage.engine.write(stage.uid, b"one\n")
    await asyncio.sleep(1)
    stage.engine.finish(stage.uid, 3)
    stage.engine.destroy(stage.uid)
    async with asyncio.timeout(UNTIL_IT_ENDS):
        await stage.reading
    assert [frame.data for frame in stage.frames] == [b"one\n"]
    assert stage.reader.job.uid == stage.uid


@on_virtual_time
async def test_an_engine_that_stays_away_is_told() -> None:
    stage = Stage()
    stage.engine.run(stage.uid)
    await stage.begin()
    await asyncio.sleep(1)
    stage.engine.go_down()
    begun = stage.loop.time()
    with pytest.raises(EngineUnavailableError):
        await stage.reading
    assert 10 <= stage.loop.time() - begun <= 12


@on_virtual_time
async def test_a_log_that_breaks_off_each_time_is_told() -> None:
    stage = Stage(LogQuery())
    stage.engine.run(stage.uid)
    stage.engine.write(stage.uid, b"x\n")
    stage.engine.fail("logs", EngineInterruptedError("broken"), times=None)
    await stage.begin()
    with pytest.raises(EngineInterruptedError):
        await stage.reading


@on_virtual_time
async def test_a_driver_without_a_log_is_told_at_once() -> None:
    stage = Stage(LogConfig={"Type": "none"})
    stage.engine.run(stage.uid)
    await stage.begin()
    with pytest.raises(NoLogError):
        await stage.reading
