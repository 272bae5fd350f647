"""What a process says of its options, and what it takes, without running it."""

import subprocess
import sys


def read_help(module: str) -> str:
    """Return what ``--help`` prints."""
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def takes(module: str, *arguments: str) -> bool:
    """Tell whether a process takes a command line; a wrong option after it ends it at once."""
    command = [sys.executable, "-m", module, *arguments, "--no-such-option"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return "No such option '--no-such-option'" in done.stderr
