"""An hour's work for pictures of the page: jobs of every kind, as they are on a busy host."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from api.engine.interface import LogStream
from api.v1.times import SECOND, format_time
from tests.support.ui import Scene

QUEUES: Final = "\n---\n".join(
    f"apiVersion: docker-job-dispatcher/v1\nkind: Queue\nmetadata: {{name: {name}}}\nspec: {spec}"
    for name, spec in (
        ("etl", "{maxConcurrent: 1, weight: 2, maxPending: 500}"),
        ("gpu", "{maxConcurrent: 2, weight: 3}"),
        ("archive", "{paused: true}"),
        ("render", "{weight: 1}"),
    )
)
_ERR: Final = LogStream.STDERR
_STEPS: Final = ("load batch", "decode 480 frames", "resize to 640x360", "encode webp", "upload")
_KINDS: Final = (
    ("thumb", "registry.internal/media/thumbs:4.2", "render"),
    ("report", "registry.internal/data/report:2026.1", "etl"),
    ("import", "registry.internal/data/etl:5", "etl"),
    ("backup", "busybox:job", "default"),
)
_WAITS: Final = (
    ("train-resnet-fold-4", "gpu", "NoSlot", "no free slot (4 of 4 used), 0 ahead of it", 1),
    ("train-resnet-fold-5", "gpu", "NoSlot", "no free slot (4 of 4 used), 1 ahead of it", 2),
    ("report-2026-01-30", "etl", "QueueCap", "queue etl is full (1 of 1 used)", 1),
    ("migrate-archive", "archive", "QueuePaused", "queue archive is paused", 1),
)


class Play:
    """A scene, and by how many seconds ago it was what happens in it."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.uids: dict[str, str] = {}
        self._acts: list[tuple[float, int, Callable[[float], object]]] = []

    def at(self, ago: float, act: Callable[[float], object]) -> None:
        """Have something happen so many seconds ago."""
        self._acts.append((-ago, len(self._acts), act))

    def add(self, name: str, ago: float, **options: Any) -> None:
        """Have a job be recorded."""

        def act(ago: float) -> None:
            self.uids[name] = self.scene.add(name, ago=ago, **options)

        self.at(ago, act)

    def run(self, name: str, ago: float, write: Callable[[str], object] = lambda _: None) -> None:
        """Have a job start, and write its log."""

        def act(ago: float) -> None:
            self.scene.run(self.uids[name], ago)
            write(self.uids[name])

        self.at(ago, act)

    def finish(self, name: str, ago: float, code: int) -> None:
        """Have a job end."""
        self.at(ago, lambda ago: self.scene.finish(self.uids[name], code, ago=ago, oom=code == 137))

    def wait(
        self, name: str, reason: str, message: str, position: int, until: str | None = None
    ) -> None:
        """Have the controller say why a job waits."""
        wait = self.scene.controller.wait
        self.at(1, lambda _: wait(self.uids[name], reason, message, position, until))

    def play(self) -> Scene:
        """Have everything happen in order."""
        for negative, _, act in sorted(self._acts, key=lambda each: each[:2]):
            act(-negative)
        self.scene.clock.behind = 0.0
        return self.scene


def set_scene() -> Scene:
    """Return a scene whose jobs have come and gone within the last hour."""
    play = Play()
    add_past(play)
    add_present(play)
    return play.play()


def add_past(play: Play) -> None:
    """Fill three slots, and a fourth until half an hour ago."""
    dice = random.Random(7)
    free, until, number = [3600.0] * 4, [70.0, 70.0, 70.0, 1700.0], 0
    while any(free[lane] > until[lane] for lane in range(4)):
        lane = max(range(4), key=lambda each: free[each] - until[each])
        kind, image, queue = dice.choice(_KINDS)
        began = free[lane] - dice.uniform(0, 40)
        ended = began - (dice.uniform(6, 45) if kind == "thumb" else dice.uniform(20, 420))
        free[lane] = ended
        if ended < until[lane]:
            continue
        number += 1
        name = f"{kind}-2026-01-{1 + number % 28:02d}-{number:03d}"
        labels = {"team": "media" if queue == "render" else "data", "attempt": "1"}
        play.add(
            name,
            began + dice.uniform(1, 60),
            image=image,
            path=f"/job/{queue}",
            labels=labels,
            queue=queue,
        )
        play.run(name, began, partial(write_log, play.scene, name=name))
        play.finish(name, ended, dice.choices((0, 1, 137), (14, 2, 1))[0])


