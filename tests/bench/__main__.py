"""Measure this product beside the bare engine; see ``hack/bench --help``."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tests.bench import command, compare, cost, idle, latency, requests, see, steer, throughput
from tests.bench.report import Findings, describe_machine, format_json, format_table
from tests.bench.rig import FULL, QUICK, Rig, open_rig
from tests.bench.simulate import simulate
from tests.bench.swarm import footprint as swarm_footprint
from tests.bench.swarm import handover as swarm_handover
from tests.bench.swarm import throughput as swarm_throughput
from tests.bench.swarm.rig import SCALES, SwarmRig, open_swarm_rig

_ON_ONE_ENGINE: dict[str, Callable[[Rig], Awaitable[Findings]]] = {
    "throughput": throughput.measure,
    "start": latency.measure_start,
    "handover": latency.measure_handover,
    "requests": requests.measure,
}
_ON_SWARM: dict[str, Callable[[SwarmRig], Awaitable[Findings]]] = {
    "throughput": swarm_throughput.measure,
    "handover": swarm_handover.measure,
}
_FOOTPRINT = "footprint"
_PARTS = (*_ON_ONE_ENGINE, _FOOTPRINT)
_SWARM_PARTS = (*_ON_SWARM, _FOOTPRINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON and pictures; return 1 if a goal was missed."""
    options = _read_options(arguments)
    machine: dict[str, object] = {}
    findings: list[Findings] = []
    try:
        run = _run_on_swarm if options.engine == "swarm" else _run
        asyncio.run(run(options, machine, findings))
    finally:
        # What was measured before a part failed is told all the same.
        missed = _report(options, machine, findings)
    return 1 if missed else 0


def _report(
    options: argparse.Namespace, machine: dict[str, object], findings: Sequence[Findings]
) -> int:
    """Print and write everything; return the number of goals missed."""
    rows = [row for found in findings for row in found.rows]
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    target = options.json or out / (_name_file(options))
    target.write_text(format_json(machine, findings))
    for found in findings:
        for name, picture in found.pictures.items():
            (out / name).write_text(picture)
    missed = sum(row.is_met is False for row in rows)
    sys.stdout.write(f"{format_table(rows)}\n{missed} goals missed; {target}, pictures in {out}\n")
    return missed


def _name_file(options: argparse.Namespace) -> str:
    if options.simulate:
        return "simulate.json"
    if options.engine == "swarm":
        return "swarm.json"
    return f"{options.instead or 'bench'}.json"


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/bench",
        description="Measure API and controller beside the bare engine, on a private engine.",
    )
    parser.add_argument(
        "instead",
        nargs="?",
        choices=["command", "cost", "see", "steer"],
        help="cost: instead, processor time by process, in units of the bare engine's, in 2"
        " minutes; see: instead, lists, streams and memory, on an engine in memory, in 2 minutes;"
        " steer: instead, cancels of running jobs and of thousands that wait; command: instead,"
        " docker-job ls beside docker ps, of a thousand jobs in memory",
    )
    parser.add_argument(
        "--engine",
        choices=["docker", "swarm"],
        default="docker",
        help=f"swarm: on three nodes, beside bare calls to them; {', '.join(_SWARM_PARTS)}",
    )
    parser.add_argument("--quick", action="store_true", help="small samples, in 2 to 3 minutes")
    parser.add_argument(
        "--only", action="append", choices=_PARTS, metavar="PART", help=_say_parts()
    )
    parser.add_argument(
        "--simulate", type=int, metavar="N", help="instead: planner and informer alone, N jobs"
    )
    parser.add_argument(
        "--queues", type=int, default=1, metavar="N", help="with --simulate: spread over N queues"
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="DIR",
        help="instead: compare with the checkout in DIR, by turns; it needs a .venv of its own;"
        " with cost or see: measure that one",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: bench.json in DIR")
    parser.add_argument(
        "--out", type=Path, default=Path(".run/bench"), metavar="DIR", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    if options.engine == "swarm":
        if options.instead or options.simulate or options.beside:
            parser.error("--engine swarm is measured by itself")
        if strange := set(options.only or ()) - {*_SWARM_PARTS}:
            parser.error(f"not measured on a swarm: {', '.join(sorted(strange))}")
    return options


def _say_parts() -> str:
    return f"one of {', '.join(_PARTS)}; may be given several times; default: all"


async def _run(
    options: argparse.Namespace, machine: dict[str, object], findings: list[Findings]
) -> None:
    if options.simulate:
        machine |= describe_machine("in memory")
        findings.append(await simulate(options.simulate, options.queues))
        return
    root = options.beside and options.beside.resolve()
    if options.instead == "see":
        machine |= describe_machine("in memory")
        findings.append(await see.measure(root))
        return
    if options.instead == "command":
        machine |= describe_machine("in memory")
        findings.append(await command.measure())
        return
    if options.instead == "cost":
        version, found = await cost.measure(root)
        machine |= describe_machine(version)
        findings.append(found)
        return
    if root:
        scale = QUICK if options.quick else FULL
        findings.append(await compare.measure(scale, root, options.only))
        return
    scale, parts = QUICK if options.quick else FULL, options.only or _PARTS
    async with open_rig(scale) as rig:
        version = (await rig.bare.call("GET", "/version"))["Version"]
        machine |= describe_machine(version) | {"scale": "quick" if options.quick else "full"}
        if options.instead == "steer":
            findings.append(await steer.measure(rig))
            return
        for name, measure in _ON_ONE_ENGINE.items():
            if name in parts:
                _say(name)
                findings.append(await measure(rig))
    if _FOOTPRINT in parts:
        _say(_FOOTPRINT)
        findings.append(await idle.measure(scale))


async def _run_on_swarm(
    options: argparse.Namespace, machine: dict[str, object], findings: list[Findings]
) -> None:
    size = "quick" if options.quick else "full"
    scale, parts = SCALES[size], options.only or _SWARM_PARTS
    async with open_swarm_rig(scale) as rig:
        version = (await rig.bare.call("GET", "/version"))["Version"]
        nodes = len(rig.nodes)
        machine |= describe_machine(version) | {"scale": size, "nodes": nodes}
        for name, measure in _ON_SWARM.items():
            if name in parts:
                _say(name)
                findings.append(await measure(rig))
    if _FOOTPRINT in parts:
        _say(_FOOTPRINT)
        findings.append(await swarm_footprint.measure(scale))


def _say(part: str) -> None:
    sys.stderr.write(f"measuring {part}\n")


if __name__ == "__main__":
    sys.exit(main())
