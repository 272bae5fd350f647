"""Every verb and exit status of ``docker-job`` on a real engine, in a pipe and on a terminal."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.private_engine import IMAGE, PrivateEngine
from tests.support.processes import ApiProcess, ControllerProcess

JOB = '{Name: .name, Image: "' + IMAGE + '", Cmd: ["sh", "-c", .run], HostConfig: {Init: true}}'
COMMAND = Path(sys.prefix, "bin/docker-job")


@dataclass(frozen=True, slots=True)
class Running:
    """A command: its pid, where to read what it writes, and how to wait for its exit status."""

    pid: int
    source: int
    wait: Callable[[], int]


@contextmanager
def start_piped(words: tuple[str, ...], env: Mapping[str, str]) -> Iterator[Running]:
    """Run a command that writes to a pipe."""
    process = subprocess.Popen(
        [COMMAND, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process:
        yield Running(process.pid, process.stdout.fileno(), process.wait)


@contextmanager
def start_on_terminal(words: tuple[str, ...], env: Mapping[str, str]) -> Iterator[Running]:
    """Run a command on a terminal of 80 columns."""
    terminal, side = os.openpty()
    try:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [COMMAND, *words],
            env={**env, "TERM": "xterm-256color"},
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        with process:
            yield Running(process.pid, terminal, process.wait)
    finally:
        os.close(terminal)


Start = Callable[[tuple[str, ...], Mapping[str, str]], AbstractContextManager[Running]]


def read_some(source: int) -> bytes:
    try:
        return os.read(source, 65536)
    except OSError:  # that of a terminal whose other side was closed
        return b""


class Shell:
    """Calls the command for one API."""

    def __init__(self, start: Start, url: str) -> None:
        self._start = start
        self.env = os.environ | {"DJD_URL": url}

    def call(self, *words: str, interrupt_at: bytes | None = None) -> tuple[int, str]:
        """Return the exit status and all that it wrote; Ctrl-C once it has written something."""
        text = b""
        with self._start(words, self.env) as running:
            while some := read_some(running.source):
                text += some
                if interrupt_at is not None and interrupt_at in text:
                    os.kill(running.pid, signal.SIGINT)
                    interrupt_at = None
            return running.wait(), text.decode()


@pytest.fixture(params=[start_piped, start_on_terminal], ids=["pipe", "terminal"])
def shell(
    request: pytest.FixtureRequest, private_engine: PrivateEngine, namespace: str, tmp_path: Path
) -> Iterator[Shell]:
    options = ("--lock-dir", str(tmp_path), "-u", "1")
    with (
        ApiProcess(private_engine.host, namespace, JOB) as api,
        ControllerProcess(private_engine.host, namespace, *options),
    ):
        yield Shell(request.param, api.url)


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_every_verb_and_exit_status(shell: Shell, namespace: str) -> None:
    def name(word: str) -> str:
        return f"{namespace}-{word}"

    def ask(word: str, run: str) -> tuple[str, ...]:
        return "--arg", f"name={name(word)}", "--arg", f"run={run}"

    status, text = shell.call("submit", *ask("good", "echo spoken"))
    assert (status, text.split()) == (0, [name("good")])
    assert shell.call("wait", name("good"))[0] == 0
    status, text = shell.call("logs", "-f", name("good"))
    assert (status, text.split()) == (0, ["spoken"])

    status, text = shell.call("run", *ask("bad", "echo before; exit 3"))
    assert status == 3
    assert "before" in text
    assert "exited 3" in text
    assert shell.call("wait", name("bad"))[0] == 3
    assert shell.call("wait", name("good"), name("bad"))[0] == 1

    status, text = shell.call("run", *ask("long", "echo going; sleep 600"), interrupt_at=b"going")
    assert status == 130
    assert f"cancel {name('long')}" in text
    assert shell.call("wait", "--timeout", "0.1", name("long"))[0] == 124
    status, text = shell.call("ls")
    assert status == 0
    for word, phase in (("good", "Succeeded"), ("bad", "Failed"), ("long", "Running")):
        assert any(name(word)[:20] in line and phase in line for line in text.splitlines()), text
    assert shell.call("cancel", "--wait", name("long"))[0] == 0
    assert "Cancelled" in shell.call("show", name("long"))[1]
    assert "default" in shell.call("queues")[1]
    assert "docker-job" in shell.call("completion", "bash")[1]

    assert shell.call("ls", "--no-such-option")[0] == 2
    assert shell.call("show", name("none"))[0] == 125
    shell.env["DJD_URL"] = "http://127.0.0.1:1"
    status, text = shell.call("ls")
    assert (status, "http://127.0.0.1:1" in text) == (125, True)
