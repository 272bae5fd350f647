"""The ``check`` and ``render`` commands: filter configs tried without an engine."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from api.config.faults import ConfigError, ConfigFault
from api.config.queues import read_queues
from api.config.source import SourceFile, read_source
from api.server.filters.catalog import FilterCatalog
from api.server.filters.examples import Admit, ExamplesRun, run_examples
from api.server.filters.service import from_options, select_environment, validate
from api.server.filters.warnings import find_warnings
from api.server.http import json_body
from api.server.http.problem import Problem
from api.v1.queue import Queue
from api.v1.wishes import DEFAULT_QUEUE

FAULTY = 1
"""Exit status: a config is at fault."""
REFUSED = 3
"""Exit status of ``render``: the document was refused."""


def build_check(admit: Admit | None = None) -> click.Command:
    """Return the ``check`` command; ``admit`` has examples judged by admission, too."""

    @click.command(
        "check",
        help="Validate filter configs and queues, and run the filters' examples, without an engine."
        "\n\nFILE is a YAML file, a jq file or a directory of YAML files. Every fault is named"
        " with its place on standard error. Examples see their own env and their config's"
        " only; JOB_* variables of this process are held against spec.variables."
        " What compiles and yet may pass what it means to forbid (an upper bound that a missing"
        " limit passes, $ in a jq test) is a warning."
        "\n\nExit status: 0 all is well, or there are but warnings, 1 a config or an example is at"
        " fault, 2 wrong usage.",
    )
    @click.argument("files", nargs=-1, required=True, metavar="FILE...", type=Path)
    def check(files: tuple[Path, ...]) -> None:
        faults: list[ConfigFault] = []
        warnings: list[ConfigFault] = []
        filters = examples = queues = 0
        for source in _group(files):
            try:
                catalog, ran, found, number = _check_source(source, admit)
            except ConfigError as error:
                faults.extend(error.faults)
            else:
                queues += number
                filters += len(catalog.entries)
                examples += ran.count
                faults.extend(ran.faults)
                warnings.extend(found)
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        if faults:
            for fault in faults:
                click.echo(str(fault), err=True)
            click.echo(f"{len(faults)} fault{'s' * (len(faults) > 1)} found", err=True)
            sys.exit(FAULTY)
        more = f", with {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""
        words = f"{filters} filters, {queues} queues" if queues else f"{filters} filters"
        click.echo(f"{words} and {examples} examples are well{more}")

    return check


def build_render(admit: Admit | None = None) -> click.Command:
    """Return the ``render`` command; with ``admit`` it prints what would be recorded."""

    @click.command(
        "render",
        help="Print the manifest that FILE's filters make of the document on standard input."
        "\n\nFILE is a YAML file, a jq file or a directory of YAML files. As in the API, filters"
        " see the variables that begin with JOB_ and those named by --filter-env."
        "\n\nExit status: 0 printed, 1 a config is at fault, 2 wrong usage, 3 the document was"
        " refused (the error is printed on standard error as the API would answer it).",
    )
    @click.argument("file", type=str)
    @click.option("--path", default="/job", show_default=True, help="The path posted to.")
    @click.option(
        "--filter-env",
        multiple=True,
        metavar="NAME",
        help="A further variable that filters may see; may be repeated.",
    )
    def render(file: str, path: str, filter_env: tuple[str, ...]) -> None:
        try:
            text = asyncio.run(_render(file, path.rstrip("/"), filter_env, admit))
        except ConfigError as error:
            click.echo(str(error), err=True)
            sys.exit(FAULTY)
        except Problem as problem:
            answer = {
                "error": {
                    "code": problem.code,
                    "reason": problem.reason,
                    "message": problem.message,
                    **problem.details,
                    **({"jq": problem.hidden} if problem.hidden else {}),
                }
            }
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2), err=True)
            sys.exit(REFUSED)
        click.echo(text)

    return render


check = build_check()
render = build_render()


def _group(files: Sequence[Path]) -> list[Sequence[Path]]:
    """Return the sources to judge: each directory by itself, all single files as one."""
    single = [f for f in files if not f.is_dir()]
    return [*([single] if single else []), *([f] for f in files if f.is_dir())]


def _check_source(
    source: Sequence[Path], admit: Admit | None
) -> tuple[FilterCatalog, ExamplesRun, list[ConfigFault], int]:
    # a single file never fails to be looked at: it says itself why it cannot be read
    files = [file for path in source for file in read_source(path).files]
    queues, faults = _read_queues(files)
    try:
        catalog = validate(files, select_environment(os.environ, ()))
    except ConfigError as error:
        # a file that is no YAML at all is named by both
        found = {*faults, *error.faults}
        raise ConfigError(sorted(found, key=lambda fault: (fault.file, fault.line or 0))) from error
    if faults:
        raise ConfigError(faults)
    ran, warnings = asyncio.run(_try_out(catalog, admit))
    return catalog, ran, warnings + _find_lost(catalog, queues), len(queues)


def _read_queues(files: Sequence[SourceFile]) -> tuple[Mapping[str, Queue], list[ConfigFault]]:
    try:
        return read_queues(files), []
    except ConfigError as error:
        return {}, [*error.faults]


def _find_lost(catalog: FilterCatalog, queues: Mapping[str, Queue]) -> list[ConfigFault]:
    """Return a warning for each filter whose jobs would go to a queue that is not there."""
    return [
        entry.blame(("spec", "job", "queue"), f"no document of kind Queue is called {name}")
        for entry in catalog.entries
        if (name := entry.config.spec.job.queue) not in {None, DEFAULT_QUEUE, *queues}
    ]


async def _try_out(
    catalog: FilterCatalog, admit: Admit | None
) -> tuple[ExamplesRun, list[ConfigFault]]:
    ran = await run_examples(catalog, admit)
    return ran, await find_warnings(catalog, ran.manifests)


async def _render(file: str, path: str, filter_env: tuple[str, ...], admit: Admit | None) -> str:
    filters = from_options(
        filter_source=None, from_file=file, filter_env=filter_env, environ=os.environ
    )
    document = json_body.parse(sys.stdin.buffer.read())
    await filters.start()
    try:
        rendered = await filters.render(path, document)
    finally:
        await filters.close()
    manifest = rendered.manifest if admit is None else admit(rendered)
    return json.dumps(manifest, ensure_ascii=False, indent=2)
