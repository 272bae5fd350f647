"""Heeds the docker CLI where that runs this command as a plugin: newer ones tell it to end."""

import os
import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_VARIABLE: Final = "DOCKER_CLI_PLUGIN_SOCKET"
"""Names a Unix socket whose end is the sign to end; since Docker 26, without a terminal alone."""


def heed(environ: Mapping[str, str]) -> None:
    """Have the end of that socket be a Ctrl-C for this process."""
    address = environ.get(_VARIABLE)
    if not address:
        return
    connection = socket.socket(socket.AF_UNIX)
    try:
        # Linux's abstract addresses begin with a NUL, which is spelt @
        connection.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except (OSError, ValueError):
        connection.close()
        return
    threading.Thread(target=_wait, args=(connection,), daemon=True).start()


def _wait(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while connection.recv(1):
            pass
        os.kill(os.getpid(), signal.SIGINT)
