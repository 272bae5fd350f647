"""``python -m tests.chaos --seconds S --seed N``: one run, its report, 1 if an invariant broke."""

import random
import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.report import report
from tests.chaos.run import run_chaos


@click.command(context_settings={"show_default": True})
@click.option("--seconds", type=click.FloatRange(min=10), default=60.0, help="How long, about.")
@click.option("--seed", type=int, default=None, show_default="random", help="What is random.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    show_default="a new file in the temporary folder",
    help="Where the history goes, JSON lines.",
)
def main(seconds: float, seed: int | None, history: Path | None) -> None:
    """Run the chaos suite once on an engine of its own."""
    chosen = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    path = history or Path(tempfile.mkdtemp(prefix="chaos-history-")) / f"{chosen}.jsonl"
    verdict = run_chaos(seconds, chosen, path, click.echo)
    for line in report(verdict):
        click.echo(line)
    sys.exit(1 if verdict.breaches else 0)


if __name__ == "__main__":
    main()
