"""Keeps the processes under test running, and tells an ordered end from one of their own."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.complaints import find_complaints, find_losses
from tests.chaos.history import Recorder
from tests.support.processes import Process, ProcessFailedError

_PERIOD = 0.05
_FULL_LOG = 4000
_SAMPLED = 0.25
_STARVED = 0.1


class Supervised:
    """One process: killed when the nemesis says so, started again after any end."""

    def __init__(self, name: str, process: Process, recorder: Recorder) -> None:
        self.name = name
        self.process = process
        self._recorder = recorder
        self._lock = threading.Lock()
        self._due: float | None = None
        self._sample = (0, 0, 0)
        self.lifetime = 0
        """How often it was started: only the process of this number can answer."""

    def start(self, *, wait: bool = True) -> None:
        """Start it and, with ``wait``, wait until it serves."""
        self.lifetime += 1
        facts = {"process": self.name, "id": f"{self.name}-{self.lifetime}"}
        self._recorder.record("spawn", **facts)
        self.process.start(wait=wait)

    def kill(self, downtime: float) -> None:
        """Kill it (SIGKILL); it is started again ``downtime`` seconds later."""
        with self._lock:
            if self.process.is_running:
                self.process.kill()
            self._due = time.monotonic() + downtime

    def attend(self) -> None:
        """Start it again when it is due; record an end that nobody ordered."""
        with self._lock:
            if self._due is None and not self.process.is_running:
                log = self.process.log()[-_FULL_LOG:]
                self._recorder.record("exit", process=self.name, code=self.process.wait(), log=log)
                self._due = time.monotonic()
            if self._due is not None and time.monotonic() >= self._due:
                self._due = None
                self.start(wait=False)
            self._notice_starving()

    def _notice_starving(self) -> None:
        """Record how long it was ready to run and no processor was free, where that is long."""
        pid, now = self.process.pid, time.time_ns()
        before, delay, since = self._sample
        if pid == before and now - since < _SAMPLED * 1e9:
            return
        with suppress(OSError, ValueError, IndexError):
            waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
            self._sample = pid, waited, now
            seconds = (waited - delay) / 1e9
            if pid == before and seconds > _STARVED:
                self._recorder.record("starved", process=self.name, since=since, seconds=seconds)

    def close(self) -> None:
        """End it in good order and record what it complained of and gave up in all lifetimes."""
        complaints = []
        if self.process.is_running:
            try:
                self.process.terminate()
            except ProcessFailedError as error:
                complaints.append(str(error))
        log = self.process.log()
        complaints += find_complaints(log)
        for text in complaints:
            self._recorder.record("complaint", process=self.name, text=text[:_FULL_LOG])
        self._recorder.add(*find_losses(log))
        self.process.close()


class Supervisor:
    """Attends to all processes in a thread; ``with`` starts and ends them."""

    def __init__(self, *processes: Supervised) -> None:
        self._processes = processes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        try:
            for process in self._processes:
                process.start()
        except BaseException:
            self._close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(30)
        self._close()

    def _close(self) -> None:
        for process in self._processes:
            with suppress(OSError):
                process.close()

    def _run(self) -> None:
        while not self._ended.wait(_PERIOD):
            for process in self._processes:
                process.attend()
