"""How long a job waits for a start: with a free slot, and in a full queue."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from tests.bench.bare import Jobs, Record, create_all, run_queue, time_start
from tests.bench.measure import Interval, count_slots, find_gaps, find_peak, find_share
from tests.bench.report import (
    Findings,
    Row,
    at_least,
    at_most,
    relate,
    state,
    state_percentile,
    subtract,
)
from tests.bench.rig import Client, Rig, run_process
from tests.bench.svg import Series, draw_lines, make_distribution
from tests.support.proxy import FaultProxy

_START: Final = "start"
_HANDOVER: Final = "handover"
_SLOTS: Final = 4
_PATIENCE: Final = 600.0
_SILENT_PATIENCE: Final = 120.0


@dataclass(frozen=True, slots=True)
class Queue:
    """A full queue worked off: when each container ran.

    ``answers`` are the times from receiving ``die`` to the next start call, in ms; ``peak`` is
    the most containers that ran at once by the engine's events.
    """

    intervals: Sequence[Interval]
    answers: Sequence[float] = ()
    peak: int = 0

    def find_gaps(self, limit: int) -> list[float]:
        """Return from each FinishedAt to the StartedAt that took its slot, in ms."""
        ends = [interval.end / 1e6 for interval in self.intervals]
        starts = [interval.start / 1e6 for interval in self.intervals]
        return find_gaps(ends, starts, limit)


async def measure_start(rig: Rig) -> Findings:
    """Time 201 to StartedAt with a free slot beside the bare start call, by turns."""
    ours: list[float] = []
    bare: list[float] = []
    async with (
        run_process(rig.make_api()) as api,
        run_process(rig.make_controller(_SLOTS)),
        Client(api.url) as client,
        rig.bare.record() as record,
    ):
        for number, name in enumerate(rig.make_names("free", rig.scale.starts)):
            answered = await client.post(name)
            await record.wait_for("die", 2 * number + 1, _PATIENCE)
            ours.append(((await rig.bare.read_interval(name)).start - answered) / 1e6)
            bare.append(await time_start(rig.bare, f"bare-{name}") * 1e3)
            await record.wait_for("die", 2 * number + 2, _PATIENCE)
    await rig.bare.remove_all()
    rows = [
        relate(
            _START, "201 to StartedAt, beside start call", ours, bare, unit="ms", goal=at_most(1.2)
        ),
        state_percentile(_START, "201 to StartedAt, 99 %", ours, 0.99, unit="ms"),
        state_percentile(_START, "bare start call to StartedAt, 99 %", bare, 0.99, unit="ms"),
    ]
    picture = draw_lines(
        "From 201 to StartedAt with a free slot",
        "ms",
        "% of the jobs",
        [
            make_distribution("ours", ours),
            make_distribution("bare: start call to StartedAt", bare),
        ],
    )
    samples = {"started_after_ms.ours": ours, "started_after_ms.bare": bare}
    return Findings(rows, samples, {"start-latency.svg": picture})


async def measure_handover(rig: Rig) -> Findings:
    """Time how long a freed slot stays empty, ours beside the bare loop."""
    found: list[Findings] = []
    async with run_process(rig.make_api()) as api, Client(api.url) as client:
        for limit, count in rig.scale.queue.items():
            found.append(await _measure_gaps(rig, client, limit, count))
        found += [await _measure_slots(rig, client), await _measure_silent(rig, client)]
    return Findings(
        [row for one in found for row in one.rows],
        {name: values for one in found for name, values in one.samples.items()},
        {name: picture for one in found for name, picture in one.pictures.items()},
    )


async def _measure_gaps(rig: Rig, client: Client, limit: int, count: int) -> Findings:
    """Work off full queues by turns; a proxy slows a controller, so it is in runs of its own."""
    gaps: list[float] = []
    others: list[float] = []
    answers: list[float] = []
    peak = 0
    for _ in range(rig.scale.rounds):
        bare = await _run_bare_queue(rig, limit, rig.make_jobs("bare", count))
        others += bare.find_gaps(limit)
        ours = await run_our_queue(rig, client, limit, rig.make_jobs("ours", count))
        gaps += ours.find_gaps(limit)
        seen = await run_seen_queue(rig, client, limit, rig.make_jobs("seen", count))
        answers += seen.answers
        peak = max(peak, ours.peak, seen.peak)
    name = f"FinishedAt to next StartedAt at {limit}"
    rows = [
        subtract(_HANDOVER, name, gaps, others, unit="ms", goal=at_most(20)),
        *_describe_answers(limit, answers),
        state(_HANDOVER, f"most running at once at {limit}", peak, "containers", at_most(limit)),
    ]
    samples = {
        f"gap_ms.ours.{limit}": gaps,
        f"gap_ms.bare.{limit}": others,
        f"die_to_start_call_ms.{limit}": answers,
    }
    series = [make_distribution("ours", gaps), make_distribution("bare loop", others)]
    title = f"From FinishedAt to the next StartedAt, full queue, max-concurrent {limit}"
    picture = draw_lines(title, "ms", "% of the jobs", series)
    return Findings(rows, samples, {f"handover-{limit}.svg": picture})


def _describe_answers(limit: int, answers: Sequence[float]) -> list[Row]:
    name = f"die received to next start call at {limit}"
    return [
        state_percentile(_HANDOVER, f"{name}, median", answers, 0.5, unit="ms", goal=at_most(20)),
        state_percentile(_HANDOVER, f"{name}, 99 %", answers, 0.99, unit="ms", goal=at_most(100)),
    ]


async def _run_bare_queue(rig: Rig, limit: int, jobs: Jobs) -> Queue:
    ids = await create_all(rig.bare, jobs)
    await run_queue(rig.bare, ids, limit)
    intervals = await rig.bare.read_intervals(ids)
    await rig.bare.remove_all()
    return Queue(intervals)


async def run_our_queue(rig: Rig, client: Client, limit: int, jobs: Jobs) -> Queue:
    """Let a controller find a full queue and work it off."""
    await client.post_all(jobs, _SLOTS)
    async with (
        rig.bare.record() as record,
        run_process(rig.make_controller(limit)),
    ):
        await record.wait_for("die", len(jobs), _PATIENCE)
    return await _read_queue(rig, jobs, record)


async def run_seen_queue(rig: Rig, client: Client, limit: int, jobs: Jobs) -> Queue:
    """Do the same behind a proxy, which tells when the controller sends each start call."""
    await client.post_all(jobs, _SLOTS)
    with FaultProxy(rig.engine.host) as proxy:
        async with (
            rig.bare.record() as record,
            run_process(rig.make_controller(limit, host=proxy.host)),
        ):
            await record.wait_for("die", len(jobs), _PATIENCE)
        starts = [seen.time for seen in proxy.requests if seen.line.endswith("/start")]
    deaths = [seen.received for seen in record.find("die")]
    answers = [gap * 1e3 for gap in find_gaps(deaths, starts, limit)]
    return replace(await _read_queue(rig, jobs, record), answers=answers)


async def _measure_silent(rig: Rig, client: Client) -> Findings:
    """Let the event stream go silent: ticks alone must bring every job to its end."""
    count = rig.scale.silent
    await client.post_all(rig.make_jobs("silent", count), _SLOTS)
    with FaultProxy(rig.engine.host) as proxy:
        proxy.drop_events_silently()
        async with rig.bare.record() as record:
            begun = time.monotonic()
            async with run_process(rig.make_controller(_SLOTS, "-u", "1", host=proxy.host)):
                with suppress(TimeoutError):
                    await record.wait_for("die", count, _SILENT_PATIENCE)
            seconds = time.monotonic() - begun
        ended = len(record.find("die"))
    queue = await _read_queue(rig, [], record)
    name = f"event stream silent, ticks of 1 s, {count} jobs"
    rows = [
        state(_HANDOVER, f"{name}: ended", ended, f"jobs in {seconds:.0f} s", at_least(count)),
        state(_HANDOVER, f"{name}: at once", queue.peak, "containers", at_most(_SLOTS)),
    ]
    return Findings(rows)


async def _read_queue(rig: Rig, names: Iterable[str], record: Record) -> Queue:
    """Read when each container ran, and leave none behind."""
    intervals = await rig.bare.read_intervals(names)
    await rig.bare.remove_all()
    return Queue(intervals, peak=find_peak(record.find_intervals()))


async def _measure_slots(rig: Rig, client: Client) -> Findings:
    """Show slots in use with jobs long enough to be seen, of 0.6 to 1.4 s."""
    count = rig.scale.sleepers
    bare = await _run_bare_queue(rig, _SLOTS, _make_sleepers(rig, "bare", count))
    ours = await run_our_queue(rig, client, _SLOTS, _make_sleepers(rig, "ours", count))
    shares = [find_share(queue.intervals, _SLOTS) for queue in (ours, bare)]
    title = f"share of {_SLOTS} slots in use, jobs of 1 s"
    row = relate(_HANDOVER, title, [shares[0]], [shares[1]], unit="")
    series = [_plot_slots("ours", ours), _plot_slots("bare loop", bare)]
    picture = draw_lines(
        f"Slots in use, max-concurrent {_SLOTS}, jobs of about 1 s", "s", "slots in use", series
    )
    return Findings([row], {}, {"slots.svg": picture})


def _make_sleepers(rig: Rig, label: str, count: int) -> Jobs:
    """Return jobs of different lengths, so that their ends do not fall together."""
    names = rig.make_names(label, count)
    return {name: ("sleep", f"{0.6 + 0.2 * (rank % 5):.1f}") for rank, name in enumerate(names)}


def _plot_slots(name: str, queue: Queue) -> Series:
    changes = count_slots(queue.intervals)
    first = changes[0][0]
    return Series(name, [((moment - first) / 1e9, used) for moment, used in changes], steps=True)
