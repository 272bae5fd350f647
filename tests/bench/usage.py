"""Processor time and memory of processes, as the kernel counts them."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (10**6 bytes): ``pss`` shares common pages out, ``rss`` counts them each time."""

    pss: float
    rss: float


def find_tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = read_children(pid)
    return [pid, *(descendant for child in children for descendant in find_tree(child))]


def read_children(pid: int) -> list[int]:
    """Return the children of a process, those that ended and wait for it included."""
    children: list[int] = []
    with suppress(OSError):  # it has ended; its parent has its time
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children


def read_cpu(pids: Iterable[int]) -> float:
    """Return the seconds of processor time that processes have used themselves."""
    return sum(_read_ticks(pid)[0] for pid in pids) / _TICKS


def read_own_and_reaped(pid: int) -> float:
    """Return the seconds that a process and those of its children that ended have used."""
    return sum(_read_ticks(pid)) / _TICKS


def read_tree_cpu(pid: int) -> float:
    """Return the seconds that a process and its descendants used, ended children included."""
    return sum(sum(_read_ticks(member)) for member in find_tree(pid)) / _TICKS


def read_tree_memory(pid: int) -> Memory:
    """Return what a process and its descendants hold."""
    kilobytes = {"Pss": 0, "Rss": 0}
    for member in find_tree(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in kilobytes:
                    kilobytes[key] += int(value.split()[0])
    return Memory(kilobytes["Pss"] * 1024 / 1e6, kilobytes["Rss"] * 1024 / 1e6)


def _read_ticks(pid: int) -> tuple[int, int]:
    """Return a process's own ticks and those of its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0
    user, system, children_user, children_system = map(int, fields[11:15])
    return user + system, children_user + children_system
