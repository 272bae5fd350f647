"""Starts the command, ``docker-job`` or as a plugin ``docker job``, and ends with its status."""

import os
import sys
from contextlib import suppress

from api.client.plugin import METADATA, describe, read_invocation


def main() -> None:
    """Carry out this process's command line."""
    arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character shows another in its place
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if arguments[:1] == [METADATA]:
        from importlib.metadata import version

        sys.stdout.write(f"{describe(version('docker-job-dispatcher'))}\n")
        return
    from api.client.command import execute

    status = execute(read_invocation(arguments))
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # threads that still read from a server hold up nothing
    os._exit(status)


if __name__ == "__main__":
    main()
