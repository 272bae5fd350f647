"""What a shell offers to complete: ids and queues as the server knows them, and never an error."""

import os
from collections.abc import Iterator, Sequence
from typing import Final

import click
from click.shell_completion import CompletionItem, ShellComplete

from api.client.connection import Connection
from api.client.errors import ClientError
from api.client.plugin import PROGRAM
from api.client.server import Server
from api.client.settings import read_settings
from api.client.status import PHASES
from api.client.words import make_inert

VARIABLE: Final = "_DOCKER_JOB_COMPLETE"
_SECONDS: Final = 2.0
_MOST: Final = 1000
_FILES: Final = frozenset({"file", "dir"})
_DEFAULT: Final = 0
"""Of cobra's directives the one that lets the shell complete files."""
_NO_FILES: Final = 4
"""And the one that does not."""


def complete_ids(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the ids of the newest jobs that begin so, each with its phase."""
    del param
    taken = set(ctx.params.get("ids") or ())
    return [
        CompletionItem(make_inert(job["id"]), help=make_inert(job.get("phase")))
        for job in _list_jobs()
        if job["id"].startswith(incomplete) and job["id"] not in taken
    ]


def complete_queues(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the queues that begin so."""
    del ctx, param
    try:
        queues = _open_server().list_queues()
    except ClientError:
        return []
    names = (make_inert(queue.get("name")) for queue in queues)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_phases(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the phases that begin so, however they are written."""
    del ctx, param
    begun = incomplete.lower()
    return [CompletionItem(phase) for phase in PHASES if phase.lower().startswith(begun)]


def _list_jobs() -> Sequence[dict[str, str]]:
    try:
        page = next(_open_server().list_pages((), limit=_MOST))
    except ClientError:
        return ()
    return [dict(job) for job in page.jobs if isinstance(job.get("id"), str)]


def _open_server() -> Server:
    return Server(Connection(read_settings(os.environ), sleep=_give_up, most=_SECONDS))


def _give_up(_: float) -> None:
    raise ClientError("not now")


def complete_for_docker(command: click.Command, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines that docker's own completion reads: a word, a tab and a help, a directive."""
    *typed, incomplete = arguments or ("",)
    shell = ShellComplete(command, {}, PROGRAM, VARIABLE)
    items = shell.get_completions([*typed], incomplete)
    wants_files = any(item.type in _FILES for item in items)
    for item in items:
        if item.type not in _FILES:
            yield f"{item.value}\t{item.help}" if item.help else str(item.value)
    yield f":{_DEFAULT if wants_files else _NO_FILES}"
