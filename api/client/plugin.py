"""How the docker CLI calls the command where that is linked as one of its plugins; pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PROGRAM: Final = "docker-job"
_PLUGIN: Final = "docker job"
_NAME: Final = "job"
METADATA: Final = "docker-cli-plugin-metadata"
COMPLETE: Final = frozenset({"__complete", "__completeNoDesc"})
"""The first word with which docker's own completion asks."""
_WITH_VALUE: Final = frozenset(
    {"--config", "-c", "--context", "-H", "--host", "-l", "--log-level"}
    | {"--tlscacert", "--tlscert", "--tlskey"}
)
_SWITCHES: Final = frozenset({"-D", "--debug", "--tls", "--tlsverify"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """How the command is called in what it says, and its own arguments.

    ``completes``: they are what is typed so far of a command line.
    """

    program: str
    arguments: tuple[str, ...]
    completes: bool = False


def read_invocation(arguments: Sequence[str]) -> Invocation:
    """Return what is asked for by ``sys.argv[1:]``.

    As a plugin the docker CLI hands on all that stood behind ``docker``: its own options, which
    say nothing to this command, the plugin's name, and what is meant for the plugin.
    """
    rest, completes = [*arguments], False
    if rest and rest[0] in COMPLETE:
        completes = True
        del rest[0]
    start = 0
    while start < len(rest) and (skipped := _count_option(rest[start])):
        start += skipped
    if start < len(rest) and rest[start] == _NAME:
        return Invocation(_PLUGIN, tuple(rest[start + 1 :]), completes)
    return Invocation(PROGRAM, tuple(rest), completes)


def _count_option(word: str) -> int:
    """Return how many words one of docker's options takes with its value; 0 for another word."""
    name, equals, _ = word.partition("=")
    if word in _SWITCHES or (equals and name in _WITH_VALUE | _SWITCHES):
        return 1
    return 2 if word in _WITH_VALUE else 0


def describe(version: str) -> str:
    """Return what the docker CLI asks of each plugin."""
    facts = {
        "SchemaVersion": "0.1.0",
        "Vendor": "docker-job-dispatcher",
        "Version": version,
        "ShortDescription": "Run and watch jobs of a docker-job-dispatcher",
    }
    return json.dumps(facts)
