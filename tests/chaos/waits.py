"""What a run of waits asks for: jobs of 0 to 2 s with exit codes of all kinds, and who waits."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tests.chaos.stage import NOTING

WAITS_A_JOB: Final = 8
SECONDS_A_WAIT: Final = 0.06
"""How much longer a run is meant to take for each wait."""

_MEBIBYTE: Final = 1 << 20
_CODES: Final = (1, 2, 3, 42, 100, 124, 125, 126, 127, 128, 130, 137, 139, 143, 254, 255)
_SHORT: Final = ("0", "0.2", "0.5", "1", "2")
_LONG: Final = ("10", "20s", "30", "1m", "90s")
_ENDLESS: Final = ("1", "5", "10")
"""Of a job that never runs: all of these waits take their whole time."""


class Task(StrEnum):
    """What a job does."""

    SUCCEED = "succeed"
    FAIL = "fail"
    AT_ONCE = "at-once"  # exits at once, with 0
    FAIL_AT_ONCE = "fail-at-once"
    HUNGRY = "hungry"  # runs out of memory
    RECOVERS = "recovers"  # fails, is restarted by the engine, and succeeds
    FLAKY = "flaky"  # fails, is restarted by the engine once, and fails
    BAD_COMMAND = "bad-command"  # never starts


_WEIGHTS: Final = {
    Task.SUCCEED: 40,
    Task.FAIL: 28,
    Task.AT_ONCE: 12,
    Task.FAIL_AT_ONCE: 10,
    Task.HUNGRY: 3,
    Task.RECOVERS: 3,
    Task.FLAKY: 3,
    Task.BAD_COMMAND: 1,
}


class Kind(StrEnum):
    """How and when somebody waits."""

    POST = "post"  # by the POST that records the job
    REPEAT = "repeat"  # by the same POST once more, while the job may be there
    EARLY = "early"  # from about the time of the POST on
    BY_ID = "by-id"
    BY_UID = "by-uid"
    LATE = "late"  # begins once another has been told of the end
    UNKNOWN = "unknown"  # for an id that nobody has


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait for at most ``seconds`` (as the API takes them), begun ``after`` some seconds.

    They count from the answer to the POST; of a late one, from the first answer that the job is
    over; of one that begins early, from the sending of the POST.
    """

    number: int
    kind: Kind
    seconds: str
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class WaitedJob:
    """A job that is posted, and all who wait for it; ``code`` is what it exits with by itself.

    ``code`` is None of one that never runs.
    """

    name: str
    task: Task
    code: int | None
    document: dict[str, Any]
    waits: tuple[Wait, ...]

    @property
    def retries(self) -> int:
        """How often the engine runs it again by its restart policy."""
        return int(self.task in {Task.RECOVERS, Task.FLAKY})

    @property
    def must_start(self) -> bool:
        """Tell whether it can start."""
        return self.task is not Task.BAD_COMMAND


def plan_jobs(seed: int, waits: int, folder: Path) -> Iterator[WaitedJob]:
    """Yield jobs that have ``waits`` waits together; what they mount lies in ``folder``.

    Each kind comes once first, so that short runs have them all.
    """
    source = random.Random(f"waits-{seed}")
    first = list(Task)
    source.shuffle(first)
    number = begun = 0
    while begun < waits:
        task = (
            first[number]
            if number < len(first)
            else source.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        )
        count = min(WAITS_A_JOB + source.randint(-2, 2), waits - begun)
        long = _ENDLESS if task is Task.BAD_COMMAND else _LONG
        planned = tuple(_plan_waits(range(begun, begun + count), long, source))
        yield _make_job(f"waited-{number:05d}", task, planned, folder, source)
        number += 1
        begun += count


def read_seconds(text: str) -> float:
    """Return the seconds that a wait's parameter means."""
    return float(text.rstrip("sm")) * (60 if text.endswith("m") else 1)


def _make_job(
    name: str, task: Task, waits: tuple[Wait, ...], folder: Path, source: random.Random
) -> WaitedJob:
    code: int | None = source.choice(_CODES)
    host: dict[str, Any] = {"Binds": [f"{folder}/notes:/notes"]}
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    pause = f"sleep {source.uniform(0.0, 2.0):.2f}; "
    match task:
        case Task.SUCCEED | Task.AT_ONCE:
            code = 0
        case Task.HUNGRY:
            code, host = 137, {**host, "Memory": 8 * _MEBIBYTE}
        case Task.RECOVERS:
            code, host = 0, {**host, "RestartPolicy": policy}
        case Task.FLAKY:
            host = {**host, "RestartPolicy": policy}
        case Task.BAD_COMMAND:
            code = None
    bodies = {
        Task.AT_ONCE: "",
        Task.FAIL_AT_ONCE: "",
        Task.HUNGRY: "tail /dev/zero; ",
        Task.RECOVERS: "[ -e /notes/$JOB ] || { : > /notes/$JOB; exit 7; }; ",
    }
    body = bodies.get(task, pause) + f"exit {code}"
    command = ["/no/such/command"]
    if task is not Task.BAD_COMMAND:
        command = ["sh", "-c", NOTING.replace("{body}", body)]
    document = {"id": name, "command": command, "host": host}
    return WaitedJob(name, task, code, document, waits)


def _plan_waits(numbers: range, long: tuple[str, ...], source: random.Random) -> Iterator[Wait]:
    """Yield the waits for one job: most in its life, some before it and some after its end."""
    kinds = [source.choice([Kind.POST, Kind.POST, Kind.BY_ID]), Kind.BY_ID, Kind.BY_UID]
    kinds += source.choices(
        [Kind.BY_ID, Kind.BY_UID, Kind.LATE, Kind.EARLY, Kind.REPEAT, Kind.UNKNOWN],
        [30, 25, 25, 8, 6, 2],
        k=max(0, len(numbers) - len(kinds)),
    )
    for number, kind in zip(numbers, kinds, strict=False):
        is_long = source.random() < (0.85 if kind in {Kind.POST, Kind.UNKNOWN} else 0.6)
        seconds = source.choice(long if is_long else _SHORT)
        longest = {Kind.EARLY: 0.1, Kind.REPEAT: 1.0, Kind.LATE: 5.0}.get(kind, 4.0)
        # many begin together, others in the middle of its life
        after = 0.0 if source.random() < 0.3 else source.uniform(0.0, longest)
        yield Wait(number, kind, seconds, after)
