"""A private Docker Engine: a folder, a configuration and a network namespace of its own."""

import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from tests.support.network import Network

IMAGE = "busybox:job"
"""The image that every private engine holds: Debian's static busybox and nothing else."""

_LINKS = [
    "sh",
    "true",
    "false",
    "sleep",
    "echo",
    "cat",
    "timeout",
    "sync",
    "kill",
    "date",
    "env",
    "head",
    "yes",
    "dd",
    "tail",
    "printf",
    "seq",
]
_BOOT_SECONDS = 60.0


class EngineFailedError(Exception):
    """The engine did not start or did not answer; the message ends with its log."""


class PrivateEngine:
    """One dockerd with a containerd of its own; ``with`` starts it and leaves nothing behind.

    Never without a network namespace: beside another engine, ``--bridge=none`` deletes that
    engine's ``docker0``. That of ``network`` is somebody else's and outlives the engine; without it
    every start makes one that leads nowhere. ``options`` are members of ``daemon.json``
    (``{"live-restore": true}``), beside those that the variable ``ENGINE_OPTIONS`` has for all
    engines of a run.
    """

    def __init__(
        self, options: Mapping[str, object] | None = None, network: Network | None = None
    ) -> None:
        self._enter = network.enter if network is not None else _make_network
        self.folder = Path(tempfile.mkdtemp(prefix="private-engine-"))
        self.socket = self.folder / "docker.sock"
        self._config = self.folder / "daemon.json"
        common: dict[str, object] = json.loads(os.environ.get("ENGINE_OPTIONS", "{}"))
        self._config.write_text(json.dumps(common | dict(options or {})))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What ``DOCKER_HOST`` must be to reach this engine."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The pid of dockerd."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether dockerd has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def containerd_pid(self) -> int:
        """The pid of dockerd's containerd."""
        return int((self.folder / "exec/containerd/containerd.pid").read_text())

    def __enter__(self) -> Self:
        try:
            self.start()
            self.load_image()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, wait: bool = True) -> None:
        """Start dockerd and, with ``wait``, wait until it serves requests."""
        self._forget_dead_containerd()
        command = (
            "ip link set lo up; exec dockerd"
            f" --config-file {self._config} --data-root {self.folder}/data"
            f" --exec-root {self.folder}/exec -H unix://{self.socket} -p {self.folder}/pid"
            " --bridge=none --iptables=false"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._enter("sh", "-c", command),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
            )
        if wait:
            self.wait_until_ready()

    def _forget_dead_containerd(self) -> None:
        """Remove the pid file of a containerd that ended: dockerd believes a zombie's pid.

        The kernel ends containerd with its dockerd, and where PID 1 does not reap, it stays.
        """
        with suppress(OSError, ValueError):
            state = Path(f"/proc/{self.containerd_pid}/stat").read_text().rpartition(")")[2]
            if state.split()[0] != "Z":
                return
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def wait_until_ready(self) -> None:
        """Wait until the engine lists its containers."""
        end = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with suppress(OSError, subprocess.SubprocessError):
                if self.docker("ps", check=False, timeout=5).returncode == 0:
                    return
            time.sleep(0.1)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        raise EngineFailedError(f"dockerd does not answer:\n{log}")

    def docker(
        self, *arguments: str, check: bool = True, timeout: float = 60, stdin: bytes | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the Docker command line against this engine and return what it printed."""
        done = subprocess.run(
            ["docker", "--host", self.host, *arguments],
            check=False,
            capture_output=True,
            timeout=timeout,
            input=stdin,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise EngineFailedError(f"docker {' '.join(arguments)}: {err}")
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def inspect(self, reference: str) -> dict[str, Any]:
        """Return what ``docker inspect`` shows of one container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", reference).stdout)
        return found[0]

    def names(self, *filters: str) -> list[str]:
        """Return the names of all containers, newest first; ``filters`` as ``status=exited``."""
        options = [word for text in filters for word in ("--filter", text)]
        return self.docker("ps", "-a", "--format", "{{.Names}}", *options).stdout.split()

    def load_image(self, tag: str = IMAGE, labels: Mapping[str, str] | None = None) -> None:
        """Import busybox as ``tag``, with ``labels``."""
        changes = [w for k, v in (labels or {}).items() for w in ("-c", f'LABEL "{k}"="{v}"')]
        self.docker("import", *changes, "-", tag, stdin=make_rootfs())

    def stop(self) -> None:
        """Stop dockerd in good order (SIGTERM); containers end as its policy says."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill dockerd (SIGKILL); its containerd and the jobs live on."""
        self._end(signal.SIGKILL)

    def lose_power(self) -> None:
        """End dockerd, containerd, shims and jobs (SIGKILL); what is on the disk stays."""
        self.kill()
        self._sweep()
        shutil.rmtree(self.folder / "exec", ignore_errors=True)

    def signal(self, number: int) -> None:
        """Send a signal to dockerd alone."""
        os.kill(self.pid, number)

    def close(self) -> None:
        """End everything that belongs to this engine and remove its folder."""
        with suppress(OSError, AssertionError):
            self.signal(signal.SIGCONT)
            with suppress(OSError, ValueError):
                os.kill(self.containerd_pid, signal.SIGCONT)
            self._end(signal.SIGTERM, patience=20)
        self._sweep()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """End what a dead dockerd has left alive, and take away its mounts."""
        for pid in self._find_leftovers():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(50):
            if not self._find_leftovers():
                break
            time.sleep(0.1)
        for mount in self._find_mounts():
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)

    def _end(self, number: int, patience: float = 60) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        os.kill(self._process.pid, number)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _find_leftovers(self) -> list[int]:
        """Return the pids of shims, containerd and jobs whose shims name our folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if str(self.folder).encode() in command and b"containerd" in command:
                    found.append(int(entry.name))
                    found.extend(_find_children(int(entry.name)))
        return found

    def _find_mounts(self) -> Iterator[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        return iter(
            [w[1] for w in map(str.split, reversed(lines)) if w[1].startswith(str(self.folder))]
        )


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process (SIGSTOP) for the length of the block, which begins when it stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + 10
        while not _stands_still(pid) and time.monotonic() < end:
            time.sleep(0.002)
        yield
    finally:
        with suppress(OSError):
            os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Tell whether every thread has stopped: the signal reaches one after the other."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] not in {"T", "t", "Z"}:
                return False
    return True


def make_rootfs() -> bytes:
    """Return a tar of a root file system: a static busybox and its links."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "tmp", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        tar.add(busybox, "bin/busybox")
        for name in _LINKS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _make_network(*command: str) -> list[str]:
    """Return a command line that runs another in a network of its own."""
    return ["unshare", "--net", *command]


def _find_children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
