"""``ls``, ``show`` and ``queues``: what there is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from api.client.columns import JOBS, QUEUES, WIDE_JOBS, make_table
from api.client.completion import complete_ids
from api.client.connection import Query
from api.client.context import Context, pass_context
from api.client.details import describe
from api.client.errors import RefusedError
from api.client.event_stream import EventReader, Told
from api.client.live import LiveTable
from api.client.options import filter_options, form_option, read_filter
from api.client.output import Form
from api.client.server import Page
from api.client.status import Job

_SOME: Final = 100
_MOST: Final = 1000
"""Jobs on a page of the server's."""
_TABLES: Final = frozenset({Form.TABLE, Form.WIDE})


@click.command("ls")
@filter_options
@click.option("-w", "--watch", is_flag=True, help="Go on with what becomes of them.")
@click.option("-a", "--all", "shows_all", is_flag=True, help="Not only the newest hundred.")
@form_option()
@pass_context
def list_jobs(
    context: Context, /, *, watch: bool, shows_all: bool, form: str, **choice: Any
) -> None:
    """List jobs, the newest first."""
    query, wanted = read_filter(**choice), Form(form)
    if watch:
        _watch(context, query, wanted)
    elif wanted is Form.JSON_LINES or wanted is Form.NAME:
        # page by page, however many there are
        context.output.write_rows(_walk(context, query, shows_all=shows_all), wanted, "id")
    else:
        _list(context, query, wanted, shows_all=shows_all)


def _walk(context: Context, query: Query, *, shows_all: bool) -> Iterator[Job]:
    for page in context.server.list_pages(query, limit=_MOST if shows_all else _SOME):
        yield from page.jobs
        if not shows_all:
            _tell(context, page, len(page.jobs))
            return


def _list(context: Context, query: Query, form: Form, *, shows_all: bool) -> None:
    output, pages = context.output, list[Page]()

    def walk() -> Iterator[Job]:
        # of each page no more is kept than what is shown of it
        for page in context.server.list_pages(query, limit=_MOST if shows_all else _SOME):
            pages[:] = [page]
            yield from page.jobs
            if not shows_all:
                return

    def put(rows: list[Job]) -> Mapping[str, Any]:
        return {"items": rows, "counts": pages[0].counts, "continue": pages[0].token}

    if form is Form.JSON:
        output.write_rows(walk(), form, "id", put)
    else:
        columns = WIDE_JOBS if form is Form.WIDE else JOBS
        output.write_table(columns, walk(), context.connection.now)
    _tell(context, pages[0], len(pages[0].jobs))


def _tell(context: Context, page: Page, shown: int) -> None:
    if page.silent_since is not None:
        context.output.say(
            f"the engine has not answered since {page.silent_since}; this is what was known then"
        )
    if page.token is not None:
        context.output.say(f"these are the newest {shown}; -a shows all that there are")


def _watch(context: Context, query: Query, form: Form) -> None:
    if form in _TABLES and context.draws_data:
        _watch_live(context, query, form)
        return
    output, columns = context.output, WIDE_JOBS if form is Form.WIDE else JOBS
    reader = EventReader(context.connection, query, resumes=True)
    for place, happening in enumerate(reader.read()):
        job = None if happening.told is Told.REMOVED else happening.job
        if form in _TABLES:
            if not place:
                output.write("   ".join(column.title for column in columns))
            if job is not None:
                row = make_table(columns, [job], context.connection.now).rows[0]
                output.write("   ".join(row))
        elif job is not None:
            line = Form.JSON_LINES if form is Form.JSON else form
            output.write_rows([job], line, "id")
        output.out.flush()


def _watch_live(context: Context, query: Query, form: Form) -> None:
    reader = EventReader(context.connection, query, resumes=True)
    jobs: dict[str, Job] = {}
    note, is_whole = "", False
    columns = WIDE_JOBS if form is Form.WIDE else JOBS
    with context.output.hold(), LiveTable(context.output.out, columns) as table:
        for happening in reader.read():
            match happening.told:
                case Told.RESET:
                    jobs.clear()
                    is_whole = False
                case Told.BROKEN:
                    note = f"no connection to {context.connection.settings.url}; trying again"
                case Told.OPENED:
                    note = ""
                case Told.SYNCED:
                    is_whole = True
            if (job := happening.job) is not None:
                fold(jobs, job, is_gone=happening.told is Told.REMOVED)
            # a snapshot is drawn once, not job by job
            if is_whole or note:
                table.show(jobs.values(), context.connection.now, note)


def fold(jobs: dict[str, Job], job: Job, *, is_gone: bool) -> None:
    """Take into ``jobs``, which are by uid, what was told of one."""
    if is_gone:
        jobs.pop(str(job.get("uid")), None)
    else:
        jobs[str(job.get("uid"))] = job


@click.command("show")
@click.argument("ref", metavar="ID", shell_complete=complete_ids)
@form_option()
@pass_context
def show_job(context: Context, ref: str, form: str) -> None:
    """Show all that is known of a job, and why it waits; of a removed one the last that was."""
    output = context.output
    try:
        job = context.server.find(ref)
    except RefusedError as error:
        if error.last_known is None:
            raise
        job = error.last_known
        output.say(str(error.error.get("message", error)))
    match wanted := Form(form):
        case Form.TABLE | Form.WIDE:
            output.write_facts(describe(job, context.connection.now()))
        case Form.JSON:
            output.write_rows([job], wanted, "id", lambda rows: rows[0])
        case _:
            output.write_rows([job], wanted, "id")


@click.command("queues")
@form_option()
@pass_context
def list_queues(context: Context, form: str) -> None:
    """List the queues and how they are used."""
    queues, output = context.server.list_queues(), context.output
    wanted = Form(form)
    if wanted in _TABLES:
        output.write_table(QUEUES, queues, context.connection.now)
        return

    def put(rows: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        return {"items": rows}

    output.write_rows(queues, wanted, "name", put)
