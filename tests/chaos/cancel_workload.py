"""The jobs of a run of cancels: in queues, with priorities and deadlines, most of them long."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.workload import NOTE
from tests.support.private_engine import IMAGE

CAPS: Final[Mapping[str, int | None]] = {"default": None, "etl": 1, "web": 2}
"""The queues, and how many jobs of each may run at once."""
STOP_TIMEOUT: Final = 2
"""Seconds that a job has for its end where its cancel says nothing of that."""

_SCRIPTS: Final = {
    "quick": "sleep {short}",
    "obedient": "trap 'exit 3' TERM; i=0; while [ $i -lt {long} ]; do sleep 0.1; i=$((i+1)); done",
    "stubborn": "trap '' TERM INT; sleep {short}; sleep {short}; sleep {short}",
    "endless": "trap 'exit 4' TERM; while :; do sleep 0.1; done",
}
_WEIGHTS: Final = {"quick": 45, "obedient": 30, "stubborn": 15, "endless": 10}


@dataclass(frozen=True, slots=True)
class SteeredJob:
    """A job to be posted: ``document`` goes to the API; deadlines are in seconds."""

    name: str
    task: str
    document: Mapping[str, Any] = field(hash=False)
    queue: str
    run_for: float | None
    start_by: float | None


def plan_jobs(seed: int, folder: Path) -> Iterator[SteeredJob]:
    """Yield jobs without end; what is endless has a time to run, for it may not be cancelled."""
    source = random.Random(f"steered-{seed}")
    number = 0
    while True:
        task = source.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        yield _make_job(f"chaos-{number:05d}", task, folder, source)
        number += 1


def _make_job(name: str, task: str, folder: Path, source: random.Random) -> SteeredJob:
    numbers = {"short": f"{source.uniform(0.1, 1.2):.2f}", "long": source.randint(20, 120)}
    script = f"{NOTE}note start; {_SCRIPTS[task].format(**numbers)}; note stop"
    is_bounded = task == "endless" or source.random() < 0.2
    run_for = round(source.uniform(0.5, 4), 1) if is_bounded else None
    start_by = round(source.uniform(1, 15), 1) if source.random() < 0.2 else None
    wish: dict[str, Any] = {
        "Queue": source.choice(list(CAPS)),
        "Priority": source.choice([0, 0, 0, 10, -10]),
        "Share": source.choice(["ann", "bob", ""]),
        **({} if run_for is None else {"RunFor": run_for}),
        **({} if start_by is None else {"StartBy": start_by}),
        **({"KeepFor": 1} if source.random() < 0.2 else {}),
    }
    document = {
        "id": name,
        "command": ["sh", "-c", script],
        "host": {"Binds": [f"{folder}/notes:/notes"]},
        "job": wish,
    }
    return SteeredJob(name, task, document, wish["Queue"], run_for, start_by)


def write_configs(folder: Path, allowed: Path) -> None:
    """Write the filter and the queues of a run."""
    api_version = "docker-job-dispatcher/v1"
    config = {
        "apiVersion": api_version,
        "kind": "Filter",
        "metadata": {"name": "steered"},
        "spec": {
            "path": "/job",
            "filter": (
                f'{{Name: .id, Image: "{IMAGE}", Cmd: .command, Env: ["JOB=\\(.id)"],'
                f" StopTimeout: {STOP_TIMEOUT}, HostConfig: .host, Job: .job}}"
            ),
            "admission": {"allow": {"hostPaths": [str(allowed)]}},
        },
    }
    (folder / "steered.yaml").write_text(json.dumps(config, indent=2))
    for name, cap in CAPS.items():
        queue = {
            "apiVersion": api_version,
            "kind": "Queue",
            "metadata": {"name": name},
            "spec": {} if cap is None else {"maxConcurrent": cap, "weight": cap},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(queue))
