"""How long a job waits for a start: with a free slot, and in a full queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.bare import create_all, run_queue, time_start
from tests.bench.measure import Interval, count_slots, find_gaps, find_peak, find_share
from tests.bench.report import (
    Findings,
    Row,
    at_most,
    relate,
    state,
    state_percentile,
    subtract,
)
from tests.bench.rig import Client, Rig, make_api, make_controller, run_process
from tests.bench.svg import Series, draw_lines, make_distribution
from tests.support.proxy import FaultProxy

_START: Final = "start"
_HANDOVER: Final = "handover"
_SLOTS: Final = 4
_SLEEP: Final = ("sleep", "1")
_PATIENCE: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Queue:
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
        run_process(make_api(rig.engine.host)) as api,
        run_process(make_controller(rig.engine.host, _SLOTS)),
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
    rows: list[Row] = []
    samples: dict[str, object] = {}
    pictured: list[Series] = []
    async with run_process(make_api(rig.engine.host)) as api, Client(api.url) as client:
        for limit, count in rig.scale.queue.items():
            bare = await _run_bare_queue(rig, limit, count)
            ours = await _run_our_queue(rig, client, limit, count)
            gaps, others = ours.find_gaps(limit), bare.find_gaps(limit)
            name = f"FinishedAt to next StartedAt at {limit}"
            rows += [
                subtract(_HANDOVER, name, gaps, others, unit="ms", goal=at_most(20)),
                *_describe_answers(limit, ours.answers),
                state(_HANDOVER, f"most running at once at {limit}", ours.peak, "", at_most(limit)),
            ]
            samples |= {f"gap_ms.ours.{limit}": gaps, f"gap_ms.bare.{limit}": others}
            samples[f"die_to_start_call_ms.{limit}"] = ours.answers
            pictured += [
                make_distribution(f"ours at {limit}", gaps),
                make_distribution(f"bare loop at {limit}", others),
            ]
        slots = await _measure_slots(rig, client)
    picture = draw_lines(
        "From FinishedAt to the next StartedAt, full queue", "ms", "% of the jobs", pictured
    )
    return Findings(
        [*rows, *slots.rows], samples, {"handover.svg": picture, **dict(slots.pictures)}
    )


def _describe_answers(limit: int, answers: Sequence[float]) -> list[Row]:
    name = f"die received to next start call at {limit}"
    return [
        state_percentile(_HANDOVER, f"{name}, median", answers, 0.5, unit="ms", goal=at_most(20)),
        state_percentile(_HANDOVER, f"{name}, 99 %", answers, 0.99, unit="ms", goal=at_most(100)),
    ]


async def _run_bare_queue(
    rig: Rig, limit: int, count: int, command: Sequence[str] = ("true",)
) -> _Queue:
    ids = await create_all(rig.bare, rig.make_names("queued", count), command)
    await run_queue(rig.bare, ids, limit)
    intervals = await rig.bare.read_intervals(ids)
    await rig.bare.remove_all()
    return _Queue(intervals)


async def _run_our_queue(
    rig: Rig, client: Client, limit: int, count: int, command: Sequence[str] = ("true",)
) -> _Queue:
    """Let a controller find a full queue; a proxy before it tells when it sends each start."""
    names = rig.make_names("queued", count)
    await client.post_all(names, _SLOTS, command)
    with FaultProxy(rig.engine.host) as proxy:
        async with rig.bare.record() as record:
            async with run_process(make_controller(proxy.host, limit)):
                await record.wait_for("die", count, _PATIENCE)
            deaths = [seen.received for seen in record.find("die")]
            starts = [seen.time for seen in proxy.requests if seen.line.endswith("/start")]
            peak = find_peak(record.find_intervals())
    intervals = await rig.bare.read_intervals(names)
    await rig.bare.remove_all()
    answers = [gap * 1e3 for gap in find_gaps(deaths, starts, limit)]
    return _Queue(intervals, answers, peak)


async def _measure_slots(rig: Rig, client: Client) -> Findings:
    """Show slots in use with jobs long enough to be seen."""
    count = rig.scale.sleepers
    bare = await _run_bare_queue(rig, _SLOTS, count, _SLEEP)
    ours = await _run_our_queue(rig, client, _SLOTS, count, _SLEEP)
    shares = [find_share(queue.intervals, _SLOTS) for queue in (ours, bare)]
    title = f"share of {_SLOTS} slots in use, jobs of 1 s"
    row = relate(_HANDOVER, title, [shares[0]], [shares[1]], unit="")
    series = [_plot_slots("ours", ours), _plot_slots("bare loop", bare)]
    picture = draw_lines(
        f"Slots in use, max-concurrent {_SLOTS}, jobs of 1 s", "s", "slots in use", series
    )
    return Findings([row], {}, {"slots.svg": picture})


def _plot_slots(name: str, queue: _Queue) -> Series:
    changes = count_slots(queue.intervals)
    first = changes[0][0]
    return Series(name, [((moment - first) / 1e9, used) for moment, used in changes], steps=True)