def add_present(play: Play) -> None:
    """Add what runs and waits now."""
    scene, etl = play.scene, "registry.internal/data/etl:5"
    train = {
        "image": "registry.internal/ml/train:12",
        "path": "/job/ml",
        "labels": {"team": "vision", "commit": "9f3c2ab"},
        "queue": "gpu",
        "priority": 50,
        "share": "ana",
    }
    play.add("train-resnet-fold-3", 1655, **train, run_for=7200 * SECOND)
    play.run("train-resnet-fold-3", 1611, lambda uid: write_training(scene, uid))
    play.add("thumb-2026-01-30-118", 95, image=_KINDS[0][1], path="/job/render", queue="render")
    play.run("thumb-2026-01-30-118", 61)
    play.add("import-orders-nightly", 58, image=etl, path="/job/etl", queue="etl")
    play.run("import-orders-nightly", 52, lambda uid: write_log(scene, uid, "import"))
    play.add("backup-2026-01-30", 40)
    play.run("backup-2026-01-30", 38)
    play.at(30, lambda _: scene.engine.pause("backup-2026-01-30"))
    for number, (name, queue, reason, message, position) in enumerate(_WAITS):
        image = train["image"] if queue == "gpu" else etl
        play.add(name, 34 - 4 * number, image=image, path=f"/job/{queue}", queue=queue)
        play.wait(name, reason, message, position)
    play.add("import-legacy-feed", 15, image=etl, path="/job/etl", queue="etl")
    error = 'exec: "/opt/feed": no such file or directory'
    play.at(9, lambda _: scene.engine.edit("import-legacy-feed", error=error))
    later = datetime.now(UTC) + timedelta(seconds=42)
    until = format_time(int(later.timestamp()) * SECOND)
    text = f"StartError, next attempt at {later:%H:%M:%S} (attempt 3): {error}"
    play.wait("import-legacy-feed", "StartError", text, 2, until)
    scene.controller.used = scene.controller.allowed = 4


def list_slots(scene: Scene) -> list[dict[str, Any]]:
    """Return what ``/ui/slots`` answers of a scene."""
    found = (scene.engine.get(name) for name in scene.engine.names())
    return [
        {
            "uid": job.id,
            "id": job.name,
            "queue": job.labels.get("docker-job-dispatcher.queue") or "default",
            "phase": "Running"
            if job.finished_at is None
            else ("Failed" if job.exit_code else "Succeeded"),
            "started": format_time(job.started_at),
            "ended": format_time(job.finished_at),
        }
        for job in found
        if job.started_at is not None
    ]


def write_log(scene: Scene, uid: str, name: str) -> None:
    """Write some lines in the colours of a common logger."""
    lines = [f"\x1b[2m{name}\x1b[0m \x1b[32mINFO\x1b[0m  {step} …\n" for step in _STEPS]
    scene.engine.write(uid, "".join(lines).encode())
    scene.engine.write(uid, b"warning: 2 frames without a timestamp, skipped\n", _ERR)
    scene.engine.write(uid, "\x1b[1;32m✓ done\x1b[0m in \x1b[36m18.2 s\x1b[0m\n".encode())


def write_training(scene: Scene, uid: str) -> None:
    """Write what a training says: progress by carriage returns, figures, a warning."""
    write = scene.engine.write
    write(uid, b"\x1b[1mResNet-50\x1b[0m, fold 3 of 5, \x1b[36mcuda:0\x1b[0m, 25.6 M parameters\n")
    write(uid, b"UserWarning: lr_scheduler.step() before optimizer.step()\n", _ERR)
    for epoch in range(1, 15):
        bars = [
            f"epoch {epoch:>2}: {part:>3}%|{'█' * (part // 5):<20}|" for part in range(0, 101, 10)
        ]
        write(uid, "\r".join(bars).encode() + b" 391/391 [01:42<00:00, 3.81it/s]\n")
        loss, accuracy = 2.1 / epoch**0.5, 0.62 + 0.02 * epoch
        figures = f"loss \x1b[33m{loss:.4f}\x1b[0m  val_acc \x1b[32m{accuracy:.3f}\x1b[0m"
        write(uid, f"         {figures}\n".encode())
