"""The API process: reads its options, serves until told to end, and ends."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
import structlog
from aiohttp import web

from api.engine.docker import DockerEngine
from api.engine.endpoint import Endpoint
from api.runtime import logs
from api.runtime.options import CONTEXT, Whole, option, read_endpoint, shared_options
from api.server.admission.settings import Profile
from api.server.app import make_app
from api.server.filters.faults import ConfigError
from api.server.filters.service import Filters, from_options
from api.server.metrics import Metrics
from api.server.settings import Settings, is_address, is_loopback
from api.server.trials import TRIALS, admission_option, make_trial

PROGRAM: Final = "docker-job-dispatcher-api"
VERSION: Final = version("docker-job-dispatcher")
_log = structlog.get_logger(__name__)


class Address(click.ParamType[str]):
    """An IP address, or ``localhost``."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address as it is."""
        if not is_address(value):
            self.fail(f"{value!r} is neither an IP address nor localhost", param, ctx)
        return value


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
    help="Read filters from a jq file, a YAML file, or a directory of YAML files.",
)
@option(
    "-p",
    "--port",
    env="PORT",
    type=Whole(0, 65535),
    default=8000,
    help="TCP port to listen on; 0 is any free one.",
)
@option(
    "--bind",
    env="BIND",
    type=Address(),
    default="127.0.0.1",
    help="Address to listen on; any but a loopback one needs --allow-anonymous.",
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
@admission_option()
@shared_options
@click.version_option(VERSION, "-V", "--version", prog_name=PROGRAM)
def serve(
    *,
    filter_source: str | None,
    from_file: str | None,
    port: int,
    bind: str,
    allow_anonymous: bool,
    filter_env: Sequence[str],
    admission: str,
    transport: str,
    namespace: str,
    engine_timeout: float,
    log_level: str,
    log_format: str,
) -> None:
    """Check what was asked for, then serve."""
    if not is_loopback(bind) and not allow_anonymous:
        raise click.UsageError(f"--bind {bind} lets others in; that needs --allow-anonymous")
    endpoint = read_endpoint(transport)
    logs.configure(log_level, log_format)
    metrics = Metrics()
    settings = Settings(namespace, Profile(admission), find_own_files(endpoint, from_file))
    try:
        filters = from_options(
            filter_source=filter_source,
            from_file=from_file,
            filter_env=filter_env,
            environ=os.environ,
            observer=metrics,
        )
        asyncio.run(run(endpoint, engine_timeout, filters, settings, metrics, bind=bind, port=port))
    except ConfigError as error:
        raise click.ClickException(f"the filters cannot be used:\n{error}") from error


def find_own_files(endpoint: Endpoint, from_file: str | None) -> tuple[str, ...]:
    """Return the paths that no job may mount, as they are written and as links lead there."""
    own = [Path(path) for path in (endpoint.socket_path, from_file) if path]
    return tuple(dict.fromkeys(str(p) for path in own for p in (path.absolute(), path.resolve())))


async def run(
    endpoint: Endpoint,
    engine_timeout: float,
    filters: Filters,
    settings: Settings,
    metrics: Metrics,
    *,
    bind: str,
    port: int,
) -> None:
    """Serve until SIGTERM or SIGINT; what is in flight then is still answered."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    engine = DockerEngine(endpoint, timeout=engine_timeout)
    app = make_app(engine, filters, settings, metrics=metrics)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=3.0)
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, bind, port).start()
        except OSError as error:
            message = f"cannot listen on {bind}, port {port}: {error.strerror}"
            raise click.ClickException(message) from error
        _log.info(
            "serving",
            address=bind,
            port=runner.addresses[0][1],
            engine=endpoint.url,
            namespace=settings.namespace,
            admission=str(settings.profile),
            version=VERSION,
        )
        await told.wait()
        _log.info("ending")
    finally:
        await runner.cleanup()
    _log.info("ended")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve, or try filters if the first argument is exactly ``check`` or ``render``."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in TRIALS:
        make_trial(words[0]).main(words[1:], prog_name=f"{PROGRAM} {words[0]}")
    else:
        serve.main(words, prog_name=PROGRAM)


if __name__ == "__main__":
    main()
