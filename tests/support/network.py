"""A network namespace with a loopback device and nothing else, for processes and a browser."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.processes import ApiProcess, ControllerProcess, Process
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Network:
    """The namespaces of process ``pid``: its network, and its name as a host."""

    pid: int

    def enter(self, *command: str) -> list[str]:
        """Return a command line that runs another in it."""
        own = f"/proc/{self.pid}/ns"
        return ["nsenter", f"--net={own}/net", f"--uts={own}/uts", *command]


@contextmanager
def cut_off(name: str = "cut-off") -> Iterator[Network]:
    """Make a network that leads nowhere, of a host called ``name``, while the block runs."""
    script = f"hostname {name} && ip link set lo up && echo up && exec sleep infinity"
    process = subprocess.Popen(
        ["unshare", "--net", "--uts", "sh", "-c", script],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield Network(process.pid)
    finally:
        process.kill()
        process.communicate()


class _CutOff(Process):
    """One process of ours in such a network: nobody outside can ask it anything."""

    def __init__(self, network: Network, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._network = network
        self._starts = 0

    def command(self) -> list[str]:
        """Return its command line."""
        return self._network.enter(*super().command())


class CutOffApi(_CutOff, ApiProcess):
    """``python -m api`` in a network that leads nowhere."""

    def wait_until_live(self) -> None:
        """Wait until it says that it serves."""
        self._starts += 1
        wait_until(
            lambda: len(self.events("serving")) == self._starts or not self.is_running, "it serves"
        )


class CutOffController(_CutOff, ControllerProcess):
    """``python -m controller`` in a network that leads nowhere."""

    def wait_until_live(self) -> None:
        """Wait for nothing: what it does is seen."""
