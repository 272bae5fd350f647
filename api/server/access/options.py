"""Command-line options of access to the API, and the guard and TLS context they make."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from api.http.limits import ClientLimits
from api.http.options import allowed_host_option
from api.http.origins import choose_hosts
from api.runtime.options import Seconds, Whole, option
from api.server.access.guard import Guard
from api.server.access.tls import TlsError, make_context
from api.server.access.token_store import TokenStore
from api.server.access.tokens import TokenFileError
from api.server.options import ApiOptions


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that ``make_guard`` and ``make_tls_context`` read."""
    path = click.Path(path_type=Path)
    default = ClientLimits()
    for decorate in reversed(
        (
            option(
                "--token-file",
                env="TOKEN_FILE",
                type=path,
                help="Bearer tokens, one a line: TOKEN [read|post|read,post] [PATH ...].",
            ),
            allowed_host_option(),
            option("--tls-cert", env="TLS_CERT", type=path, help="Certificate chain, PEM."),
            option("--tls-key", env="TLS_KEY", type=path, help="The certificate's key, PEM."),
            option(
                "--receive-timeout",
                env="RECEIVE_TIMEOUT",
                type=Seconds(0.1),
                default=default.receive,
                metavar="SECONDS",
                help="How long a request's header may take, and then its body.",
            ),
            option(
                "--idle-timeout",
                env="IDLE_TIMEOUT",
                type=Seconds(0.1),
                default=default.idle,
                metavar="SECONDS",
                help="How long a connection without a request is kept.",
            ),
            option(
                "--max-connections",
                env="MAX_CONNECTIONS",
                type=Whole(1),
                default=default.connections,
                metavar="N",
                help="Most open connections; beyond, the longest waiting one is closed.",
            ),
            option(
                "--max-waiting",
                env="MAX_WAITING",
                type=Whole(1),
                default=default.waiting,
                metavar="N",
                help="Most requests for jobs worked on at once; beyond, the answer is 429.",
            ),
            option(
                "--max-pending",
                env="MAX_PENDING",
                type=Whole(1),
                default=10_000,
                metavar="N",
                help="Most jobs that wait, half of them of one token among several; beyond: 429.",
            ),
            option(
                "--max-watchers",
                env="MAX_WATCHERS",
                type=Whole(1),
                default=256,
                metavar="N",
                help="Most requests that wait for jobs or follow events; beyond: 429.",
            ),
        )
    ):
        command = decorate(command)
    return command


def make_guard(options: ApiOptions) -> Guard:
    """Return the guard that is asked for, or end with a usage error for a bad token file."""
    token_store = None
    if options.token_file is not None:
        try:
            token_store = TokenStore(options.token_file)
        except TokenFileError as error:
            raise click.UsageError(f"--token-file: {error}") from error
    limits = ClientLimits(
        receive=options.receive_timeout,
        idle=options.idle_timeout,
        connections=options.max_connections,
        waiting=options.max_waiting,
    )
    hosts = choose_hosts(options.bind, options.allowed_host)
    return Guard(hosts, token_store=token_store, limits=limits)


def make_tls_context(options: ApiOptions) -> ssl.SSLContext | None:
    """Return the context of ``--tls-cert`` and ``--tls-key``, or end with a usage error."""
    certificate, key = options.tls_cert, options.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-cert and --tls-key must be given together")
    try:
        return make_context(certificate, key)
    except TlsError as error:
        raise click.UsageError(str(error)) from error
