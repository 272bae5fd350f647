"""``python -m tests.chaos --seconds S --seed N``: one run, its report, 1 if an invariant broke.

``--waits N`` has that many clients wait for the ends of jobs instead; ``--cancels`` has clients
cancel jobs, which have deadlines and queues. ``--engine swarm`` runs on three nodes.
"""

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from tests.chaos.cancel_run import report_cancels, run_cancels
from tests.chaos.report import Judged, report
from tests.chaos.run import run_chaos
from tests.chaos.swarm.report import report_swarm
from tests.chaos.swarm.run import run_swarm
from tests.chaos.wait_report import report_waits
from tests.chaos.wait_run import run_waits
from tests.chaos.waits import SECONDS_A_WAIT


@click.command(context_settings={"show_default": True})
@click.option(
    "--seconds",
    type=click.FloatRange(min=10),
    default=None,
    show_default="60, or with --waits as long as they take",
    help="How long, about.",
)
@click.option("--waits", type=click.IntRange(min=50), default=None, help="Waits for ends of jobs.")
@click.option("--cancels", is_flag=True, help="Cancels, deadlines and queues.")
@click.option(
    "--engine", type=click.Choice(["docker", "swarm"]), default="docker", help="What runs the jobs."
)
@click.option("--seed", type=int, default=None, show_default="random", help="What is random.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    show_default="a new file in the temporary folder",
    help="Where the history goes, JSON lines.",
)
def main(
    *,
    seconds: float | None,
    waits: int | None,
    cancels: bool,
    engine: str,
    seed: int | None,
    history: Path | None,
) -> None:
    """Run the chaos suite once on an engine, or a swarm, of its own."""
    if engine == "swarm" and (cancels or waits is not None):
        raise click.UsageError("--engine swarm has neither --waits nor --cancels")
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    path = history or Path(tempfile.mkdtemp(prefix="chaos-history-")) / f"{chosen}.jsonl"
    verdict, lines = _run(seconds, chosen, path, waits=waits, cancels=cancels, engine=engine)
    for line in lines:
        click.echo(line)
    sys.exit(1 if verdict.breaches else 0)


def _run(
    seconds: float | None,
    seed: int,
    path: Path,
    *,
    waits: int | None,
    cancels: bool,
    engine: str,
) -> tuple[Judged, Iterator[str]]:
    """Run what was asked for, and return the verdict and the lines that tell of it."""
    if engine == "swarm":
        on_swarm = run_swarm(seconds or 60.0, seed, path, click.echo)
        return on_swarm, report_swarm(on_swarm)
    if cancels:
        verdict = run_cancels(seconds or 60.0, seed, path, click.echo)
        return verdict, report_cancels(verdict)
    if waits is not None:
        length = seconds or max(60.0, waits * SECONDS_A_WAIT)
        verdict = run_waits(waits, length, seed, path, click.echo)
        return verdict, report_waits(verdict)
    verdict = run_chaos(seconds or 60.0, seed, path, click.echo)
    return verdict, report(verdict)


if __name__ == "__main__":
    main()
