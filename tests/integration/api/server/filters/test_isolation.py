"""A filter sees its document, its path and its environment, and nothing else of the machine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.config.faults import ConfigError
from api.server.filters.service import from_options
from api.server.http.problem import Problem
from tests.support.filter_configs import config

SECRET = "planted-e7b1c0"

# Each asks for something of the process or the machine in a way jq knows.
PRYING = [
    "$ENV",
    "env",
    "env | tojson",
    "[$ENV, env] | @text",
    "$ENV.SECRET",
    'env["SECRET"]',
    '[$ENV | paths | join("/")]',
    "[env | ..]",
    "try error(env) catch .",
    "def f: $ENV; [f]",
    '@sh "\\(env | to_entries | map(.value))"',
    "reduce (env | keys[]) as $k ({}; .[$k] = env[$k])",
    "[getpath([]), $ENV | getpath([])]",
    "$__prog_args",
    "$__prog_name",
    "input",
    "[inputs]",
    "[., input?]",
    "input_filename",
    "get_search_list",
    "$__loc__",
    '[splits("x")?, input_line_number]',
    "[debug, stderr, (try halt_error catch .)]",
    'import "%s" as $f; $f',
    'import "%s" as f; f::x',
    'include "%s"; .',
    'include "f" {search: "%s"}; .',
    '"%s" | modulemeta',
    '"%s" | try input_filename catch .',
    "$__host",
    "builtins",
    "[$__host, .h, .p, .i]",
    "ltrimstr(env.SECRET)",
    "now | localtime | mktime",
    '"/etc/passwd" | tojson',
    'getpath(["%s"])',
    "$ENV | with_entries(.value |= @base64)",
    'try ("%s" | format("file")) catch .',
]  # fmt: skip


@pytest.mark.parametrize("source", PRYING)
async def test_no_filter_reads_a_secret_of_the_process_or_a_file(
    source: str, tmp_path: Path
) -> None:
    token = tmp_path / "f.jq"
    token.write_text(f'def x: "{SECRET}";\n')
    (tmp_path / "f.json").write_text(f'"{SECRET}"\n')
    text = source.replace("%s", str(token.with_suffix("")))
    # the variable is there for all children to inherit
    os.environ["SECRET"] = SECRET
    try:
        filters = from_options(
            filter_source=text, from_file=None, filter_env=(), environ=os.environ
        )
        await filters.start()
    except ConfigError as error:
        # it must not even be in an error
        seen = str(error)
    else:
        try:
            seen = json.dumps((await filters.render("/job", {"a": ["x"]})).manifest)
        except Problem as problem:
            seen = f"{problem} {problem.details}"
        finally:
            await filters.close()
    finally:
        del os.environ["SECRET"]
    assert SECRET not in seen
    assert os.environ["PATH"] not in seen


async def test_the_same_secret_is_read_where_the_operator_names_it() -> None:
    environ = {"SECRET": SECRET, "JOB_X": "1"}
    filters = from_options(
        filter_source="env", from_file=None, filter_env=["SECRET"], environ=environ
    )
    await filters.start()
    try:
        assert (await filters.render("/job", 1)).manifest == environ
    finally:
        await filters.close()


PARENT = """
import asyncio, sys
from api.server.filters.service import from_options

async def main():
    filters = from_options(filter_source=None, from_file=sys.argv[1], filter_env=(), environ={})
    await filters.start()
    endless = [asyncio.create_task(filters.render("/job", None)) for _ in range(2)]
    await asyncio.sleep(0.3)
    print("looping", flush=True)
    await asyncio.gather(*endless)

asyncio.run(main())
"""


def find_workers(parent: int) -> list[int]:
    """Return the pids of the parent's filter workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"api.server.filters.workers.main" in command and str(parent).encode() in command:
            found.append(int(folder.name))
    return found


@pytest.fixture
def looping(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Return a process whose workers are in the middle of endless filters."""
    file = tmp_path / "f.yaml"
    file.write_text(config(jq="def f: f; f"))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(file)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "looping\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent_even_in_a_loop(
    looping: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    workers = find_workers(looping.pid)
    assert len(workers) >= 2
    looping.send_signal(number)
    looping.wait(60)
    end = time.monotonic() + 60
    while alive := [pid for pid in workers if is_alive(pid)]:
        assert time.monotonic() < end, alive
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether the process runs; one that nobody has reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_workers_open_no_file_and_inherit_no_descriptor() -> None:
    """All they hold is their socket, and the void for what is written."""
    with Path("/dev/null").open() as planted:
        os.set_inheritable(planted.fileno(), True)
        filters = from_options(filter_source=".", from_file=None, filter_env=(), environ={})
        await filters.start()
    try:
        workers = find_workers(os.getpid())
        assert workers
        for pid in workers:
            held = {f.name: f.readlink() for f in Path(f"/proc/{pid}/fd").iterdir()}
            assert set(held) == {"0", "1", "2"}, held
            assert str(held["0"]).startswith("socket:")
            assert {str(held["1"]), str(held["2"])} == {"/dev/null"}
            limits = Path(f"/proc/{pid}/limits").read_text()
            [line] = [row for row in limits.splitlines() if row.startswith("Max open files")]
            assert line.split()[3:5] == ["0", "0"]
            assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    finally:
        await filters.close()
    assert await asyncio.to_thread(find_workers, os.getpid()) == []
