"""Options that several verbs share, and the kinds of their values."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from api.client.completion import complete_ids, complete_phases, complete_queues
from api.client.connection import Query
from api.client.output import Form
from api.client.status import PHASES
from api.v1.times import LONGEST_DURATION, SECOND, parse_duration

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """Seconds, or ``90s``, ``15m``, ``2h``, ``1d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        found = parse_duration(value) if isinstance(value, str) else None
        if found is None or found > LONGEST_DURATION:
            self.fail(f"{value!r} is no duration; seconds, or 90s, 15m, 2h, 1d", param, ctx)
        return found / SECOND


class Member(click.ParamType[tuple[str, Any]]):
    """``key=value``, the value a text, or as ``is_json`` any JSON."""

    name = "key=value"

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return the key and its value."""
        import json

        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not key=value", param, ctx)
        if not self._is_json:
            return key, text
        try:
            return key, json.loads(text)
        except ValueError:
            self.fail(f"the value of {key!r} is no JSON", param, ctx)


def form_option(default: Form | None = Form.TABLE) -> Callable[[F], F]:
    """Return the option ``-o``."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice([str(form) for form in Form]),
        default=None if default is None else str(default),
        show_default=default is not None,
        help="How data are written.",
    )


def document_options(verb: F) -> F:
    """Add what says which document is posted, and where."""
    options = (
        click.argument("file", required=False, type=click.Path(allow_dash=True)),
        click.option("-p", "--path", help="Where it is posted: below /job, which is the default."),
        click.option(
            "--arg",
            "strings",
            multiple=True,
            type=Member(is_json=False),
            help="A member of the document, a text; without FILE these are all of it.",
        ),
        click.option(
            "--argjson",
            "values",
            multiple=True,
            type=Member(is_json=True),
            help='The same with JSON: --argjson \'args=["-c", "ls"]\'.',
        ),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def filter_options(verb: F) -> F:
    """Add what chooses jobs; ``read_filter`` makes a query of it."""
    options = (
        click.option(
            "--phase",
            type=click.Choice(PHASES, case_sensitive=False),
            shell_complete=complete_phases,
        ),
        click.option("--failed", is_flag=True, help="As --phase Failed."),
        click.option("--reason", help="Such as OOMKilled."),
        click.option("-q", "--queue", shell_complete=complete_queues),
        click.option("-p", "--path", help="Posted there or below: /job/thumbnails."),
        click.option("-l", "--label", "labels", multiple=True, help="k or k=v; repeated: and."),
        click.option("--since", help="Created since then: 15m, 2h, 1d ago, or a time."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def read_filter(
    *,
    phase: str | None,
    reason: str | None,
    queue: str | None,
    path: str | None,
    labels: tuple[str, ...],
    since: str | None,
    failed: bool,
) -> Query:
    """Return the query of ``filter_options``. Raises ``click.UsageError``."""
    if failed and phase not in {None, "Failed"}:
        raise click.UsageError(f"--failed and --phase {phase} exclude each other")
    if path is not None and path != "/job" and not path.startswith("/job/"):
        path = "/job/" + path.strip("/")
    named = {
        "phase": "Failed" if failed else phase,
        "reason": reason,
        "queue": queue,
        "path": path,
        "since": since,
    }
    query = [(name, value) for name, value in named.items() if value is not None]
    return [*query, *(("label", label) for label in labels)]


def ids_argument(*, required: bool) -> Callable[[F], F]:
    """Return the argument ``ID…``."""
    return click.argument(
        "ids", nargs=-1, required=required, metavar="ID...", shell_complete=complete_ids
    )
