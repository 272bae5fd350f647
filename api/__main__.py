"""The API's command: reads the options and serves until a signal ends it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import structlog
from aiohttp import web

from api.config.faults import ConfigError
from api.config.queue_source import QueueSource
from api.engine.capabilities import EngineKind
from api.engine.choose import make_engine
from api.engine.docker.endpoint import Endpoint
from api.http.listening import ListenError
from api.runtime import logs
from api.runtime.file_permissions import warn_of_exposure
from api.runtime.memory import relax_collector
from api.runtime.open_files import raise_file_limit
from api.runtime.options import CONTEXT, Whole, option, read_endpoint, shared_options
from api.runtime.version import VERSION
from api.server.access.options import access_options, make_guard, make_tls_context
from api.server.admission.settings import Profile
from api.server.app import make_app
from api.server.commands import COMMANDS, admission_option
from api.server.filters.service import Filters, from_options
from api.server.filters.workers.confinement import forbid_reading_memory
from api.server.images.options import make_pulling, pull_options
from api.server.metrics import ApiMetrics
from api.server.options import ApiOptions
from api.server.settings import Settings, is_address, is_loopback

PROGRAM: Final = "docker-job-dispatcher-api"
_log = structlog.get_logger(__name__)


class Address(click.ParamType[str]):
    """An IP address, or ``localhost``."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address as it is."""
        if not is_address(value):
            self.fail(f"{value!r} is neither an IP address nor localhost", param, ctx)
        return value


class Url(click.ParamType[str]):
    """An address of HTTP without a path, or nothing."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address without a slash at its end."""
        if value and not re.fullmatch(r"https?://[^/?#@\s]+/?", value):
            self.fail(f"{value!r} is not like http://127.0.0.1:8001", param, ctx)
        return value.removesuffix("/")


@click.command(
    PROGRAM,
    context_settings=CONTEXT,
    help="Record posted documents as jobs: containers that are created and not started."
    "\n\nFILTER is a jq program that turns a document into a container manifest; without it and"
    " without --from-file, a built-in one serves."
    "\n\n\b\nTo try filter configs without an engine, give as first argument:"
    "\n  check FILE...   validate them and run their examples"
    "\n  render FILE     print what they make of a document",
)
@click.argument("filter_source", metavar="[FILTER]", required=False)
@option(
    "-f",
    "--from-file",
    env="FROM_FILE",
    metavar="FILE",
    show_default="the built-in filter",
    help="Read filters from a jq file, a YAML file, or a directory of YAML files.",
)
@option(
    "-p",
    "--port",
    env="PORT",
    type=Whole(0, 65535),
    default=8000,
    metavar="PORT",
    help="TCP port to listen on; 0 is any free one.",
)
@option(
    "--bind",
    env="BIND",
    type=Address(),
    default="127.0.0.1",
    help="Address to listen on; any but a loopback one needs --token-file or --allow-anonymous.",
)
@option(
    "--allow-anonymous",
    env="ALLOW_ANONYMOUS",
    is_flag=True,
    help="Let everybody who reaches the address record jobs.",
)
@option(
    "--filter-env",
    env="FILTER_ENV",
    multiple=True,
    metavar="NAME",
    help="A variable that filters may see beside JOB_*; may be repeated."
    " FILTER_ENV holds names with spaces between them.",
)
@option(
    "--queues",
    env="QUEUES",
    type=click.Path(path_type=Path),
    default=None,
    show_default="the filters' file or folder",
    metavar="PATH",
    help="File or folder with documents of kind Queue, read again whenever it changes.",
)
@option(
    "--controller-url",
    env="CONTROLLER_URL",
    type=Url(),
    default="http://127.0.0.1:8001",
    metavar="URL",
    help="Where the controller says why a job waits; empty: it is not asked.",
)
@admission_option()
@pull_options
@access_options
@shared_options
@click.version_option(VERSION, "-V", "--version", prog_name=PROGRAM)
def serve(**chosen: Any) -> None:
    """Check what was asked for, then serve."""
    options = ApiOptions(**chosen)
    check_bind(options)
    endpoint = read_endpoint(options.transport)
    logs.configure(options.log_level, options.log_format)
    relax_collector()
    raise_file_limit()
    forbid_reading_memory()
    guard, context = make_guard(options), make_tls_context(options)
    if options.from_file is not None:
        warn_of_exposure(Path(options.from_file))
    pulling = make_pulling(options)
    own = find_own_files(
        endpoint.socket_path,
        options.from_file,
        options.queues,
        options.token_file,
        options.tls_key,
        pulling.config.path if pulling.config else None,
    )
    profile = Profile(options.admission)
    settings = Settings(
        options.namespace,
        profile,
        own,
        pulling,
        options.max_pending,
        options.max_watchers,
        options.max_connections,
        options.controller_url or None,
    )
    metrics = ApiMetrics(options.namespace)
    queues = QueueSource(find_queues(options), on_reload=metrics.on_queues)
    try:
        filters = from_options(
            filter_source=options.filter_source,
            from_file=options.from_file,
            filter_env=options.filter_env,
            environ=os.environ,
            hooks=metrics,
        )
        queues.load()
        listen = partial(guard.serve, host=options.bind, port=options.port, context=context)
        asyncio.run(
            run(
                endpoint,
                options.engine_timeout,
                filters,
                settings,
                metrics,
                kind=EngineKind(options.engine),
                queues=queues,
                listen=listen,
            )
        )
    except ConfigError as error:
        raise click.ClickException(f"the configs cannot be used:\n{error}") from error
    except ListenError as error:
        raise click.ClickException(str(error)) from error


