"""``cancel``: jobs that are no longer wanted."""

import math
import sys
from typing import Any, Final

import click

from api.client.connection import Query
from api.client.context import Context, pass_context
from api.client.details import count_jobs, say_cancelled, say_chosen
from api.client.errors import COLLECTED, RefusedError
from api.client.options import (
    Duration,
    filter_options,
    form_option,
    ids_argument,
    read_filter,
)
from api.client.output import Form
from api.client.status import FINE, TROUBLE, Job
from api.client.words import make_inert

_OF_ONE: Final = frozenset({403, 404, 409})
"""Answers that are about one job; the others are about all."""


@click.command("cancel")
@ids_argument(required=False)
@filter_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--grace", type=Duration(), help="From the stop signal to the kill.")
@click.option("--purge", is_flag=True, help="Also remove them as soon as they are over.")
@click.option("--why", help="Shown with the job.")
@click.option("--wait", "waits", is_flag=True, help="Until they are over.")
@form_option()
@pass_context
def cancel(
    context: Context,
    /,
    ids: tuple[str, ...],
    *,
    yes: bool,
    grace: float | None,
    purge: bool,
    why: str | None,
    waits: bool,
    form: str,
    **choice: Any,
) -> int:
    """Cancel jobs by ID, or all that the options choose: then it is asked first."""
    query = read_filter(**choice)
    if bool(ids) is bool(query):
        raise click.UsageError("give the IDs of jobs, or options that choose them")
    wish = [("purge", "true")] if purge else []
    wish += [("why", why)] if why else []
    if query and grace is not None:
        raise click.UsageError("--grace is for jobs that are named: give their IDs")
    if query:
        if (found := _cancel_chosen(context, query, wish, asks=not yes)) is None:
            return FINE
        refs, wish = found, []
        if not waits and Form(form) in {Form.TABLE, Form.NAME}:
            for ref in refs:
                context.output.write(make_inert(ref))
            return FINE
    else:
        refs = [*dict.fromkeys(ids)]
        wish += [("grace", str(math.ceil(grace)))] if grace is not None else []
    return _cancel_named(context, refs, wish, Form(form), records=not query, waits=waits)


def _cancel_chosen(context: Context, query: Query, wish: Query, *, asks: bool) -> list[str] | None:
    """Cancel all that match, once the user agrees; return their ids, None where nothing is done."""
    output = context.output
    if asks:
        trial = context.server.cancel_all([*query, *wish, ("dryRun", "true")])
        count = trial.get("cancelled", 0)
        if not count:
            output.say(say_chosen(trial.get("matched", 0), 0))
            return None
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"{count_jobs(count)} would be cancelled; -y does so without asking"
            )
        names = ", ".join(make_inert(name) for name in (trial.get("ids") or ())[:5])
        more = ", …" if count > 5 else ""  # noqa: PLR2004
        if not click.confirm(f"cancel {count_jobs(count)} ({names}{more})?", err=True):
            output.say("nothing was cancelled")
            return None
    answer = context.server.cancel_all([*query, *wish])
    output.say(say_chosen(answer.get("matched", 0), answer.get("cancelled", 0)))
    return [str(name) for name in answer.get("ids") or ()]


def _cancel_named(
    context: Context, refs: list[str], wish: Query, form: Form, *, records: bool, waits: bool
) -> int:
    """Cancel one after the other, say of each what happened, then wait where that is wanted."""
    status = FINE
    jobs: list[Job] = []
    for ref in refs:
        try:
            server = context.server
            job = server.cancel(ref, wish) if records else server.find(ref, recalls=True)
            jobs.append(job)
            if not (waits and not job.get("finished")):
                _write(context, job, form)
        except RefusedError as error:
            if error.code not in _OF_ONE:
                raise
            is_removed = error.reason == COLLECTED
            context.output.say(f"{ref}: {'is over and has been removed' if is_removed else error}")
            status = TROUBLE
    for job in jobs:
        if waits and not job.get("finished"):
            _write(context, context.server.await_end(str(job["uid"])), form)
    return status


def _write(context: Context, job: Job, form: Form) -> None:
    if form in {Form.TABLE, Form.WIDE}:
        context.output.write(f"{make_inert(job.get('id'))}   {say_cancelled(job)}")
    else:
        lines = Form.JSON_LINES if form is Form.JSON else form
        context.output.write_rows([job], lines, "id")
    context.output.out.flush()
