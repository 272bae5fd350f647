"""What every verb works with: the server, the output, and how the command is called."""

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import click

from api.client.connection import Connection
from api.client.output import Output
from api.client.server import Server
from api.client.settings import read_settings


class Context:
    """Made once for each command; the environment is read when a verb asks for the server."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.output = Output(program)

    @cached_property
    def connection(self) -> Connection:
        """The server's connection."""
        return Connection(read_settings(os.environ), self.output.say)

    @cached_property
    def server(self) -> Server:
        """The server's calls."""
        return Server(self.connection)

    @property
    def draws_words(self) -> bool:
        """Whether a line that is redrawn may stand among the words."""
        return self.output.err.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def draws_data(self) -> bool:
        """Whether a table that is redrawn may be the data."""
        return self.output.is_terminal and os.environ.get("TERM") != "dumb"


pass_context: Final = click.make_pass_decorator(Context)


@dataclass(frozen=True, slots=True)
class Streams:
    """The two streams as bytes, each byte written at once."""

    @staticmethod
    def write(data: bytes, *, is_error: bool) -> None:
        """Write to stderr or stdout. Raises ``BrokenPipeError``."""
        stream = (sys.stderr if is_error else sys.stdout).buffer
        stream.write(data)
        stream.flush()
