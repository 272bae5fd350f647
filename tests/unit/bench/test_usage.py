"""What the benchmark tells of processes and calls is theirs."""

import subprocess
import sys

import pytest

from tests.bench.idle import INSPECT, LIST_ALL, name_call
from tests.bench.usage import find_tree, read_cpu, read_tree_cpu, read_tree_memory
from tests.support.waiting import wait_until

_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    sys.stdin.read()
finally:
    child.kill()
"""
_PATIENCE = 60


def test_a_descendants_time_and_memory_count_as_the_trees() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE) as process:
        wait_until(
            lambda: read_tree_cpu(process.pid) >= read_cpu([process.pid]) + 0.2,
            "a child that has used the processor",
            patience=_PATIENCE,
        )
        assert len(find_tree(process.pid)) == 2
        memory = read_tree_memory(process.pid)
        assert 0 < memory.pss <= memory.rss
        process.communicate(timeout=_PATIENCE)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("GET /v1.41/containers/json?all=1&filters=%7B%22label%22:%5B%22a=b%22%5D%7D", LIST_ALL),
        (
            "GET /v1.41/containers/json?filters=%7B%22status%22:%5B%22running%22%5D%7D",
            "GET /containers/json (active)",
        ),
        (
            "GET /v1.41/containers/json?filters=%7B%22since%22:%5B%22ab%22%5D%7D",
            "GET /containers/json (new)",
        ),
        (
            "GET /v1.41/containers/json?filters=%7B%22before%22:%5B%22ab%22%5D%7D",
            "GET /containers/json (next page)",
        ),
        ("GET /v1.41/containers/3f2a/json", INSPECT),
        ("POST /v1.41/containers/3f2a/start", "POST /containers/{id}/start"),
    ],
)
def test_lists_of_different_cost_are_counted_apart(line: str, kind: str) -> None:
    assert name_call(line) == kind
