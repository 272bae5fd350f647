"""The jobs of a run: a filter config that takes them and a seeded stream of documents."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tests.support.private_engine import IMAGE

_MEBIBYTE = 1 << 20


class Task(StrEnum):
    """What a job does."""

    SUCCEED = "succeed"
    FAIL = "fail"
    INSTANT = "instant"  # exits at once
    STUBBORN = "stubborn"  # ignores SIGTERM
    HUNGRY = "hungry"  # runs out of memory
    LONG = "long"
    FLAKY = "flaky"  # fails, and the engine restarts it twice
    BAD_COMMAND = "bad-command"
    NO_NETWORK = "no-network"
    VANISHING = "vanishing"  # its bind source is away for a while


NOTE = 'note() { read up rest < /proc/uptime; echo "$1 $JOB $HOSTNAME $up" >> /notes/log; }; '
"""How a job notes its start and its end."""
CANNOT_START = frozenset({Task.BAD_COMMAND, Task.NO_NETWORK})
WEIGHTS: Final[Mapping[Task, int]] = {
    Task.SUCCEED: 30,
    Task.FAIL: 10,
    Task.INSTANT: 22,
    Task.STUBBORN: 6,
    Task.HUNGRY: 6,
    Task.LONG: 6,
    Task.FLAKY: 8,
    Task.BAD_COMMAND: 3,
    Task.NO_NETWORK: 3,
    Task.VANISHING: 6,
}
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that a client posts: ``document`` goes to the API as it is.

    ``rerun``: it asks to run again where its node is lost.
    """

    name: str
    task: Task
    document: dict[str, Any]
    rerun: bool = False

    @property
    def retries(self) -> int:
        """How often the engine runs it again by its restart policy."""
        return _RETRIES if self.task is Task.FLAKY else 0

    @property
    def must_start(self) -> bool:
        """Tell whether it can start, at once or later."""
        return self.task not in CANNOT_START


def wish_jobs(
    seed: int, folder: Path, weights: Mapping[Task, int] = WEIGHTS, note: str = NOTE
) -> Iterator[Wish]:
    """Yield jobs without end. Every kind comes once first, so that short runs have them all."""
    source = random.Random(f"jobs-{seed}")
    first = list(weights)
    source.shuffle(first)
    number = 0
    while True:
        task = (
            first[number]
            if number < len(first)
            else source.choices(list(weights), list(weights.values()))[0]
        )
        yield make_wish(f"chaos-{number:05d}", task, folder, source, note)
        number += 1


def make_wish(name: str, task: Task, folder: Path, source: random.Random, note: str = NOTE) -> Wish:
    """Make one job; what it mounts lies in ``folder``."""
    binds = [f"{folder}/notes:/notes"]
    host: dict[str, Any] = {}
    match task:
        case Task.SUCCEED:
            body = f"sleep {source.uniform(0.1, 1.5):.2f}"
        case Task.FAIL:
            body = f"sleep {source.uniform(0.0, 0.5):.2f}; note stop; exit 3"
        case Task.STUBBORN:
            body = f'trap "" TERM INT; sleep {source.uniform(0.5, 2):.2f}'
        case Task.HUNGRY:
            body = "tail /dev/zero"
            host = {"Memory": 8 * _MEBIBYTE}
        case Task.LONG:
            body = f"sleep {source.uniform(4, 8):.2f}"
        case Task.FLAKY:
            body = "note stop; exit 1"
            host = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": _RETRIES}}
        case Task.NO_NETWORK:
            body, host = "true", {"NetworkMode": "no-such-network"}
        case Task.VANISHING:
            body = "true"
            host = {
                "Mounts": [
                    {"Type": "bind", "Source": f"{folder}/sources/{name}", "Target": "/source"}
                ]
            }
        case _:
            body = "true"
    script = f"{note}note start; {body}; note stop"
    command = ["/no/such/command"] if task is Task.BAD_COMMAND else ["sh", "-c", script]
    document = {"id": name, "command": command, "host": {"Binds": binds, **host}}
    return Wish(name, task, document)


def write_filter(folder: Path, allowed: Path) -> Path:
    """Write the filter config that takes these documents; return its path."""
    config = {
        "apiVersion": "docker-job-dispatcher/v1",
        "kind": "Filter",
        "metadata": {"name": "chaos"},
        "spec": {
            "path": "/job",
            "filter": (
                f'{{Name: .id, Image: (.image // "{IMAGE}"), Cmd: .command, Env: ["JOB=\\(.id)"],'
                " StopTimeout: 2, HostConfig: .host} + if .job then {Job: .job} else {} end"
            ),
            "admission": {"allow": {"hostPaths": [str(allowed)]}},
        },
    }
    path = folder / "chaos.yaml"
    path.write_text(json.dumps(config, indent=2))
    return path
