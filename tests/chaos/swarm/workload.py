"""The jobs of a run on a swarm: some ask to run again where their node is lost."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.chaos.workload import Task, Wish
from tests.chaos.workload import wish_jobs as wish_any

NOTE: Final = (
    "note() { read up rest < /proc/uptime; read -r root < /proc/mounts;"
    ' root="${root#*private-engine-}";'
    ' echo "$1 $JOB $HOSTNAME $up ${root%%/*}" >> /notes/log; }; '
)
"""Notes the folder of its node's engine, too, where its root file system lies."""
WEIGHTS: Final[Mapping[Task, int]] = {
    Task.SUCCEED: 30,
    Task.FAIL: 10,
    Task.INSTANT: 14,
    Task.STUBBORN: 6,
    Task.HUNGRY: 4,
    Task.LONG: 28,
    Task.BAD_COMMAND: 3,
    Task.VANISHING: 5,
}
"""More that last than on one engine: a node must die while they run."""
_RERUN_SHARE: Final = 0.4


def wish_jobs(seed: int, folder: Path) -> Iterator[Wish]:
    """Yield jobs without end, of each kind one first."""
    source = random.Random(f"reruns-{seed}")
    for wish in wish_any(seed, folder, WEIGHTS, NOTE):
        if source.random() < _RERUN_SHARE:
            job = {"OnNodeLoss": "Rerun"}
            yield replace(wish, document=wish.document | {"job": job}, rerun=True)
        else:
            yield wish
