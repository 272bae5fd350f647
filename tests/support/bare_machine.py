"""A machine without an engine, for the scripts of ``hack`` that start engines."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_APART: Final = ["unshare", "--mount", "--net", "bash", "-euo", "pipefail", "-c"]
# no socket under /run, no network but lo, and nothing of what other engines add meanwhile
_BARE: Final = (
    "for folder in /run /etc/docker /opt; do\n"
    'mkdir -p "$folder"; mount -t tmpfs none "$folder"\n'
    "done; mkdir -p /run/mount\n"
    'ip link set lo up; cd "$1"; unset DOCKER_HOST\n'
    "starter=$2; trap '\"$starter\" down 2>/dev/null' EXIT\n"
)
SEE: Final = """
see() {
    ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/\\1/' | sort
    iptables -S
    iptables -t nat -S
    cat /proc/sys/net/ipv4/ip_forward
    find /run /etc/docker /opt/containerd 2>/dev/null | sort || true
    awk '{print $2}' /proc/self/mounts | grep -F -e /run -e "$PWD"
    find "$PWD" -not -path '*/hack*' -not -name seen.\\* | sort
}
see >seen.before
"""
"""Begins a script that writes what ``see`` shows of the machine into ``seen.after``, too."""


def run(
    command: list[str], env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a script as an operator would, without a terminal."""
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
        env=os.environ | dict(env or {}),
    )


def run_apart(folder: Path, script: str, starter: str) -> str:
    """Run a script on a machine without an engine; return what it printed.

    ``starter`` is what of ``hack`` it starts engines with: whatever happens they are stopped.
    """
    try:
        done = run([*_APART, _BARE + script, "apart", str(folder), starter])
    except subprocess.TimeoutExpired:
        run([str(folder / starter), "down"])
        raise
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_seen(folder: Path) -> tuple[str, str]:
    """Return what ``see`` showed before and after."""
    before, after = ((folder / f"seen.{when}").read_text() for when in ("before", "after"))
    return before, after
