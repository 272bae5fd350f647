"""Cancels, deadlines and queues on a real engine, carried out by the controller's process."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.engine.docker.engine import DockerEngine
from api.v1.condition import derive_condition
from api.v1.job import Job, Status
from api.v1.mark import Mark, name_mark
from api.v1.spec import JobSpec, encode
from api.v1.times import SECOND
from api.v1.wishes import Wishes
from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ControllerProcess
from tests.support.waiting import until

TRAP = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"
PATIENCE = 30.0


class Jobs:
    """Records jobs and cancels as the API does, and reads what becomes of them."""

    def __init__(self, engine: DockerEngine, space: str) -> None:
        self._engine = engine
        self._space = space
        self.uids: dict[str, str] = {}

    async def add(self, name: str, script: str, **wishes: Any) -> None:
        spec = JobSpec("/job", wishes=Wishes(**wishes))
        name = f"{self._space}-{name}"
        labels = encode(spec, namespace=self._space, job_id=name, labels={}, nonce=name)
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", script], "Labels": labels}
        created = await self._engine.create(name, body)
        self.uids[name.removeprefix(f"{self._space}-")] = created.uid

    async def cancel(self, name: str, **fields: Any) -> None:
        uid = self.uids[name]
        await self._engine.create_mark(name_mark(uid), Mark("", uid, self._engine.now(), **fields))

    async def read(self, name: str) -> Job | None:
        return (await self.read_all()).get(name)

    async def read_all(self) -> dict[str, Job]:
        found = {job.uid: job for job in await self._engine.list()}
        return {name: found[uid] for name, uid in self.uids.items() if uid in found}

    async def until(self, name: str, status: Status | None) -> Job | None:
        """Wait until a job has a status, or is gone; return what an inspect shows of it then."""
        async with asyncio.timeout(PATIENCE):
            while True:
                job = await self.read(name)
                if (None if job is None else job.status) is status:
                    return None if job is None else await self._engine.inspect(job.uid)
                await asyncio.sleep(0.02)

    async def count_marks(self) -> int:
        marks: list[Mark] = []
        await self._engine.list(on_mark=marks.append)
        return len(marks)


@pytest.fixture
def jobs(docker_engine: DockerEngine, namespace: str) -> Jobs:
    return Jobs(docker_engine, namespace)


async def test_a_cancel_stops_what_runs_and_keeps_from_running_what_waits(
    private_engine: PrivateEngine, jobs: Jobs, namespace: str, tmp_path: Path
) -> None:
    for name, script in (("traps", TRAP), ("deaf", DEAF), ("paused", TRAP), ("restarts", "exit 1")):
        await jobs.add(name, script)
    private_engine.docker("update", "--restart", "always", jobs.uids["restarts"])
    options = ("--lock-dir", str(tmp_path), "-m", "4", "-u", "60")
    with ControllerProcess(private_engine.host, namespace, *options):
        for name in ("traps", "deaf", "paused"):
            await jobs.until(name, Status.RUNNING)
        # it runs before its shell has come to the trap
        await until(lambda: private_engine.docker("logs", jobs.uids["traps"]).stdout == "ready\n")
        private_engine.docker("pause", jobs.uids["paused"])
        await jobs.add("waits", "true")
        await jobs.cancel("waits", why="not wanted")
        # nothing can start a mark, and it stays one
        by_hand = private_engine.docker("start", name_mark(jobs.uids["waits"]), check=False)
        assert by_hand.returncode != 0
        for name in ("traps", "deaf", "paused", "restarts"):
            await jobs.cancel(name, grace=1)
        ends = {name: await jobs.until(name, Status.EXITED) for name in ("traps", "deaf", "paused")}
        codes = {name: job.exit_code for name, job in ends.items() if job is not None}
        assert codes.pop("paused") in {3, 137}  # it may be told to end once it is thawed
        assert codes == {"traps": 3, "deaf": 137}
        await jobs.until("restarts", Status.EXITED)
        # four slots are free: a start would have come at once
        await jobs.add("after", "true")
        await jobs.until("after", Status.EXITED)
        waits = await jobs.until("waits", Status.CREATED)
        assert waits is not None
        assert not waits.started
        await jobs.add("purged", TRAP)
        await jobs.until("purged", Status.RUNNING)
        marks = await jobs.count_marks()
        await jobs.cancel("purged", purge=True)
        await jobs.until("purged", None)
        async with asyncio.timeout(PATIENCE):
            while await jobs.count_marks() != marks:
                await asyncio.sleep(0.1)


async def test_deadlines_hold(
    private_engine: PrivateEngine, jobs: Jobs, namespace: str, tmp_path: Path
) -> None:
    await jobs.add("runs", TRAP, run_for=6 * SECOND)
    options = ("--lock-dir", str(tmp_path), "-m", "1", "-u", "60")
    with ControllerProcess(private_engine.host, namespace, *options):
        await jobs.until("runs", Status.RUNNING)
        await jobs.add("late", "true", start_by=SECOND, keep_for=2 * SECOND)
        runs = await jobs.until("runs", Status.EXITED)
        assert runs is not None
        assert runs.exit_code == 3
        assert derive_condition(runs, runs.finished_at or 0).reason == "DeadlineExceeded"
        late = await jobs.read("late")
        assert late is None or not late.started
        await jobs.until("late", None)
    assert (await jobs.read("runs")) is not None


QUEUE = """
apiVersion: docker-job-dispatcher/v1
kind: Queue
metadata: {{name: etl}}
spec: {{maxConcurrent: {most}, paused: {paused}}}
"""


async def test_a_queues_cap_holds_and_follows_its_file(
    private_engine: PrivateEngine, jobs: Jobs, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUE.format(most=1, paused="true"))
    options = ("--lock-dir", str(tmp_path), "--queues", str(file), "-u", "60")
    with ControllerProcess(private_engine.host, namespace, *options) as controller:
        for number in range(3):
            await jobs.add(f"etl{number}", "sleep 0.3", queue="etl")
        await jobs.add("other", "true")
        await jobs.until("other", Status.EXITED)
        plan = controller.get("/plan?format=json").body
        assert [wait["reason"] for wait in plan["waits"]] == ["QueuePaused"] * 3
        file.write_text("kind: Queue")
        async with asyncio.timeout(PATIENCE):
            while "queues refused" not in controller.log():
                await asyncio.sleep(0.1)
        assert "dispatcher_queues_refused 1.0" in controller.get("/metrics").body
        assert (await jobs.read_all())["etl0"].status is Status.CREATED
        file.write_text(QUEUE.format(most=1, paused="false"))
        most = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [job for name, job in (await jobs.read_all()).items() if name != "other"]
                most = max(most, sum(job.is_active for job in found))
                if all(job.is_finished for job in found):
                    break
                await asyncio.sleep(0.02)
        assert most == 1


def test_queues_that_cannot_be_used_are_said_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUE.format(most="many", paused="true"))
    command = [sys.executable, "-m", "controller", "--lock-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, "--queues", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"{file}:5: document 1: spec.maxConcurrent: " in done.stderr
