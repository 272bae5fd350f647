"""The controller's command: reads the options, installs signal handlers, runs until told to end."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import click
import structlog

from api.config.faults import ConfigError
from api.config.queue_source import QueueSource
from api.engine.capabilities import EngineKind
from api.engine.choose import make_engine, make_lease_store
from api.engine.docker.endpoint import Endpoint
from api.engine.instrumented import InstrumentedEngine
from api.http.options import allowed_host_option
from api.runtime import logs
from api.runtime.memory import relax_collector
from api.runtime.open_files import raise_file_limit
from api.runtime.options import CONTEXT, Seconds, Whole, option, read_endpoint, shared_options
from api.v1.times import SECOND
from controller.leader_lock import FORMER_FOLDER, LOCK_FOLDER, LeaderLock
from controller.lease import Lease
from controller.metrics import Metrics
from controller.policy import Policy
from controller.probes import Probes
from controller.reconciler import Reconciler

_log = structlog.get_logger(__name__)


@click.command(
    context_settings=CONTEXT,
    help="Start, retry and collect the jobs that the API has recorded on a Docker engine or swarm.",
)
@option(
    "-m",
    "--max-concurrent",
    env="MAX_CONCURRENT",
    type=Whole(0),
    default=None,
    metavar="N",
    show_default="unlimited",
    help="Most jobs running at once; 0 never starts any.",
)
@option(
    "-k",
    "--keep-exited-for",
    env="KEEP_EXITED_FOR",
    type=Seconds(0, 3_153_600_000),
    default=None,
    show_default="for ever",
    metavar="SECONDS",
    help="How long a finished job is kept.",
)
@option(
    "--queues",
    env="QUEUES",
    type=click.Path(path_type=Path),
    default=None,
    show_default="none",
    metavar="PATH",
    help="File or folder with documents of kind Queue, read again whenever it changes.",
)
@option(
    "-u",
    "--upkeep-interval",
    env="UPKEEP_INTERVAL",
    type=Seconds(0.05, 86_400),
    default=3.0,
    metavar="SECONDS",
    help="Period of the full comparison; changes are acted on at once in between.",
)
@option(
    "--health-port",
    env="HEALTH_PORT",
    type=Whole(0, 65_535),
    metavar="PORT",
    default=8001,
    help="Port for health, metrics and the plan; 0 for none.",
)
@option(
    "--health-bind",
    env="HEALTH_BIND",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address of that port.",
)
@allowed_host_option()
@option(
    "--lock-dir",
    env="LOCK_DIR",
    type=click.Path(path_type=Path),
    default=str(LOCK_FOLDER),
    help="Folder shared by all controllers of this host: one of them serves a namespace. Not used"
    " on a swarm.",
)
@shared_options
@click.version_option(None, "-V", "--version", package_name="docker-job-dispatcher")
def main(
    *,
    max_concurrent: int | None,
    keep_exited_for: float | None,
    queues: Path | None,
    upkeep_interval: float,
    health_port: int,
    health_bind: str,
    allowed_host: tuple[str, ...],
    lock_dir: Path,
    engine: str,
    transport: str,
    namespace: str,
    engine_timeout: float,
    log_level: str,
    log_format: str,
) -> None:
    """Run the controller."""
    logs.configure(log_level, log_format)
    relax_collector()
    raise_file_limit()
    endpoint = read_endpoint(transport)
    kind = EngineKind(engine)
    lock = make_lock(lock_dir, namespace) if kind is EngineKind.DOCKER else None
    keep = None if keep_exited_for is None else int(keep_exited_for * SECOND)
    policy = Policy(max_concurrent=max_concurrent, keep_exited_for=keep)
    _log.info(
        "controller starts",
        namespace=namespace,
        engine=endpoint.url,
        max_concurrent=max_concurrent,
        keep_exited_for=keep_exited_for,
        queues=None if queues is None else str(queues),
        upkeep_interval=upkeep_interval,
    )
    serving = _serve(
        endpoint,
        namespace,
        policy,
        lock,
        queues,
        kind=kind,
        interval=upkeep_interval,
        patience=engine_timeout,
        health=(health_bind, health_port, allowed_host),
    )
    try:
        asyncio.run(serving)
    except ConfigError as error:
        raise click.ClickException(f"the queues cannot be used:\n{error}") from error
    _log.info("controller ends")


def make_lock(folder: Path, namespace: str) -> LeaderLock:
    """Return the lock of a namespace, or end with a usage error if it cannot be made."""
    former = FORMER_FOLDER if folder == LOCK_FOLDER else None
    lock = LeaderLock(folder, namespace, former=former)
    try:
        lock.check()
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="'--lock-dir'") from error
    return lock


def make_lease(endpoint: Endpoint, namespace: str) -> Lease:
    """Return the lease of a namespace; its holder's name is for people, and this process's own."""
    holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
    return Lease(make_lease_store(endpoint, namespace), holder)


async def _serve(
    endpoint: Endpoint,
    namespace: str,
    policy: Policy,
    lock: LeaderLock | None,
    queues: Path | None,
    *,
    kind: EngineKind,
    interval: float,
    patience: float,
    health: tuple[str, int, tuple[str, ...]],
) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    metrics = Metrics()

    def use_queues(generation: int, error: str | None) -> None:
        metrics.on_queues(generation, error)
        reconciler.use_queues(source.queues)

    source = QueueSource(queues, on_reload=use_queues)
    source.load()
    adapter = make_engine(kind, endpoint, namespace, timeout=patience, writes_ends=True)
    engine = InstrumentedEngine(adapter, metrics.on_call)
    reconciler = Reconciler(
        engine,
        replace(policy, queues=source.queues),
        lock or make_lease(endpoint, namespace),
        interval=interval,
        patience=patience,
        hooks=metrics,
    )
    metrics.watch(reconciler)
    tasks = [asyncio.create_task(reconciler.run())]
    watching = asyncio.create_task(source.keep())
    if health[1]:
        tasks.append(asyncio.create_task(Probes(reconciler, metrics).serve(*health)))
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (watching, *tasks):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(engine.close(), 1)
    for result in results:
        if isinstance(result, Exception):
            _log.error("controller failed", exc_info=result)
            sys.exit(1)


if __name__ == "__main__":
    main()
