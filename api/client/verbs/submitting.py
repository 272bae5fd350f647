"""``submit`` and ``run``: a document becomes a job."""

from collections.abc import Mapping
from typing import Any

import click

from api.client.context import Context, pass_context
from api.client.documents import make_post_path, read_document
from api.client.errors import ClientError
from api.client.following import Following
from api.client.options import document_options, form_option
from api.client.output import Form, make_json
from api.client.words import make_inert


@click.command("submit")
@document_options
@click.option("--dry-run", is_flag=True, help="Only show what would be recorded.")
@form_option(Form.NAME)
@pass_context
def submit(
    context: Context,
    file: str | None,
    path: str | None,
    strings: tuple[tuple[str, str], ...],
    values: tuple[tuple[str, Any], ...],
    *,
    dry_run: bool,
    form: str,
) -> None:
    """Post a document (FILE, or - for standard input) and print the job's id."""
    document = read_document(file, strings, values)
    target = make_post_path(path)
    if dry_run:
        found = context.server.rehearse(target, document)
        context.output.write(make_json(found.get("manifest", found), indent=2))
        context.output.say(f"would be recorded as {found.get('id')} by {found.get('filter')}")
        return
    answer = post(context, target, document)
    if Form(form) in {Form.JSON, Form.JSON_LINES}:
        context.output.write(make_json(answer))
    else:
        context.output.write(make_inert(answer["id"]))


def post(context: Context, path: str, document: bytes) -> Mapping[str, Any]:
    """Post a document, and say whatever is unusual about the answer."""
    try:
        answer = context.server.post(path, document)
    except KeyboardInterrupt:
        context.output.say("interrupted; the job may be recorded already, posting it again is safe")
        raise
    if not isinstance(answer.get("id"), str) or not isinstance(answer.get("uid"), str):
        raise ClientError("the answer is none of a docker-job-dispatcher: check DJD_URL")
    for warning in answer.get("warnings") or ():
        context.output.say(f"warning of the engine: {warning}")
    if "sameDocument" in answer:
        other = " of another document" if answer["sameDocument"] is False else ""
        phase = f", {answer['phase']}" if "phase" in answer else ""
        context.output.say(f"{answer['id']} was there already{other}{phase}")
    return answer


@click.command("run")
@document_options
@click.option("--rm", "removes", is_flag=True, help="Remove the job when it is over.")
@pass_context
def run(
    context: Context,
    file: str | None,
    path: str | None,
    strings: tuple[tuple[str, str], ...],
    values: tuple[tuple[str, Any], ...],
    *,
    removes: bool,
) -> int:
    """Post a document, follow its job's log, and end with the job's own exit code.

    Ctrl-C detaches: the job goes on.
    """
    document = read_document(file, strings, values)
    answer = post(context, make_post_path(path), document)
    return Following(context, answer["id"], answer["uid"]).run(removes=removes)