def check_bind(options: ApiOptions) -> None:
    """End with a usage error if others could record jobs and no option allows that."""
    has_tokens = options.token_file is not None
    if options.allow_anonymous and has_tokens:
        raise click.UsageError("--allow-anonymous and --token-file exclude each other")
    if not (is_loopback(options.bind) or options.allow_anonymous or has_tokens):
        raise click.UsageError(
            f"--bind {options.bind} lets others in; that needs --token-file or --allow-anonymous"
        )


def find_queues(options: ApiOptions) -> Path | None:
    """Return where queues are read from: beside the filters, unless an option says otherwise."""
    if options.queues is not None or options.from_file is None:
        return options.queues
    return Path(options.from_file)


def find_own_files(*paths: str | Path | None) -> tuple[str, ...]:
    """Return the paths that no job may mount, as written and with symbolic links resolved."""
    own = [Path(path) for path in paths if path]
    return tuple(dict.fromkeys(str(p) for path in own for p in (path.absolute(), path.resolve())))


async def run(
    endpoint: Endpoint,
    engine_timeout: float,
    filters: Filters,
    settings: Settings,
    metrics: ApiMetrics,
    *,
    kind: EngineKind,
    queues: QueueSource,
    listen: Callable[[web.Application], AbstractAsyncContextManager[tuple[str, int]]],
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    engine = make_engine(kind, endpoint, settings.namespace, timeout=engine_timeout)
    app = make_app(engine, filters, settings, metrics=metrics, queues=queues)
    async with listen(app) as (address, port):
        _log.info(
            "serving",
            address=address,
            port=port,
            engine=endpoint.url,
            namespace=settings.namespace,
            admission=str(settings.profile),
            version=VERSION,
        )
        await ended.wait()
        _log.info("ending")
    _log.info("ended")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the first word names, one of ``COMMANDS``; without one, serve."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in COMMANDS:
        command = COMMANDS[words[0]]()
        command.main(words[1:], prog_name=f"{PROGRAM} {words[0]}")
    else:
        serve.main(words, prog_name=PROGRAM)


if __name__ == "__main__":
    main()
